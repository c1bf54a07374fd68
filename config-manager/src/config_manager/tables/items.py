"""``config_items``: settings one by one, for search without reading JSON."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from parlour_config.clock import parse_moment
from parlour_contracts.messages.configuration import ConfigComplexity, ConfigItem, ConfigType


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A setting; ``value_json`` of a secret is masked."""

    service: str
    key: str
    value_json: str
    type: str
    complexity: str
    description: str
    help_text: str
    is_secret: bool
    updated_at: str
    updated_by: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; None and the empty text find everything."""

    text: str = ""
    service: str | None = None
    complexity: str | None = None
    type: str | None = None
    limit: int = 50


def put(db: sqlite3.Connection, row: ItemRow) -> None:
    """Write a setting's newest value and what is known of it."""
    db.execute(
        "INSERT INTO config_items (service, key, value_json, type, complexity, description, "
        "help_text, is_secret, updated_at, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (service, key) DO UPDATE SET value_json = excluded.value_json, "
        "type = excluded.type, complexity = excluded.complexity, "
        "description = excluded.description, help_text = excluded.help_text, "
        "is_secret = excluded.is_secret, updated_at = excluded.updated_at, "
        "updated_by = excluded.updated_by",
        (row.service, row.key, row.value_json, row.type, row.complexity, row.description,
         row.help_text, int(row.is_secret), row.updated_at, row.updated_by),
    )  # fmt: skip


def remove(db: sqlite3.Connection, service: str, key: str) -> None:
    """Forget a setting that its service no longer has."""
    db.execute("DELETE FROM config_items WHERE service = ? AND key = ?", (service, key))


def describe(db: sqlite3.Connection, row: ItemRow) -> None:
    """Bring the words about a setting up to date; its value and times stay."""
    db.execute(
        "UPDATE config_items SET type = ?, complexity = ?, description = ?, help_text = ?, "
        "is_secret = ? WHERE service = ? AND key = ?",
        (row.type, row.complexity, row.description, row.help_text, int(row.is_secret),
         row.service, row.key),
    )  # fmt: skip


_SEARCH = """
WITH named AS (
    SELECT id, service, key, description, help_text,
        replace(CASE WHEN service LIKE '%-worker' THEN substr(service, 1, length(service) - 7)
            ELSE service END, '-', '_') || '.' || key AS full_key
    FROM config_items
    WHERE (:service IS NULL OR service = :service)
        AND (:complexity IS NULL OR complexity = :complexity)
        AND (:type IS NULL OR type = :type)
), scored AS (
    SELECT id, service, CASE
        WHEN :text = '' OR key = :text OR full_key = :text THEN 1.0
        WHEN instr(key, :text) = 1 OR instr(full_key, :text) = 1 THEN 0.8
        WHEN instr(full_key, :text) THEN 0.6
        WHEN instr(lower(description), :text) OR instr(lower(help_text), :text) THEN 0.3
        ELSE 0.0 END AS score
    FROM named
), best AS (
    SELECT id, service, score, count(*) OVER () AS total FROM scored WHERE score > 0
    ORDER BY score DESC, service, id LIMIT :limit
)
SELECT i.id, i.service, i.key, i.value_json, i.type, i.complexity, i.description, i.help_text,
    i.is_secret, i.updated_at, i.updated_by, best.total
FROM best JOIN config_items i ON i.id = best.id ORDER BY best.score DESC, best.service, best.id
"""


def search(db: sqlite3.Connection, query: Query) -> tuple[list[ConfigItem], int]:
    """Settings by their names and descriptions, best first, and how many there are in all.

    A name that is the text scores 1.0, one that begins with it 0.8, one that contains it 0.6,
    a description that contains it 0.3 (C081). Names count with and without their service.
    """
    given = {
        "text": query.text.strip().lower(),
        "service": query.service,
        "complexity": query.complexity,
        "type": query.type,
        "limit": query.limit,
    }
    rows = db.execute(_SEARCH, given).fetchall()
    return [_item(row) for row in rows], int(rows[0][11]) if rows else 0


def _item(row: tuple[Any, ...]) -> ConfigItem:
    return ConfigItem(
        id=row[0],
        service=row[1],
        key=row[2],
        value_json=row[3],
        type=ConfigType(row[4]),
        complexity=ConfigComplexity(row[5]),
        description=row[6],
        help_text=row[7] or "",
        is_secret=bool(row[8]),
        updated_at=parse_moment(row[9]),
        updated_by=row[10],
    )
