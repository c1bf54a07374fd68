"""``epochs``: the lineages of this database that are known; one of them is active."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from parlour_config.clock import parse_moment
from parlour_contracts.messages.configuration import ConfigEpochMetadata

EpochReason = Literal[
    "created", "rebuilt", "restored", "restored-behind", "takeover", "key-revoked", "predecessor"
]


@dataclass(frozen=True, slots=True)
class EpochRow:
    """A lineage; nothing was signed in it at or below ``minted_floor``."""

    config_epoch: str
    created_at: str
    minted_floor: str
    schema_version: int
    active: bool
    reason: EpochReason


def active(db: sqlite3.Connection) -> EpochRow:
    """The epoch that configuration is signed with now."""
    row = db.execute(
        "SELECT config_epoch, created_at, minted_floor, schema_version, active, reason "
        "FROM epochs WHERE active = 1"
    ).fetchone()
    return EpochRow(row[0], row[1], row[2], row[3], bool(row[4]), row[5])


def known(db: sqlite3.Connection) -> set[str]:
    """Every epoch in the table."""
    return {row[0] for row in db.execute("SELECT config_epoch FROM epochs")}


def insert(db: sqlite3.Connection, row: EpochRow) -> None:
    """Add an epoch; one that is there already stays as it is."""
    db.execute(
        "INSERT OR IGNORE INTO epochs (config_epoch, created_at, minted_floor, schema_version, "
        "active, reason) VALUES (?, ?, ?, ?, ?, ?)",
        (row.config_epoch, row.created_at, row.minted_floor, row.schema_version, int(row.active),
         row.reason),
    )  # fmt: skip


def retire_active(db: sqlite3.Connection) -> None:
    """Leave the active epoch; another must follow in the same transaction."""
    db.execute("UPDATE epochs SET active = 0 WHERE active = 1")


def metadata(db: sqlite3.Connection) -> ConfigEpochMetadata:
    """The active epoch as S2's model (C009)."""
    row = active(db)
    rebuilt = db.execute("SELECT max(created_at) FROM epochs WHERE reason = 'rebuilt'").fetchone()
    return ConfigEpochMetadata(
        config_epoch=row.config_epoch,
        schema_version=row.schema_version,
        created_at=parse_moment(row.created_at),
        last_rebuild=parse_moment(rebuilt[0]) if rebuilt[0] else None,
    )
