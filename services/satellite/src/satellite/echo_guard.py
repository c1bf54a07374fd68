"""Tells a person from the loudspeaker by how loud the microphone would be without anybody. Pure.

How much of the loudspeaker comes back is learned while it plays. Delays need not be known: the
loudest window of the last moment counts.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from satellite.windows import SILENT_DB, WINDOW_S, windows_of

TAIL_MS: Final = 300.0
"""So long after it was played sound may still come back, from buffers and walls."""

AUDIBLE_DB: Final = -60.0
"""What is played below this is no sound to learn from."""

FIRST_DB: Final = 0.0
"""Until something is learned, the echo may be as loud as what is played."""

LEARN_FIRST: Final = 15
"""From so many windows the first guess comes: the loudest echo among them."""

_STEP_DB: Final = 0.5
_QUANTILE: Final = 0.9
_RANGE_DB: Final = (-60.0, 20.0)
MISTRUST_DB: Final = 6.0


class EchoGuard:
    """Compares the microphone with what is being played at that moment.

    Args:
        latency_s: how long the device keeps sound before it is heard.
    """

    def __init__(self, latency_s: float = 0.0) -> None:
        reach = windows_of((latency_s + WINDOW_S) * 1000 + TAIL_MS)
        self._played: deque[float] = deque(maxlen=reach)
        self._coupling = FIRST_DB
        self._first: list[float] | None = []

    @property
    def coupling_db(self) -> float:
        """How much louder than what is played the microphone is, in dB; mostly below 0."""
        return self._coupling

    @property
    def expected_db(self) -> float:
        """How loud the microphone is if nobody speaks, in dB; `SILENT_DB` when nothing plays."""
        loudest = max(self._played, default=SILENT_DB)
        return loudest + self._coupling if loudest > AUDIBLE_DB else SILENT_DB

    @property
    def quiet(self) -> bool:
        """Whether nothing that was played can come back now."""
        return self.expected_db <= SILENT_DB

    def played(self, level_db: float) -> None:
        """This is handed to the loudspeaker now, one window of it."""
        self._played.append(level_db)

    def passes(self, level_db: float, margin_db: float) -> bool:
        """Whether a window of the microphone is louder than echo by a margin."""
        return self.quiet or level_db > self.expected_db + margin_db

    def learn(self, level_db: float) -> None:
        """Take a window of the microphone in which nobody is thought to speak."""
        loudest = max(self._played, default=SILENT_DB)
        if loudest <= AUDIBLE_DB:
            return
        delta = level_db - loudest
        if self._first is not None:
            self._first.append(delta)
            if len(self._first) < LEARN_FIRST:
                return
            self._coupling, self._first = max(self._first), None
        elif delta > self._coupling:
            self._coupling += _STEP_DB * _QUANTILE
        else:
            self._coupling -= _STEP_DB * (1 - _QUANTILE)
        low, high = _RANGE_DB
        self._coupling = min(max(self._coupling, low), high)

    def mistrust(self) -> None:
        """What passed was nobody: expect more echo."""
        self._coupling = min(self._coupling + MISTRUST_DB, _RANGE_DB[1])
