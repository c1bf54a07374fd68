"""A recogniser and a speech detector without a model, for tests of stt-worker and the fleet.

They fit that package's protocols by their shape and import nothing of it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from parlour_audio.frames import Pcm16, Samples
from parlour_contracts.config import STTWorkerConfig

LOUD = 0.02
"""A window with this root mean square is speech to `LoudnessVad`."""


def tone(ms: float, rate: int = 16_000) -> Pcm16:
    """Sound that `LoudnessVad` takes for speech: PCM16, mono."""
    count = round(ms * rate / 1000)
    return (np.sin(2 * np.pi * 300 * np.arange(count) / rate) * 12_000).astype(np.int16)


def silence(ms: float, rate: int = 16_000) -> Pcm16:
    """PCM16 zeros, mono."""
    return np.zeros(round(ms * rate / 1000), dtype=np.int16)


class LoudnessVad:
    """A speech detector that takes everything loud for speech."""

    def probability(self, window: Samples) -> float:
        """0.95 for a loud window, else 0.01."""
        return 0.95 if float(np.sqrt(np.mean(window**2))) >= LOUD else 0.01

    def reset(self) -> None:
        """Nothing is remembered."""


@dataclass(frozen=True)
class HeardPiece:
    """A stretch of text, as a recogniser gives it; times in seconds."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True)
class Heard:
    """What a recogniser gives for one clip."""

    text: str
    pieces: tuple[HeardPiece, ...]
    confidence: float
    avg_logprob: float
    no_speech_prob: float = 0.05


def heard(text: str, seconds: float = 1.0, confidence: float = 0.9) -> Heard:
    """One piece of text over the whole clip; for an empty text nothing."""
    if not text:
        return Heard("", (), 0.0, -math.inf, 1.0)
    piece = HeardPiece(text, 0.0, seconds, confidence)
    return Heard(text, (piece,), confidence, math.log(confidence))


@dataclass
class FakeRecogniser:
    """Answers from a script, after a delay; one clip after another, as the real one does.

    ``script`` holds, in the order of the clips, a text, an error to raise, or a recognition;
    the last entry serves all further clips. ``clips`` are those that were recognised.
    """

    script: list[object] = field(default_factory=lambda: ["turn on the light"])
    delay_s: float = 0.2
    confidence: float = 0.9
    load_error: Exception | None = None
    check_error: Exception | None = None
    closed: bool = False
    clips: list[tuple[Samples, Any]] = field(default_factory=list)
    cancelled: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def factory(self) -> Callable[[], FakeRecogniser]:
        """What SttWorker takes as its ``recogniser``."""
        return lambda: self

    async def load(self, config: STTWorkerConfig, data_dir: Path) -> None:
        """Ready at once, or the scripted error."""
        del config, data_dir
        if self.load_error is not None:
            raise self.load_error

    async def check(self, config: STTWorkerConfig) -> None:
        """It could, or the scripted error."""
        del config
        if self.check_error is not None:
            raise self.check_error

    async def transcribe(self, samples: Samples, options: Any) -> Heard:
        """The next entry of the script, after the delay."""
        try:
            async with self._lock:
                await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        entry = self.script[min(len(self.clips), len(self.script) - 1)]
        self.clips.append((samples, options))
        if isinstance(entry, Exception):
            raise entry
        if isinstance(entry, Heard):
            return entry
        return heard(str(entry), len(samples) / 16_000, self.confidence)

    async def close(self) -> None:
        """Closed."""
        self.closed = True
