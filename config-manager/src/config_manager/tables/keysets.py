"""``keysets``: every keyset document that was accepted, for services that missed some."""

from __future__ import annotations

import sqlite3


def insert(db: sqlite3.Connection, version: int, document: bytes, now: str) -> None:
    """Keep a document; a version is kept once."""
    db.execute(
        "INSERT INTO keysets (keyset_version, document, accepted_at) VALUES (?, ?, ?)",
        (version, document, now),
    )


def newest(db: sqlite3.Connection) -> tuple[int, bytes] | None:
    """The keyset in force."""
    row = db.execute(
        "SELECT keyset_version, document FROM keysets ORDER BY keyset_version DESC LIMIT 1"
    ).fetchone()
    return (int(row[0]), bytes(row[1])) if row else None


def after(db: sqlite3.Connection, version: int, limit: int) -> list[bytes]:
    """The documents that follow a version, in order."""
    rows = db.execute(
        "SELECT document FROM keysets WHERE keyset_version > ? ORDER BY keyset_version LIMIT ?",
        (version, limit),
    )
    return [bytes(row[0]) for row in rows]
