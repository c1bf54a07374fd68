"""Whether the event loop turns, and how late it is."""

from __future__ import annotations

from parlour_kit.clock import Clock

BEAT_S = 1.0


class Pulse:
    """Beats once a second, as long as the loop turns.

    Attributes:
        lag_s: how much later than it should the last beat came.
    """

    def __init__(self, clock: Clock) -> None:
        self.lag_s = 0.0
        self._clock = clock
        self._last = clock.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock.monotonic() - self._last

    async def run(self) -> None:
        """Beat, for ever."""
        while True:
            await self._clock.sleep(BEAT_S)
            now = self._clock.monotonic()
            self.lag_s = max(0.0, now - self._last - BEAT_S)
            self._last = now
