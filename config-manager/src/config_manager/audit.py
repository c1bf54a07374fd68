"""The audit chain: each row of history, access and lifecycle is bound to all before it.

``head_n = SHA-256(head_{n-1} ‖ JCS(row))``, the row being its columns with ``source`` and
``id``; the first head is made from a fixed text. Whoever changes a row, takes one out or puts
one in has to change every later head, and the newest is in each heartbeat. Lifecycle rows have
no table of their own: they are kept as JSON beside their head.

Old access rows are pruned. The heads of what was there stay, and an ``anchor`` row binds them
all at once, so that a gap in the rows is no gap in the chain.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from parlour_config.canonical import canonical

from config_manager.tables import access, history
from config_manager.tables.access import AccessRow
from config_manager.tables.history import HistoryRow

Source = Literal["config_history", "access_log", "lifecycle", "anchor"]

START = hashlib.sha256(b"parlour/audit/v1").hexdigest()

_CHANGE = ("service", "key", "old_value_json", "new_value_json", "changed_at", "changed_by",
           "change_reason")  # fmt: skip
_ACCESS = ("user_id", "action", "service", "key", "success", "reason", "timestamp")


class Chain:
    """Appends within one transaction; make a new one for the next."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        row = db.execute("SELECT seq, head FROM audit_chain ORDER BY seq DESC LIMIT 1").fetchone()
        self._seq, self.head = (int(row[0]), str(row[1])) if row else (0, START)

    def change(self, row: HistoryRow) -> None:
        """Record a change of a setting."""
        row_id = history.insert(self._db, row)
        self._append("config_history", row_id, {n: getattr(row, n) for n in _CHANGE}, None)

    def access(self, row: AccessRow) -> None:
        """Record a request."""
        row_id = access.insert(self._db, row)
        values = {name: getattr(row, name) for name in _ACCESS}
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
        self.head = _next(self.head, source, row_id or self._seq, row)
        self._db.execute(
            "INSERT INTO audit_chain (seq, source, row_id, row_json, head) VALUES (?, ?, ?, ?, ?)",
            (self._seq, source, row_id, text, self.head),
        )


def head(db: sqlite3.Connection) -> str:
    """The newest head, 64 hex digits."""
    return Chain(db).head


@dataclass(frozen=True)
class ChainReport:
    """What a check of the chain brought.

    Attributes:
        rows: how many rows were looked at.
        head: the newest head that follows from the rows; compare it with a heartbeat's.
        first_bad: the first row of the chain that does not follow, or None.
        problem: what is wrong with it, in words.
    """

    rows: int
    head: str
    first_bad: int | None = None
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was altered."""
        return self.first_bad is None


class _BrokenError(Exception):
    """The chain does not follow at a row."""


def verify(db: sqlite3.Connection) -> ChainReport:
    """Check every row against its head; one pass, memory does not grow with the rows."""
    check = _Check(db)
    try:
        for row in _joined(db):
            check.take(*row)
        check.end(db)
    except _BrokenError as error:
        return ChainReport(check.rows, check.head, check.rows + 1, str(error))
    return ChainReport(check.rows, check.head)


_Joined = tuple[
    int, Source, int | None, str | None, str, dict[str, Any] | None
]  # seq, source, row id, row text, head, the row itself


class _Check:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.rows = 0
        self.head = START
        self._heads = hashlib.sha256()
        self._counts: dict[str, int] = {"config_history": 0, "access_log": 0}
        self._last_ids: dict[str, int] = {"config_history": 0, "access_log": 0}
        self._anchors = _anchors(db)
        self._anchored = max(self._anchors, default=0)

    def take(
        self, seq: int, source: Source, row_id: int | None, text: str | None, head: str,
        row: dict[str, Any] | None,
    ) -> None:  # fmt: skip
        if seq != self.rows + 1:
            raise _BrokenError("a row of the chain is missing")
        if source in self._last_ids:
            if row_id is None or row_id <= self._last_ids[source]:
                raise _BrokenError("rows were put in another order")
            self._last_ids[source] = row_id
        if row is not None:
            if source in self._counts:
                self._counts[source] += 1
            if _next(self.head, source, row_id or seq, row) != head:
                raise _BrokenError("the row was altered")
        elif source != "access_log" or seq > self._anchored:
            raise _BrokenError("the row was removed")
        self.head = head
        self.rows = seq
        self._heads.update(b"%d %s\n" % (seq, head.encode()))
        expected = self._anchors.get(seq)
        if expected is not None and expected != self._heads.hexdigest():
            raise _BrokenError("what an anchor bound was altered")
        if source == "anchor" and text is not None and json.loads(text)["last_seq"] >= seq:
            raise _BrokenError("an anchor binds what follows it")

    def end(self, db: sqlite3.Connection) -> None:
        """See that no row lies outside the chain."""
        found = {
            "config_history": db.execute("SELECT count(*) FROM config_history").fetchone()[0],
            "access_log": db.execute("SELECT count(*) FROM access_log").fetchone()[0],
        }
        if found != self._counts:
            raise _BrokenError("there are rows that the chain does not know")


def _anchors(db: sqlite3.Connection) -> dict[int, str]:
    """What each anchor binds: the last row → the hash over all heads up to it."""
    rows = db.execute("SELECT row_json FROM audit_chain WHERE source = 'anchor' ORDER BY seq")
    anchors = [json.loads(row[0]) for row in rows]
    return {int(anchor["last_seq"]): str(anchor["heads_sha256"]) for anchor in anchors}


def _joined(db: sqlite3.Connection) -> Iterator[_Joined]:
    rows = db.execute(
        "SELECT c.seq, c.source, c.row_id, c.row_json, c.head, h.id, h.service, h.key, "
        "h.old_value_json, h.new_value_json, h.changed_at, h.changed_by, h.change_reason, "
        "a.id, a.user_id, a.action, a.service, a.key, a.success, a.reason, a.timestamp "
        "FROM audit_chain c "
        "LEFT JOIN config_history h ON c.source = 'config_history' AND h.id = c.row_id "
        "LEFT JOIN access_log a ON c.source = 'access_log' AND a.id = c.row_id ORDER BY c.seq"
    )
    for seq, source, row_id, text, head_text, *rest in rows:
        row: dict[str, Any] | None = None
        if source == "config_history" and rest[0] is not None:
            row = dict(zip(_CHANGE, rest[1:8], strict=True))
        elif source == "access_log" and rest[8] is not None:
            row = dict(zip(_ACCESS, rest[9:], strict=True))
        elif text is not None:
            row = json.loads(text)
        yield seq, source, row_id, text, head_text, row


def _next(before: str, source: Source, row_id: int, row: dict[str, Any]) -> str:
    """The head that follows."""
    text = canonical({"source": source, "id": row_id, **row})
    return hashlib.sha256(bytes.fromhex(before) + text).hexdigest()
