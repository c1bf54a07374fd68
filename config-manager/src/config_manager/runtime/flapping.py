"""Two clients of one name throw each other out; this tells it from a broker that is away."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
SHORT_S = 5.0
"""A connection that was lost sooner than this was hardly there."""

LIMIT = 3


class Flapping:
    """Counts connections that were lost right after they stood. Pure; times are monotonic."""

    def __init__(self) -> None:
        self._connected_at: float | None = None
        self._short: deque[float] = deque(maxlen=LIMIT)

    def connected(self, now: float) -> None:
        """A connection stands."""
        self._connected_at = now

    def lost(self, now: float) -> bool:
        """It is gone.

        Returns:
            Whether it is the third within a minute that was lost right after it stood.
        """
        began, self._connected_at = self._connected_at, None
        if began is None or now - began > SHORT_S:
            return False
        self._short.append(now)
        return len(self._short) == LIMIT and now - self._short[0] <= WINDOW_S
