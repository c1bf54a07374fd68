"""The rule of config-manager's audit chain, and the check of a whole one.

``head_n = SHA-256(head_{n-1} ‖ JCS(row))``, the row being its columns with ``source`` and
``id``; the first head is made from a fixed text. A row of the chain is one of history or of the
access log, or stands in the chain itself (``lifecycle``, ``anchor``). Old access rows may be gone
as long as an ``anchor`` row binds the heads that they left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from parlour_config.canonical import canonical

Source = Literal["config_history", "access_log", "lifecycle", "anchor"]

START = hashlib.sha256(b"parlour/audit/v1").hexdigest()
"""The head before the first row."""

CHANGE = ("service", "key", "old_value_json", "new_value_json", "changed_at", "changed_by",
          "change_reason")  # fmt: skip
"""The columns of ``config_history`` that count."""

ACCESS = ("user_id", "action", "service", "key", "success", "reason", "timestamp")
"""The columns of ``access_log`` that count."""


class Rows(Protocol):
    """What a query brings."""

    def __iter__(self) -> Iterator[Any]:
        """Row after row."""
        ...

    def fetchone(self) -> Any:
        """The next row."""
        ...


class Readable(Protocol):
    """A database that somebody else has opened: nothing here can open one."""

    def execute(self, sql: str, /) -> Rows:
        """Run a query."""
        ...


def next_head(before: str, source: Source, row_id: int, row: Mapping[str, Any]) -> str:
    """The head that follows.

    Args:
        before: the head so far, 64 hex digits.
        source: where the row stands.
        row_id: its number there.
        row: its columns.
    """
    text = canonical({"source": source, "id": row_id, **row})
    return hashlib.sha256(bytes.fromhex(before) + text).hexdigest()


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


def verify(db: Readable) -> ChainReport:
    """Check every row against its head; one pass, memory does not grow with the rows.

    Args:
        db: a database with the tables of config-manager; nothing is written.

    Raises:
        sqlite3.Error: it cannot be read, or has other tables.
    """
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
    def __init__(self, db: Readable) -> None:
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
            if next_head(self.head, source, row_id or seq, row) != head:
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

    def end(self, db: Readable) -> None:
        """See that no row lies outside the chain."""
        found = {
            "config_history": db.execute("SELECT count(*) FROM config_history").fetchone()[0],
            "access_log": db.execute("SELECT count(*) FROM access_log").fetchone()[0],
        }
        if found != self._counts:
            raise _BrokenError("there are rows that the chain does not know")


def _anchors(db: Readable) -> dict[int, str]:
    """What each anchor binds: the last row → the hash over all heads up to it."""
    rows = db.execute("SELECT row_json FROM audit_chain WHERE source = 'anchor' ORDER BY seq")
    anchors = [json.loads(row[0]) for row in rows]
    return {int(anchor["last_seq"]): str(anchor["heads_sha256"]) for anchor in anchors}


def _joined(db: Readable) -> Iterator[_Joined]:
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
            row = dict(zip(CHANGE, rest[1:8], strict=True))
        elif source == "access_log" and rest[8] is not None:
            row = dict(zip(ACCESS, rest[9:], strict=True))
        elif text is not None:
            row = json.loads(text)
        yield seq, source, row_id, text, head_text, row
