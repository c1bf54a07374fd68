"""``service_config_snapshots``: every version that was ever accepted, for exact rollback."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from config_manager.errors import CorruptedError
from config_manager.tables.configs import ConfigRow


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version of a service's configuration, never pruned."""

    service: str
    version: int
    config_epoch: str
    config_json: str
    checksum: str
    changed_at: str
    changed_by: str
    change_reason: str | None
    transaction_id: str | None


def insert(db: sqlite3.Connection, row: Snapshot) -> None:
    """Add a version."""
    db.execute(
        "INSERT INTO service_config_snapshots (service, version, config_epoch, config_json, "
        "checksum, changed_at, changed_by, change_reason, transaction_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.service, row.version, row.config_epoch, row.config_json, row.checksum, row.changed_at,
         row.changed_by, row.change_reason, row.transaction_id),
    )  # fmt: skip


def find(db: sqlite3.Connection, service: str, version: int) -> Snapshot | None:
    """One version of a service."""
    row = db.execute(
        "SELECT service, version, config_epoch, config_json, checksum, changed_at, changed_by, "
        "change_reason, transaction_id FROM service_config_snapshots "
        "WHERE service = ? AND version = ?",
        (service, version),
    ).fetchone()
    return Snapshot(*row) if row else None


def require_same(db: sqlite3.Connection, row: ConfigRow) -> None:
    """See that a row still says what it said when it was accepted: bits rot.

    Raises:
        CorruptedError: it does not.
    """
    kept = db.execute(
        "SELECT checksum FROM service_config_snapshots WHERE service = ? AND version = ?",
        (row.service, row.version),
    ).fetchone()
    found = hashlib.sha256(row.config_json.encode(errors="replace")).hexdigest()
    if kept is None or kept[0] != found:
        raise CorruptedError(f"the stored settings of {row.service} are not what was accepted")


def has_checksum(db: sqlite3.Connection, service: str, checksum: str) -> bool:
    """Whether this service ever had a configuration with this checksum."""
    return (
        db.execute(
            "SELECT 1 FROM service_config_snapshots WHERE service = ? AND checksum = ? LIMIT 1",
            (service, checksum),
        ).fetchone()
        is not None
    )
