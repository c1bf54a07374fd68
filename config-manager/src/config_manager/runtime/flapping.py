"""Two clients of one name throw each other out; this tells it from a broker that is away.

Whoever was thrown out gets in again at the first try. A broker that died or was ended says so, or
cannot be reached for a moment; a loss that such a moment follows counts for nothing.
"""

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
        self._lost_at: float | None = None
        self._short: deque[float] = deque(maxlen=LIMIT)

    def connected(self, now: float) -> bool:
        """A connection stands.

        Returns:
            Whether three within a minute were lost right after they stood, the last one just now.
        """
        self._connected_at = now
        lost, self._lost_at = self._lost_at, None
        if lost is None:
            return False
        self._short.append(lost)
        return len(self._short) == LIMIT and lost - self._short[0] <= WINDOW_S

    def lost(self, now: float) -> None:
        """It is gone."""
        began, self._connected_at = self._connected_at, None
        if began is not None and now - began <= SHORT_S:
            self._lost_at = now

    def away(self) -> None:
        """It is the broker that is away."""
        self._lost_at = None
