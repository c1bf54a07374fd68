"""The watchdog of a connection: a process that no longer hears itself must end.

An exception in a client's callback can leave it deaf while it says that it is connected
(section 6, trap 1). So a process sends itself a ping; when three in a row do not come back
while the connection claims to stand, only a new process helps.
"""

from __future__ import annotations


class SelfPing:
    """Pure bookkeeping of pings; ``tick`` once an interval, ``echo`` when one comes back."""

    def __init__(self, limit: int = 3) -> None:
        self.limit = limit
        self.missed = 0
        self._seq = 0
        self._waiting: int | None = None

    def tick(self, *, connected: bool) -> int | None:
        """An interval has passed.

        Returns:
            The number of the ping to send now, or None while there is no connection.
        """
        if not connected:
            self.missed = 0
            self._waiting = None
            return None
        if self._waiting is not None:
            self.missed += 1
        self._seq += 1
        self._waiting = self._seq
        return self._seq

    def echo(self, seq: int) -> None:
        """A ping came back."""
        if self._waiting is not None and seq == self._waiting:
            self._waiting = None
            self.missed = 0

    @property
    def dead(self) -> bool:
        """Whether the connection is deaf although it says that it stands."""
        return self.missed >= self.limit
