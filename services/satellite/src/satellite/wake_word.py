"""When a wake word counts: sure enough, spoken, and not the same one again (R019). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from parlour_audio.frames import Samples

from satellite.windows import WINDOW_S

SPOKEN_WITHIN_S: Final = 1.0
"""The word was spoken within so much time before it is found."""


class WakeDetector(Protocol):
    """Looks for one word in a stream of sound."""

    @property
    def word(self) -> str:
        """The word, for people."""
        ...

    def probability(self, window: Samples) -> float:
        """How sure it is, 0 to 1, that the word ends in this window of 512 samples at 16 kHz."""
        ...

    def reset(self) -> None:
        """Forget what came before: the stream was interrupted."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True)
class WakeRules:
    """When to believe it.

    Attributes:
        threshold: of the detector, 0 to 1.
        speech: probability of speech that the last second must have reached, 0 to 1.
        retrigger_s: so long after one wake there is no other.
    """

    threshold: float
    speech: float
    retrigger_s: float


class WakeGate:
    """Believes a detector or not; ``confidence`` is what it said last."""

    def __init__(self) -> None:
        self._woke_at: float | None = None
        self._speech: list[float] = []

    def judge(self, confidence: float, speech: float, rules: WakeRules, now: float) -> bool:
        """Whether this window wakes.

        Args:
            confidence: of the detector.
            speech: probability of speech in this window.
            rules: when to believe it.
            now: seconds of the caller's clock.
        """
        self._speech.append(speech)
        del self._speech[: -round(SPOKEN_WITHIN_S / WINDOW_S)]
        if confidence < rules.threshold or max(self._speech) < rules.speech:
            return False
        if self._woke_at is not None and now - self._woke_at < rules.retrigger_s:
            return False
        self._woke_at = now
        return True
