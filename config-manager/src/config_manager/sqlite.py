"""Connections by rule, and SQLite's errors in Parlour's words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from parlour_config.files import PRIVATE, sync_file
from parlour_kit.errors import StartupError
from parlour_kit.metrics import database

from config_manager.errors import (
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)

READERS = "ro"
WRITER = "rwc"


class _Measured(sqlite3.Connection):
    """A connection whose statements are counted and timed."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As of every connection."""
        started = time.perf_counter()
        try:
            return super().execute(sql, parameters)
        finally:
            database.statement(time.perf_counter() - started)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """As of every connection; it counts as one statement."""
        started = time.perf_counter()
        try:
            return super().executemany(sql, parameters)
        finally:
            database.statement(time.perf_counter() - started)


def connect(path: Path, mode: str, busy_ms: int) -> sqlite3.Connection:
    """A connection in autocommit, by the rules; ``mode`` is ``ro`` or ``rwc``.

    It may move between threads: the store lets one at a time have it.
    """
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=busy_ms / 1000,
        check_same_thread=False,
        factory=_Measured,
    )
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA trusted_schema = OFF")
    return db


def roll_back(db: sqlite3.Connection) -> None:
    """End a transaction that failed; SQLite may have done so by itself."""
    if not db.in_transaction:
        return
    try:
        db.execute("ROLLBACK")
    except sqlite3.Error:
        if db.in_transaction:
            raise


def identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to, or None; it is not opened: closing it drops SQLite's locks."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_copy(db: sqlite3.Connection, target: Path) -> None:
    """Copy the database into a file that only its owner reads, and bring that to the disk.

    Its name lasts when its folder is synced: that is the caller's, after a last rename.

    Args:
        db: not within a transaction.
        target: no such file is there.

    Raises:
        sqlite3.Error: the database cannot be read, or there is no room.
        OSError: the copy's rights cannot be set, or it does not reach the disk.
    """
    db.execute("VACUUM INTO ?", (str(target),))
    target.chmod(PRIVATE)
    sync_file(target)


def told(error: sqlite3.Error) -> StoreError | StartupError:
    """The error that callers see; the text of SQLite stays in the cause."""
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockedError("another program holds the database")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_IOERR:
            return CorruptedError("the database is damaged")
        case sqlite3.SQLITE_FULL:
            return StorageFullError("the disk is full")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StartupError(
                "the database cannot be opened for writing",
                hint="check owner and permissions of config-manager's folder below DATA_DIR",
            )
        case sqlite3.SQLITE_ERROR:  # a table that must be there is not, or looks otherwise
            return SchemaMismatchError("the database's tables are not those of its form", 0)
        case _:
            return StoreError("the database refused")


def unreadable(error: sqlite3.Error, path: Path) -> StoreError:
    """What is wrong with a database that was open before.

    One that is still there but cannot be opened tells nothing of what is in it: a process without
    a free descriptor cannot open any file. Calling that damage would give up a good database.
    """
    failure = told(error)
    if not isinstance(failure, StartupError):
        return failure
    if _code(error) == sqlite3.SQLITE_CANTOPEN and identity(path) is not None:
        return LockedError(
            "the database cannot be opened now",
            hint="see the limit of open files, and owner and permissions of config-manager's "
            "folder below DATA_DIR",
        )
    return CorruptedError("the database's file is gone or cannot be used")


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
