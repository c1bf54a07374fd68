"""Two clients of one name throw each other out; this tells it from a broker that is away.

Whoever was thrown out loses one connection and gets in again at the first try. A broker that died
takes every connection with it at the same moment, or cannot be reached for a while; a loss like
that counts for nothing.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
SHORT_S = 5.0
"""A connection that was lost sooner than this was hardly there."""

LIMIT = 3

TOGETHER_S = 0.1
"""Two connections that are lost so close to each other were lost for one reason."""


class Flapping:
    """Counts connections that were lost right after they stood. Pure; times are monotonic."""

    def __init__(self) -> None:
        self._connected_at: float | None = None
        self._lost_at: float | None = None
        self._other_lost_at: float | None = None
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
        other = self._other_lost_at
        alone = other is None or now - other > TOGETHER_S
        if alone and began is not None and now - began <= SHORT_S:
            self._lost_at = now

    def other_lost(self, now: float) -> None:
        """Another connection of this process, under another name, is gone."""
        self._other_lost_at = now
        if self._lost_at is not None and now - self._lost_at <= TOGETHER_S:
            self._lost_at = None

    def settled(self) -> None:
        """The operator decided: what happened before counts no more."""
        self._short.clear()
        self._lost_at = None

    def away(self) -> None:
        """It is the broker that is away."""
        self._lost_at = None
