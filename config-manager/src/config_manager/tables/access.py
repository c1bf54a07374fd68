"""``access_log``: who asked for what, and whether it was granted."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from config_manager.moments import BUILT

Action = Literal["read", "write", "reveal_secret", "unauthorized"]


@dataclass(frozen=True, slots=True)
class AccessRow:
    """A request, or several alike within a minute."""

    user_id: str | None
    action: Action
    service: str | None
    key: str | None
    success: bool
    reason: str | None
    timestamp: str


def insert(db: sqlite3.Connection, row: AccessRow) -> int:
    """Add a row; the id comes back."""
    done = db.execute(
        "INSERT INTO access_log (user_id, action, service, key, success, reason, timestamp) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.user_id, row.action, row.service, row.key, int(row.success), row.reason,
         row.timestamp),
    )  # fmt: skip
    return int(done.lastrowid or 0)


def any_before(db: sqlite3.Connection, moment: str) -> bool:
    """Whether there is something for :func:`newest_id_before` to find, which asks far less.

    The first row whose age is known decides: what is older than it further on stays with it.
    """
    row = db.execute(  # by the order of the rows: the index of times would sort all of them
        "SELECT timestamp < ? FROM access_log NOT INDEXED WHERE timestamp >= ? ORDER BY id LIMIT 1",
        (moment, BUILT),
    ).fetchone()
    return row is not None and bool(row[0])


def newest_id_before(db: sqlite3.Connection, moment: str) -> int:
    """The id up to which every row is older; 0 when there is none.

    A row that a clock wrote which nobody had set is as old as the row before it that tells.
    """
    row = db.execute(
        "SELECT coalesce(max(id), 0) FROM access_log WHERE timestamp < ? AND timestamp >= ? "
        "AND id < coalesce((SELECT min(id) FROM access_log WHERE timestamp >= ?), id + 1)",
        (moment, BUILT, moment),
    ).fetchone()
    return int(row[0])


def remove_up_to(db: sqlite3.Connection, row_id: int) -> int:
    """Delete the oldest rows; how many comes back."""
    return db.execute("DELETE FROM access_log WHERE id <= ?", (row_id,)).rowcount
