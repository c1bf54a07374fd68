"""How loud the room is when nobody speaks (R013). Pure."""

from __future__ import annotations

from typing import Final

from parlour_audio.frames import Samples

from satellite.windows import factor, level_db, windows_of

CALIBRATION_MS: Final = 2000.0
MINIMUM_RMS: Final = 200 / 32_768
"""Quieter than this is no voice in any room."""

TIMES: Final = 3.0
_SLOW: Final = 0.02


class NoiseFloor:
    """Takes the mean of the first two seconds without speech, then follows slowly."""

    def __init__(self) -> None:
        self._rms = 0.0
        self._count = 0

    @property
    def gate_rms(self) -> float:
        """A voice is louder than this, as a part of full scale."""
        return max(MINIMUM_RMS, self._rms * TIMES)

    def learn(self, window: Samples) -> None:
        """Take a window in which nobody speaks and nothing is played."""
        rms = factor(level_db(window))
        self._count += 1
        weight = max(1 / self._count, _SLOW if self._count > windows_of(CALIBRATION_MS) else 0.0)
        self._rms += (rms - self._rms) * weight

    def passes(self, window: Samples) -> bool:
        """Whether a window may be a voice."""
        return factor(level_db(window)) > self.gate_rms
