"""What the access log is told: reads in batches, the rest at once, floods counted.

Reads are many and change nothing, so they are counted per user and service and written once a
minute, which spares the card. Denials are written at once, but at most one row a second for
each user, with a count, so that a flood cannot fill the disk.

The journal belongs to the event loop. What it has counted is taken there, handed to the writer's
thread, and put back when that could not write it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from config_manager.audit import Chain
from config_manager.tables.access import AccessRow

MOST_READS = 1024
"""After so many different reads they are written early."""

DENIAL_INTERVAL_S = 1.0


@dataclass
class _Denials:
    since: float
    held: int = 0


@dataclass(frozen=True)
class Counted:
    """What was counted up to a moment.

    Attributes:
        reads: user, service and op → how often.
        denials: user → how many that no row tells of yet.
    """

    reads: Mapping[tuple[str, str, str], int]
    denials: Mapping[str, int]

    def rows(self, timestamp: str) -> list[AccessRow]:
        """The rows that tell of it."""
        by_service: dict[tuple[str, str], list[str]] = {}
        for (user, service, op), count in sorted(self.reads.items()):
            by_service.setdefault((user, service), []).append(f"{count} {op}")
        read = [
            AccessRow(user, "read", service, None, True, ", ".join(texts), timestamp)
            for (user, service), texts in by_service.items()
        ]
        denied = [
            AccessRow(user, "unauthorized", None, None, False, f"{held} more denials", timestamp)
            for user, held in self.denials.items()
        ]
        return read + denied


class Journal:
    """Collects access rows; nothing is written by itself.

    Args:
        monotonic: seconds that only grow.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._reads: Counter[tuple[str, str, str]] = Counter()
        self._back = 0
        self._denials: dict[str, _Denials] = {}

    def read(self, user: str, service: str, op: str) -> None:
        """Count a read."""
        self._reads[user, service, op] += 1

    @property
    def full(self) -> bool:
        """Whether the reads should be written now; those put back wait for as many new ones."""
        return len(self._reads) >= self._back + MOST_READS

    def denied(self, row: AccessRow) -> AccessRow | None:
        """The row to write for a denial, or None when one was written within the second."""
        now, user = self._monotonic(), row.user_id or ""
        last = self._denials.get(user)
        if last is not None and now - last.since < DENIAL_INTERVAL_S:
            last.held += 1
            return None
        held = last.held if last else 0
        if len(self._denials) >= MOST_READS:
            self._denials = {
                name: seen
                for name, seen in self._denials.items()
                if seen.held or now - seen.since < DENIAL_INTERVAL_S
            }
        self._denials[user] = _Denials(now)
        return replace(row, reason=f"{row.reason}; {held} more before it") if held else row

    def take(self) -> Counted:
        """What was counted since; the counts begin anew.

        A denial that was only counted is among it when no other followed that tells of it.
        """
        reads, self._reads, self._back = self._reads, Counter(), 0
        denials = {user: seen.held for user, seen in self._denials.items() if seen.held}
        for user in denials:
            self._denials[user].held = 0
        return Counted(reads, denials)

    def put_back(self, counted: Counted) -> None:
        """Count once more what was taken and could not be written."""
        self._reads.update(counted.reads)
        self._back = len(self._reads)
        for user, held in counted.denials.items():
            self._denials.setdefault(user, _Denials(self._monotonic())).held += held


def write_rows(db: sqlite3.Connection, rows: list[AccessRow]) -> None:
    """Write access rows and their chain."""
    chain = Chain(db)
    for row in rows:
        chain.access(row)
