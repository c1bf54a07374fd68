"""``profiles``: settings of several services under one name."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile; ``snapshot_json`` is service → settings, without secrets."""

    name: str
    description: str
    snapshot_json: str
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str


_COLUMNS = (
    "name, description, snapshot_json, created_at, created_by, updated_at, updated_by"  # of a row
)


def find(db: sqlite3.Connection, name: str) -> ProfileRow | None:
    """The profile of that name."""
    row = db.execute(f"SELECT {_COLUMNS} FROM profiles WHERE name = ?", (name,)).fetchone()  # noqa: S608  # names of columns
    return ProfileRow(*row) if row else None


def every(db: sqlite3.Connection) -> list[ProfileRow]:
    """All profiles in order of their names."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM profiles ORDER BY name")  # noqa: S608  # names of columns
    return [ProfileRow(*row) for row in rows]


def put(db: sqlite3.Connection, row: ProfileRow) -> None:
    """Keep a profile; of an older one under that name, who made it and when stays."""
    db.execute(
        "INSERT INTO profiles (name, description, snapshot_json, created_at, created_by, "
        "updated_at, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
        "description = excluded.description, snapshot_json = excluded.snapshot_json, "
        "updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        (row.name, row.description, row.snapshot_json, row.created_at, row.created_by,
         row.updated_at, row.updated_by),
    )  # fmt: skip


def remove(db: sqlite3.Connection, name: str) -> bool:
    """Forget a profile; whether there was one."""
    return db.execute("DELETE FROM profiles WHERE name = ?", (name,)).rowcount == 1
