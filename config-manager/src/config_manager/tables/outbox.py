"""``outbox``: what the broker does not have yet, written with the change that made it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send; ``expiry_s`` is its life at the broker, None is for ever."""

    id: int
    topic: str
    payload: bytes
    retain: bool
    expiry_s: int | None


def add(
    db: sqlite3.Connection,
    topic: str,
    payload: bytes,
    now: str,
    *,
    retain: bool = True,
    expiry_s: int | None = None,
) -> int:
    """Add a message; the id comes back."""
    done = db.execute(
        "INSERT INTO outbox (topic, payload, retain, expiry_s, created_at) VALUES (?, ?, ?, ?, ?)",
        (topic, payload, int(retain), expiry_s, now),
    )
    return int(done.lastrowid or 0)


def due(db: sqlite3.Connection, limit: int, after: int = 0) -> list[Outgoing]:
    """The newest message of each topic, oldest first; those up to ``after`` are left out."""
    rows = db.execute(
        "SELECT id, topic, payload, retain, expiry_s FROM outbox o WHERE id > ? AND NOT EXISTS "
        "(SELECT 1 FROM outbox n WHERE n.topic = o.topic AND n.id > o.id) ORDER BY id LIMIT ?",
        (after, limit),
    )
    return [Outgoing(row[0], row[1], bytes(row[2]), bool(row[3]), row[4]) for row in rows]


def newest(db: sqlite3.Connection, topic: str) -> bytes | None:
    """What waits for a topic, the newest; None when the broker has everything."""
    row = db.execute(
        "SELECT payload FROM outbox WHERE topic = ? ORDER BY id DESC LIMIT 1", (topic,)
    ).fetchone()
    return bytes(row[0]) if row else None


def sent(db: sqlite3.Connection, messages: Iterable[tuple[str, int]]) -> None:
    """Forget what the broker has: the messages of a topic up to an id."""
    db.executemany("DELETE FROM outbox WHERE topic = ? AND id <= ?", list(messages))


def count(db: sqlite3.Connection) -> int:
    """How many rows wait."""
    return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])
