"""``config_history``: who changed which setting, when and why; secrets by their tag alone."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

DELETED = "deleted"
"""The reason of a row that records the end of a setting; its new value is JSON null (X27)."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A change of one setting."""

    service: str
    key: str
    old_value_json: str | None
    new_value_json: str
    changed_at: str
    changed_by: str | None
    change_reason: str | None


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which changes; None means all, times are texts of moments (C082)."""

    service: str
    key: str | None = None
    before_id: int | None = None
    start: str | None = None
    end: str | None = None
    limit: int = 50


def insert(db: sqlite3.Connection, row: HistoryRow) -> int:
    """Add a change; the id comes back."""
    done = db.execute(
        "INSERT INTO config_history (service, key, old_value_json, new_value_json, changed_at, "
        "changed_by, change_reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.service, row.key, row.old_value_json, row.new_value_json, row.changed_at,
         row.changed_by, row.change_reason),
    )  # fmt: skip
    return int(done.lastrowid or 0)


_NAMES = (
    "id", "service", "key", "old_value_json", "new_value_json", "changed_at", "changed_by",
    "change_reason", "version",
)  # fmt: skip


def page(db: sqlite3.Connection, query: HistoryQuery) -> list[dict[str, Any]]:
    """Changes, newest first, each with the version that it led to (null when not known)."""
    rows = db.execute(
        "SELECT h.id, h.service, h.key, h.old_value_json, h.new_value_json, h.changed_at, "
        "h.changed_by, h.change_reason, (SELECT max(s.version) FROM service_config_snapshots s "
        "WHERE s.service = h.service AND s.changed_at = h.changed_at) "
        "FROM config_history h WHERE h.service = :service "
        "AND (:key IS NULL OR h.key = :key) AND (:before_id IS NULL OR h.id < :before_id) "
        "AND (:start IS NULL OR h.changed_at >= :start) AND (:end IS NULL OR h.changed_at <= :end) "
        "ORDER BY h.id DESC LIMIT :limit",
        {
            "service": query.service,
            "key": query.key,
            "before_id": query.before_id,
            "start": query.start,
            "end": query.end,
            "limit": query.limit,
        },
    )
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]
