"""What a recogniser is to this worker: sound in, text with its probabilities out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from parlour_audio.frames import Samples
from parlour_contracts.config import STTWorkerConfig

RATE = 16_000
"""Hz: the rate at which this worker listens, and that of Whisper's models."""


@dataclass(frozen=True)
class Options:
    """How to recognise one clip.

    ``language`` is of the form en-US. ``window_floor_s`` is the shortest window that the model
    looks at, in seconds; 0 is its own. ``quick`` gives up on a doubtful clip instead of trying
    again: for what can wait for more speech. ``sample_rate`` is that of the clip, in Hz.
    """

    language: str = "en-US"
    beam_size: int = 5
    window_floor_s: float = 12.0
    quick: bool = False
    sample_rate: int = RATE

    @classmethod
    def of(cls, config: STTWorkerConfig, language: str, *, quick: bool = False) -> Options:
        """What the settings say for a clip in a language."""
        return cls(language, config.beam_size, config.window_floor_s, quick, config.sample_rate)


@dataclass(frozen=True)
class Piece:
    """A stretch of text; times in seconds from the start of the clip.

    ``avg_logprob`` is the mean log-probability of its tokens, ``no_speech_prob`` the model's own
    doubt that anybody speaks.
    """

    text: str
    start_s: float
    end_s: float
    avg_logprob: float
    no_speech_prob: float

    @property
    def confidence(self) -> float:
        """0 to 1."""
        return min(1.0, math.exp(min(self.avg_logprob, 0.0)))


@dataclass(frozen=True)
class Recognition:
    """What was understood of one clip; no pieces when nothing was."""

    pieces: tuple[Piece, ...] = ()

    @property
    def text(self) -> str:
        """The whole text, without blanks at its ends."""
        return "".join(p.text for p in self.pieces).strip()

    @property
    def avg_logprob(self) -> float:
        """Mean log-probability, each piece weighted by its length."""
        weights = [max(len(p.text), 1) for p in self.pieces]
        if not weights:
            return -math.inf
        total = sum(p.avg_logprob * w for p, w in zip(self.pieces, weights, strict=True))
        return total / sum(weights)

    @property
    def no_speech_prob(self) -> float:
        """The least doubt of any piece that somebody speaks."""
        return min((p.no_speech_prob for p in self.pieces), default=1.0)

    @property
    def confidence(self) -> float:
        """0 to 1; 0 when nothing was understood."""
        return min(1.0, math.exp(min(self.avg_logprob, 0.0)))


class Engine(Protocol):
    """A recogniser; its methods block and are called from one thread only."""

    def warm_up(self, options: Options) -> None:
        """Recognise a moment of nothing, so that the first turn is as fast as the next."""
        ...

    def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Understand one clip of mono sound at ``options.sample_rate``.

        Raises:
            SttError: it cannot be understood with these options.
        """
        ...


class EngineLoader(Protocol):
    """Makes the engine that the settings name; blocks, and raises ParlourError."""

    def __call__(self, config: STTWorkerConfig, data_dir: Path) -> Engine:
        """Load it; models lie in ``data_dir``."""
        ...


def engine_key(config: STTWorkerConfig) -> tuple[object, ...]:
    """What an engine is made of: settings with the same key need no other engine."""
    if config.stt_backend == "ws":
        return ("ws", config.ws_url)
    return ("whisper", config.whisper_model, config.threads)
