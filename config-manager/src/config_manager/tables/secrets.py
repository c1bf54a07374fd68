"""``encrypted_secrets``: the ciphertext of secrets, with the id of the key it needs."""

from __future__ import annotations

import sqlite3


def put(
    db: sqlite3.Connection, service: str, key: str, encrypted: str, key_id: str, now: str
) -> None:
    """Write a secret's ciphertext."""
    db.execute(
        "INSERT INTO encrypted_secrets (service, key, encrypted_value, key_id, created_at, "
        "updated_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (service, key) DO UPDATE SET "
        "encrypted_value = excluded.encrypted_value, key_id = excluded.key_id, "
        "updated_at = excluded.updated_at",
        (service, key, encrypted, key_id, now, now),
    )


def remove(db: sqlite3.Connection, service: str, key: str) -> None:
    """Forget a secret."""
    db.execute("DELETE FROM encrypted_secrets WHERE service = ? AND key = ?", (service, key))


def find(db: sqlite3.Connection, service: str, key: str) -> tuple[str, str] | None:
    """The ciphertext of a secret and the id of its key."""
    row = db.execute(
        "SELECT encrypted_value, key_id FROM encrypted_secrets WHERE service = ? AND key = ?",
        (service, key),
    ).fetchone()
    return (row[0], row[1]) if row else None


def services_sealed_otherwise(db: sqlite3.Connection, key_id: str, limit: int) -> list[str]:
    """Services that have a secret under another key than this."""
    rows = db.execute(
        "SELECT DISTINCT service FROM encrypted_secrets WHERE key_id <> ? ORDER BY service LIMIT ?",
        (key_id, limit),
    )
    return [row[0] for row in rows]


def count_by_key(db: sqlite3.Connection) -> dict[str, int]:
    """How many secrets there are under each key id."""
    rows = db.execute("SELECT key_id, count(*) FROM encrypted_secrets GROUP BY key_id")
    return {row[0]: row[1] for row in rows}


def all_rows(db: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Service, key, ciphertext and key id of every secret."""
    return list(
        db.execute(
            "SELECT service, key, encrypted_value, key_id FROM encrypted_secrets "
            "ORDER BY service, key"
        )
    )
