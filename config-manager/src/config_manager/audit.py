"""The audit chain: each row of history, access and lifecycle is bound to all before it.

The rule is that of :mod:`parlour_config.audit_chain`. Whoever changes a row, takes one out or puts
one in has to change every later head, and the newest is in each heartbeat. Lifecycle rows have
no table of their own: they are kept as JSON beside their head.

Old access rows are pruned. The heads of what was there stay, and an ``anchor`` row binds them
all at once, so that a gap in the rows is no gap in the chain.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

from parlour_config.audit_chain import (
    ACCESS,
    CHANGE,
    START,
    ChainReport,
    Source,
    next_head,
    verify,
)
from parlour_config.canonical import canonical

from config_manager.tables import access, history
from config_manager.tables.access import AccessRow
from config_manager.tables.history import HistoryRow

__all__ = ["START", "Chain", "ChainReport", "Source", "head", "verify"]


class Chain:
    """Appends within one transaction; make a new one for the next."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        row = db.execute("SELECT seq, head FROM audit_chain ORDER BY seq DESC LIMIT 1").fetchone()
        self._seq, self.head = (int(row[0]), str(row[1])) if row else (0, START)

    def change(self, row: HistoryRow) -> None:
        """Record a change of a setting."""
        row_id = history.insert(self._db, row)
        self._append("config_history", row_id, {n: getattr(row, n) for n in CHANGE}, None)

    def access(self, row: AccessRow) -> None:
        """Record a request."""
        row_id = access.insert(self._db, row)
        values = {name: getattr(row, name) for name in ACCESS}
        self._append("access_log", row_id, {**values, "success": int(row.success)}, None)

    def lifecycle(self, event: str, at: str, by: str, **facts: str | float | None) -> None:
        """Record an event in the life of the database: an epoch, a takeover, a keyset.

        Args:
            event: a word with dashes, such as ``epoch``.
            at: the moment.
            by: the user, or ``system:…``.
            facts: names and numbers, never values of settings.
        """
        self._free("lifecycle", {"event": event, "at": at, "by": by, **facts})

    def prune_access(self, before: str, at: str) -> int:
        """Delete access rows older than a moment and anchor the heads that they leave.

        Returns:
            How many rows went.
        """
        last = access.newest_id_before(self._db, before)
        row = self._db.execute(
            "SELECT max(seq) FROM audit_chain WHERE source = 'access_log' AND row_id <= ?", (last,)
        ).fetchone()
        gone = access.remove_up_to(self._db, last)
        if gone and row[0] is not None:
            heads = hashlib.sha256()
            for seq, head in self._db.execute(
                "SELECT seq, head FROM audit_chain WHERE seq <= ? ORDER BY seq", (row[0],)
            ):
                heads.update(b"%d %s\n" % (seq, head.encode()))
            self._free(
                "anchor",
                {
                    "at": at,
                    "access_up_to": last,
                    "last_seq": int(row[0]),
                    "heads_sha256": heads.hexdigest(),
                },
            )
        return gone

    def _free(self, source: Source, row: dict[str, Any]) -> None:
        self._append(source, None, row, canonical(row).decode())

    def _append(
        self, source: Source, row_id: int | None, row: dict[str, Any], text: str | None
    ) -> None:
        self._seq += 1
        self.head = next_head(self.head, source, row_id or self._seq, row)
        self._db.execute(
            "INSERT INTO audit_chain (seq, source, row_id, row_json, head) VALUES (?, ?, ?, ?, ?)",
            (self._seq, source, row_id, text, self.head),
        )


def head(db: sqlite3.Connection) -> str:
    """The newest head, 64 hex digits."""
    return Chain(db).head
