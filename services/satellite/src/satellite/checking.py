"""Shows that the microphone and the wake word work (H031)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError
from parlour_kit.probes.checks import Check, Look

from satellite.errors import DeviceError, WakeMissingError
from satellite.wake_word import WakeDetector
from satellite.windows import WINDOW

RECENT_S: Final = 1.0
"""A microphone that works brings sound 31 times a second."""

CRASH_S: Final = 60.0
"""So long a device that failed is not trusted, though it works again (H031)."""


class DeviceCheck:
    """Whether sound comes from the microphone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_at: float | None = None
        self._failed_at: float | None = None
        self._error: ParlourError | None = None

    @property
    def check(self) -> Check:
        """As the process runs it; it costs nothing."""
        return Check("device", self._run, component="audio", look=self._look, ttl_s=0)

    @property
    def well(self) -> bool:
        """Whether sound comes and nothing failed of late."""
        return self._trouble() is None

    def heard(self) -> None:
        """A window came."""
        self._heard_at = self._clock.monotonic()

    def failed(self, error: ParlourError) -> bool:
        """The device could not be opened, or stopped; tells whether that is no news."""
        before = self._error.code if self._error is not None and self._heard_at is None else None
        self._failed_at, self._error = self._clock.monotonic(), error
        self._heard_at = None
        return before == error.code

    def _trouble(self) -> ParlourError | None:
        now = self._clock.monotonic()
        failed = self._failed_at is not None and now - self._failed_at < CRASH_S
        if self._error is not None and (failed or self._heard_at is None):
            return self._error
        if self._heard_at is None or now - self._heard_at > RECENT_S:
            return DeviceError("no sound comes from the microphone")
        return None

    def _look(self) -> Look:
        return Look(self._trouble())

    async def _run(self) -> None:
        trouble = self._trouble()
        if trouble is not None:
            raise trouble


class WakeCheck:
    """Whether the wake word's model takes sound."""

    def __init__(self, current: Callable[[], WakeDetector | None]) -> None:
        self._current = current

    @property
    def check(self) -> Check:
        """As the process runs it."""
        return Check("wake", self._run, component="audio", look=self._look)

    def _look(self) -> Look:
        missing = self._current() is None
        return Look(WakeMissingError("no wake word is loaded") if missing else None)

    async def _run(self) -> None:
        wake = self._current()
        if wake is not None:
            wake.probability(np.zeros(WINDOW, np.float32))
