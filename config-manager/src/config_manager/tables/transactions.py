"""``transactions``: answers of accepted changes, so that a retry is not carried out again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from config_manager.moments import BUILT

KEPT = 10_000
"""No more answers than these are kept."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer and what it answered."""

    body_sha256: str
    answer_json: str
    created_at: str


def find(db: sqlite3.Connection, user: str, transaction: str) -> Stored | None:
    """The answer that a user's transaction got."""
    row = db.execute(
        "SELECT body_sha256, answer_json, created_at FROM transactions "
        "WHERE user_id = ? AND transaction_id = ?",
        (user, transaction),
    ).fetchone()
    return Stored(*row) if row else None


def put(db: sqlite3.Connection, user: str, transaction: str, row: Stored) -> None:
    """Keep an answer; one that was kept under the same id and is out of date gives way."""
    db.execute(
        "INSERT OR REPLACE INTO transactions (user_id, transaction_id, body_sha256, answer_json, "
        "created_at) VALUES (?, ?, ?, ?, ?)",
        (user, transaction, row.body_sha256, row.answer_json, row.created_at),
    )


def prune(db: sqlite3.Connection, before: str | None, kept: int = KEPT) -> int:
    """Forget answers of another day, and the oldest beyond so many.

    Args:
        db: within a transaction.
        before: answers older than this go, but for those whose age nobody knows; None when the
            time is not known.
        kept: how many stay at most.

    Returns:
        How many went.
    """
    gone = 0
    if before is not None:
        gone = db.execute(
            "DELETE FROM transactions WHERE created_at < ? AND created_at >= ?", (before, BUILT)
        ).rowcount
    edge = db.execute(
        "SELECT created_at FROM transactions ORDER BY created_at DESC LIMIT 1 OFFSET ?", (kept,)
    ).fetchone()
    if edge:
        gone += db.execute("DELETE FROM transactions WHERE created_at <= ?", edge).rowcount
    return gone
