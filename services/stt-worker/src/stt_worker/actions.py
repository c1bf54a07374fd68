"""What a hearing wants done, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parlour_audio.frames import Samples

from stt_worker.engine import RATE, Recognition


@dataclass(frozen=True)
class Clip:
    """Sound to recognise: mono, 16 kHz; times in ms from the turn's first sample."""

    samples: Samples
    start_ms: float
    speech_start_ms: float
    speech_end_ms: float
    active_ms: float = 0.0
    endpoint_wait_ms: float = 0.0
    asked: bool = False
    """Whether the sender itself said that this is all: then all of it is meant."""

    @property
    def duration_ms(self) -> float:
        """Its length."""
        return len(self.samples) * 1000 / RATE


@dataclass(frozen=True)
class Transcribe:
    """The turn is over: recognise this, then call ``heard`` or ``broke``."""

    clip: Clip


@dataclass(frozen=True)
class Consider:
    """A click or a word: recognise this if there is time, then call ``considered``."""

    clip: Clip


@dataclass(frozen=True)
class LookAhead:
    """Somebody still speaks: recognise this if there is time, then call ``glimpsed``."""

    clip: Clip


@dataclass(frozen=True)
class Presume:
    """Perhaps the turn is over: recognise this if there is time, then call ``presumed``.

    ``revision`` counts what was presumed of the turn, from 1.
    """

    clip: Clip
    revision: int


@dataclass(frozen=True)
class Concluded:
    """How the hearing ended. ``reason`` is for people and holds nothing that was said."""

    kind: Literal["final", "empty", "failed"]
    reason: str | None = None
    clip: Clip | None = None
    heard: Recognition | None = None
    revision: int = 1


Action = Transcribe | Consider | LookAhead | Presume | Concluded
