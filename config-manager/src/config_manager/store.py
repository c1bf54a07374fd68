"""The database file: opened by rule, looked at regularly, owned by one thread.

Everything happens in one writer thread. ``sqlite3`` stays in here: callers see the errors of
:mod:`config_manager.errors` and a :class:`~config_manager.condition.Condition`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

from parlour_kit.clock import utc_text
from parlour_kit.errors import StartupError

from config_manager.condition import Condition, after
from config_manager.errors import (
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)
from config_manager.lock import ProcessLock
from config_manager.migrate import Step, found_version, migrate, shipped_steps
from config_manager.model_hash import model_hash

BUSY_MS = 5000
SLICES = 5
"""A wait for the lock is cut into this many, so that a stop need not sit it out."""

NOTHING_SIGNED = "1970-01-01T00:00:00.000000Z"
"""The floor below a first epoch: nothing was signed before it."""


@dataclass(frozen=True)
class Facts:
    """What the database says of itself."""

    config_epoch: str = ""
    schema_version: int = 0


class Store:
    """config-manager's database.

    Attributes:
        condition: what the last look brought.
        facts: what was last read; empty until the database could be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        steps: Sequence[Step] | None = None,
        busy_ms: int = BUSY_MS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.condition = Condition()
        self.facts = Facts()
        self._path = path
        self._steps = shipped_steps() if steps is None else tuple(steps)
        self._busy_ms = busy_ms
        self._now = now
        self._lock = ProcessLock(path.with_name(f"{path.name}.lock"))
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._started = False
        self._closing = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="config-db")

    async def open(self) -> Condition:
        """Take the file, check it, bring it to this release's form.

        What is wrong with its contents is in the condition that comes back.

        Raises:
            StartupError: another process has it, or the folder or file cannot be written.
        """
        await self._call(self._lock.take)
        condition = await self.look()
        self._started = True
        return condition

    async def look(self) -> Condition:
        """Read from the file afresh and try the write lock; opens it if that is still to do."""
        if not self.condition.final:
            outcome: StoreError | None = None
            try:
                await self._call(self._look)
            except StoreError as error:
                outcome = error
            except StartupError:
                if not self._started:
                    raise
                outcome = CorruptedError("the database's file is gone or cannot be used")
            self.condition = after(self.condition, outcome)
        return self.condition

    async def close(self) -> None:
        """Close the file and let others have it."""
        self._closing.set()
        await self._call(self._close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # What follows runs in the writer thread.

    def _look(self) -> None:
        try:
            if self._db is None:
                self._db = self._opened()
        except sqlite3.Error as error:
            raise _told(error) from error
        except SchemaMismatchError as error:
            self.facts = Facts(schema_version=error.found)
            raise
        for attempt in range(1, SLICES + 1):
            try:
                self._try(self._db)
            except sqlite3.Error as error:
                told = _told(error)
                patient = attempt < SLICES and not self._closing.is_set()
                if not (isinstance(told, LockedError) and patient):
                    raise told from error
            else:
                return

    def _opened(self) -> sqlite3.Connection:
        db = self._connect("rwc", self._busy_ms)
        try:
            self._check(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA wal_autocheckpoint = 1000")
            self._fill(db)
            self._file = self._identity()
        except BaseException:
            db.close()
            raise
        return db

    def _identity(self) -> tuple[int, int] | None:
        """Which file it is. The path is not opened: closing it would drop SQLite's locks."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _check(self, db: sqlite3.Connection) -> None:
        """Whether the file is sound and ours comes before anything is written to it."""
        if [row[0] for row in db.execute("PRAGMA quick_check(1)")] != ["ok"]:
            raise CorruptedError("the database fails its check")
        found_version(db, self._steps[-1].number)
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise StartupError(
                "the file system cannot hold the database's write-ahead log",
                hint="point DATA_DIR at a local disk",
            )

    def _fill(self, db: sqlite3.Connection) -> None:
        now = utc_text(self._now())
        hashed = model_hash()
        migrate(db, self._path, self._steps, hashed, now)
        version = self._steps[-1].number
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute(
                "UPDATE schema_version SET model_hash = ?, updated_at = ? WHERE model_hash <> ?",
                (hashed, now, hashed),
            )
            db.execute(
                "INSERT INTO epochs (config_epoch, created_at, minted_floor, schema_version, "
                "active, reason) SELECT ?, ?, ?, ?, 1, 'created' "
                "WHERE NOT EXISTS (SELECT 1 FROM epochs)",
                (str(uuid4()), now, NOTHING_SIGNED, version),
            )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite may have rolled back by itself
                db.execute("ROLLBACK")
            raise

    def _connect(self, mode: str, busy_ms: int) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=busy_ms / 1000,
        )
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA trusted_schema = OFF")
        return db

    def _try(self, writer: sqlite3.Connection) -> None:
        """Read the facts, then take the write lock and give it back.

        A reading connection of its own sees the file as it is now, not pages from memory.
        """
        if self._identity() != self._file:
            raise CorruptedError("the database was removed or replaced while it was open")
        with closing(self._connect("ro", self._busy_ms // SLICES)) as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            rows = db.execute("SELECT config_epoch FROM epochs WHERE active = 1").fetchall()
        if len(rows) != 1 or not _is_uuid4(rows[0][0]):
            raise CorruptedError("the database has no active epoch")
        self.facts = Facts(rows[0][0], version)
        writer.execute(f"PRAGMA busy_timeout = {self._busy_ms // SLICES}")
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        finally:
            writer.execute(f"PRAGMA busy_timeout = {self._busy_ms}")

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        self._lock.free()


def _told(error: sqlite3.Error) -> StoreError | StartupError:
    """The error that callers see; the text of SQLite stays in the cause."""
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
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


def _is_uuid4(value: object) -> bool:
    try:
        parsed = UUID(str(value))
    except ValueError:
        return False
    return str(parsed) == value and parsed.version == 4
