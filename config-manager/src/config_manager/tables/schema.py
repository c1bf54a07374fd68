"""``schema_version``: the form of the database and what its settings must fit (C008, C041)."""

from __future__ import annotations

import sqlite3

from parlour_config.clock import parse_moment
from parlour_contracts.messages.configuration import SchemaVersion


def get(db: sqlite3.Connection) -> SchemaVersion:
    """The one row as S2's model."""
    row = db.execute(
        "SELECT version, model_hash, updated_at FROM schema_version WHERE id = 1"
    ).fetchone()
    return SchemaVersion(version=row[0], model_hash=row[1], updated_at=parse_moment(row[2]))


def note_models(db: sqlite3.Connection, model_hash: str, now: str) -> None:
    """Note the models that all stored settings fit now."""
    db.execute(
        "UPDATE schema_version SET model_hash = ?, updated_at = ? WHERE id = 1 AND model_hash <> ?",
        (model_hash, now, model_hash),
    )
