"""``service_configs``: one row per service, the newest version of its configuration."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """A row; ``config_json`` is the canonical text of the form that is broadcast (X26)."""

    service: str
    config_json: str
    version: int
    config_epoch: str
    updated_at: str
    updated_by: str | None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration; secrets are sealed."""
        value: dict[str, Any] = json.loads(self.config_json)
        return value


def find(db: sqlite3.Connection, service: str) -> ConfigRow | None:
    """The row of a service."""
    row = db.execute(
        "SELECT service, config_json, version, config_epoch, updated_at, updated_by "
        "FROM service_configs WHERE service = ?",
        (service,),
    ).fetchone()
    return ConfigRow(*row) if row else None


def names(db: sqlite3.Connection) -> list[str]:
    """Every service that has a row, in order."""
    return [row[0] for row in db.execute("SELECT service FROM service_configs ORDER BY service")]


def page(db: sqlite3.Connection, after: str, limit: int) -> list[ConfigRow]:
    """The rows of the next services in order; ``after`` is the last one seen, or empty."""
    rows = db.execute(
        "SELECT service, config_json, version, config_epoch, updated_at, updated_by "
        "FROM service_configs WHERE service > ? ORDER BY service LIMIT ?",
        (after, limit),
    )
    return [ConfigRow(*row) for row in rows]


def some(db: sqlite3.Connection, services: Sequence[str]) -> list[ConfigRow]:
    """The rows of these services; a service without a row is left out."""
    found = (find(db, service) for service in services)
    return [row for row in found if row is not None]


def insert(db: sqlite3.Connection, row: ConfigRow) -> None:
    """Add a service."""
    db.execute(
        "INSERT INTO service_configs (service, config_json, version, config_epoch, updated_at, "
        "updated_by) VALUES (?, ?, ?, ?, ?, ?)",
        (row.service, row.config_json, row.version, row.config_epoch, row.updated_at,
         row.updated_by),
    )  # fmt: skip


def replace(db: sqlite3.Connection, row: ConfigRow, expected: int) -> bool:
    """Put the next version in place of the expected one: one compare-and-set (C050).

    Args:
        db: within a transaction.
        row: what is to stand there; its ``version`` is ``expected + 1``.
        expected: the version that must be there now.

    Returns:
        Whether it was there.
    """
    done = db.execute(
        "UPDATE service_configs SET config_json = ?, config_epoch = ?, updated_at = ?, "
        "updated_by = ?, version = version + 1 WHERE service = ? AND version = ?",
        (row.config_json, row.config_epoch, row.updated_at, row.updated_by, row.service, expected),
    )
    return done.rowcount == 1
