"""What must be true of a database file, and what it says of itself."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from uuid import UUID

from parlour_kit.errors import StartupError

from config_manager.errors import CorruptedError


@dataclass(frozen=True)
class Facts:
    """What the database says of itself."""

    config_epoch: str = ""
    schema_version: int = 0


def read_facts(db: sqlite3.Connection) -> Facts:
    """The active epoch and the form's number.

    Raises:
        CorruptedError: there is no active epoch.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    rows = db.execute("SELECT config_epoch FROM epochs WHERE active = 1").fetchall()
    if len(rows) != 1 or not _is_uuid4(rows[0][0]):
        raise CorruptedError("the database has no active epoch")
    return Facts(rows[0][0], version)


def check_quickly(db: sqlite3.Connection) -> None:
    """Look at every page.

    Raises:
        CorruptedError: the database is damaged.
    """
    if [row[0] for row in db.execute("PRAGMA quick_check(1)")] != ["ok"]:
        raise CorruptedError("the database fails its check")


def check_fully(db: sqlite3.Connection) -> None:
    """Look at every page, and compare indexes with their tables.

    Raises:
        CorruptedError: the database is damaged.
    """
    if [row[0] for row in db.execute("PRAGMA integrity_check(1)")] != ["ok"]:
        raise CorruptedError("the database fails its check")


def write_ahead(db: sqlite3.Connection) -> None:
    """Use the write-ahead log.

    Raises:
        StartupError: the file system cannot hold it.
    """
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StartupError(
            "the file system cannot hold the database's write-ahead log",
            hint="point DATA_DIR at a local disk",
        )


def _is_uuid4(value: object) -> bool:
    try:
        parsed = UUID(str(value))
    except ValueError:
        return False
    return str(parsed) == value and parsed.version == 4
