"""What the access log is told: reads in batches, the rest at once, floods counted.

Reads are many and change nothing, so they are counted per user and service and written once a
minute, which spares the card. Denials are written at once, but at most one row a second for
each user, with a count, so that a flood cannot fill the disk.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from config_manager.audit import Chain
from config_manager.tables.access import AccessRow

MOST_READS = 1024
"""So many pairs of user and service are held at most; then they are written early."""

DENIAL_INTERVAL_S = 1.0


@dataclass
class _Denials:
    since: float
    held: int = 0


class Journal:
    """Collects access rows; nothing is written by itself.

    Args:
        monotonic: seconds that only grow.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._reads: Counter[tuple[str, str, str]] = Counter()
        self._denials: dict[str, _Denials] = {}

    def read(self, user: str, service: str, op: str) -> None:
        """Count a read."""
        self._reads[user, service, op] += 1

    @property
    def full(self) -> bool:
        """Whether the reads should be written now."""
        return len(self._reads) >= MOST_READS

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

    def take(self, timestamp: str) -> list[AccessRow]:
        """The rows of what was counted since; the counts begin anew.

        A denial that was only counted gets its row here when no other followed.
        """
        reads, self._reads = self._reads, Counter()
        by_service: dict[tuple[str, str], list[str]] = {}
        for (user, service, op), count in sorted(reads.items()):
            by_service.setdefault((user, service), []).append(f"{count} {op}")
        rows = [
            AccessRow(user, "read", service, None, True, ", ".join(texts), timestamp)
            for (user, service), texts in by_service.items()
        ]
        for user, seen in self._denials.items():
            if seen.held:
                reason = f"{seen.held} more denials"
                rows.append(AccessRow(user, "unauthorized", None, None, False, reason, timestamp))
                seen.held = 0
        return rows


def write_rows(db: sqlite3.Connection, rows: list[AccessRow]) -> None:
    """Write access rows and their chain."""
    chain = Chain(db)
    for row in rows:
        chain.access(row)
