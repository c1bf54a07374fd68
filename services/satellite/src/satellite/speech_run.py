"""Whether somebody really speaks: enough speech, sure enough, and when it began. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from satellite.windows import WINDOW_MS

GAP_WINDOWS: Final = 3
"""So many windows without speech are a pause between syllables; more begin anew."""


@dataclass(frozen=True)
class Run:
    """Speech so far.

    Attributes:
        first: number of the window in which it began.
        speech_ms: how much of it was speech.
        confidence: mean probability of speech, 0 to 1, of the windows that were.
    """

    first: int
    speech_ms: float
    confidence: float


class SpeechRun:
    """Adds up windows of speech that follow each other closely."""

    def __init__(self) -> None:
        self._first = 0
        self._sum = 0.0
        self._count = 0
        self._gap = 0

    @property
    def begun(self) -> bool:
        """Whether it may be speech."""
        return self._count > 0

    def push(self, number: int, probability: float, *, speech: bool) -> Run | None:
        """Take the next window in.

        Args:
            number: of the window.
            probability: of speech, 0 to 1.
            speech: whether it counts as speech.

        Returns:
            The speech so far; None while there is none.
        """
        if speech:
            if self._count == 0:
                self._first = number
            self._sum += probability
            self._count += 1
            self._gap = 0
        elif self._count:
            self._gap += 1
            if self._gap > GAP_WINDOWS:
                self.reset()
        if self._count == 0:
            return None
        return Run(self._first, self._count * WINDOW_MS, self._sum / self._count)

    def reset(self) -> None:
        """Begin anew."""
        self._sum, self._count, self._gap = 0.0, 0, 0
