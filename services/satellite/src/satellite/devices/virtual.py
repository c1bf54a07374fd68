"""A satellite's device in a room that exists in numbers alone."""

from __future__ import annotations

import numpy as np
from parlour_audio.frames import Samples
from parlour_kit.clock import Clock

from satellite.devices.device import Exchange
from satellite.virtual import VirtualRoom
from satellite.windows import RATE, WINDOW, WINDOW_S


class VirtualDevice:
    """Lets time pass in a :class:`VirtualRoom`, window by window, as the clock does.

    Args:
        room: what is heard.
        clock: real or virtual.
    """

    latency_s = WINDOW_S

    def __init__(self, room: VirtualRoom, clock: Clock) -> None:
        self._room = room
        self._clock = clock
        self._handed: Samples = self._silence()

    @property
    def rate(self) -> int:
        """Of the loudspeaker, in Hz."""
        return self._room.speaker_rate

    async def run(self, exchange: Exchange) -> None:
        """Exchange windows for ever."""
        due = self._clock.monotonic()
        while True:
            due += WINDOW_S
            await self._clock.sleep(max(due - self._clock.monotonic(), 0.0))
            self._handed = exchange(self._room.capture(self._handed))

    def hush(self) -> None:
        """Drop the window that was handed over last."""
        self._handed = self._silence()

    def _silence(self) -> Samples:
        return np.zeros(WINDOW * self._room.speaker_rate // RATE, np.float32)
