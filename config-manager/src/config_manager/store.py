"""The database file: opened by rule, looked at regularly, written by one thread.

Changes go through one writer thread, one transaction each; reads have connections of their
own that cannot write. Work is a plain function on a connection; what can go wrong comes back
as an error of :mod:`config_manager.errors` and as a
:class:`~config_manager.condition.Condition`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_kit.clock import utc_text
from parlour_kit.errors import StartupError

from config_manager.checks import Facts, check_fully, check_quickly, read_facts, write_ahead
from config_manager.condition import Condition, after, rebuilding, rebuilt
from config_manager.errors import (
    BusyError,
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)
from config_manager.fill import fill
from config_manager.lock import ProcessLock
from config_manager.migrate import Step, found_version, shipped_steps
from config_manager.readers import Readers, unreadable
from config_manager.reserve import Reserve
from config_manager.sqlite import READERS, WRITER, connect, roll_back, told

BUSY_MS = 5000
SLICES = 5
"""A wait for the lock is cut into this many, so that a stop need not sit it out."""

WAITING_CHANGES = 256
AUTOCHECKPOINT_PAGES = 1000
CHECK_INTERVAL_S = 86_400.0

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Store:
    """config-manager's database.

    Attributes:
        path: of the database file.
        condition: what the last look brought.
        facts: what was last read; empty until the database could be opened.
        models: service → the model that its stored settings must fit.
    """

    def __init__(
        self,
        path: Path,
        *,
        steps: Sequence[Step] | None = None,
        busy_ms: int = BUSY_MS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        models: Mapping[str, type[ServiceConfigModel]] = CONFIGS,
        autocheckpoint: int = AUTOCHECKPOINT_PAGES,
    ) -> None:
        """Nothing is opened yet.

        Args:
            path: of the database file; its folder is made when it is missing.
            steps: of the migration; those of this release when left out.
            busy_ms: how long to wait for a lock.
            now: wall time, for columns that people read.
            models: service → the model that its stored settings must fit.
            autocheckpoint: pages of the log after which SQLite checkpoints; 0 is never.
        """
        self.path = path
        self.condition = Condition()
        self.facts = Facts()
        self.models = models
        self._steps = shipped_steps() if steps is None else tuple(steps)
        self._busy_ms = busy_ms
        self._now = now
        self._autocheckpoint = autocheckpoint
        self._lock = ProcessLock(path.with_name(f"{path.name}.lock"))
        self._reserve = Reserve(path.with_name("reserve.bin"))
        self._db: sqlite3.Connection | None = None
        self._readers = Readers(path, busy_ms)
        self._file: tuple[int, int] | None = None
        self._started = False
        self._closing = threading.Event()
        self._waiting = 0
        self._checked_at = 0.0
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
        """Read from the file afresh and try the write lock; opens it if that is still to do.

        Once a day all pages are checked as well.
        """
        if self.condition.final or self.condition.mode == "rebuilding":
            return self.condition
        outcome: StoreError | None = None
        try:
            await self._call(self._look)
            if time.monotonic() - self._checked_at > CHECK_INTERVAL_S:
                await self.check()
        except StoreError as error:
            outcome = error
        except StartupError:
            if not self._started:
                raise
            outcome = CorruptedError("the database's file is gone or cannot be used")
        self.condition = after(self.condition, outcome)
        return self.condition

    async def transact(self, work: Work[T]) -> T:
        """Do work in one transaction that is on the disk when this returns.

        Whatever the work raises undoes it.

        Args:
            work: runs in the writer thread; must not keep the connection.

        Raises:
            BusyError: too many changes wait.
            StoreError: nothing was changed.
        """
        if self._waiting >= WAITING_CHANGES:
            raise BusyError("too many changes wait for the database")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._transact, work
            )
        except (CorruptedError, StorageFullError) as error:
            self.condition = after(self.condition, error)
            raise
        finally:
            self._waiting -= 1

    async def read(self, work: Work[T]) -> T:
        """Do work on one unchanging view of the database, beside the writer; raises StoreError."""
        try:
            return await self._readers.read(work)
        except CorruptedError as error:
            self.condition = after(self.condition, error)
            raise

    async def check(self, *, full: bool = False) -> None:
        """Check all pages; ``full`` also compares indexes with their tables.

        Raises:
            CorruptedError: the database is damaged.
        """
        await self.read(check_fully if full else check_quickly)
        self._checked_at = time.monotonic()

    async def backup(self, target: Path) -> None:
        """Write a copy that is whole or not there at all.

        Args:
            target: of the copy; an old one is replaced.

        Raises:
            StoreError: the database cannot be read, or there is no room.
        """
        await self._readers.backup(target)

    async def checkpoint(self) -> None:
        """Bring the log into the database and cut it; the checkpoint lock is the caller's."""
        await self._call(self._checkpoint)

    async def pause(self, seconds: float) -> None:
        """Let no change happen for a while, so that another program can checkpoint."""
        await self._call(lambda: time.sleep(seconds))

    async def begin_rebuild(self, make: Callable[[Path], None]) -> None:
        """Close the database, let another one be put in its place, and open that.

        The mode is ``rebuilding`` until :meth:`end_rebuild`.

        Args:
            make: sets the old files aside and may leave a new database at the path; it runs in
                the writer thread. Where it leaves none, an empty one is made.

        Raises:
            StoreError: the new one cannot be used either.
        """
        self.condition = rebuilding(self.condition)
        try:
            await self._call(lambda: self._rebuild(make))
        except StartupError as error:
            raise StoreError(str(error), hint=error.hint) from error

    def end_rebuild(self, outcome: StoreError | None = None) -> None:
        """Go back to normal, or to the fallback when it failed."""
        self.condition = rebuilt(self.condition, outcome)

    @property
    def wal_bytes(self) -> int:
        """The size of the log."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    async def close(self) -> None:
        """Close the file and let others have it."""
        self._closing.set()
        await self._call(self._close)
        self._thread.shutdown(wait=False)
        self._readers.close()

    async def _call(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # What follows runs in the writer thread.

    def _transact(self, work: Work[T]) -> T:
        db = self._db
        if db is None:
            raise self.condition.error or StoreError("the database is not open")
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                db.execute("COMMIT")
            except BaseException:
                roll_back(db)
                raise
        except sqlite3.Error as error:
            failure = unreadable(error)
            if isinstance(failure, StorageFullError):
                self._reserve.free()
            raise failure from error
        return result

    def _look(self) -> None:
        try:
            if self._db is None:
                self._db = self._opened()
        except sqlite3.Error as error:
            raise told(error) from error
        except SchemaMismatchError as error:
            self.facts = Facts(schema_version=error.found)
            raise
        for attempt in range(1, SLICES + 1):
            try:
                self._try(self._db)
            except sqlite3.Error as error:
                failure = told(error)
                patient = attempt < SLICES and not self._closing.is_set()
                if not (isinstance(failure, LockedError) and patient):
                    raise failure from error
            else:
                return

    def _opened(self) -> sqlite3.Connection:
        db = connect(self.path, WRITER, self._busy_ms)
        try:
            check_quickly(db)
            self._checked_at = time.monotonic()
            found_version(db, self._steps[-1].number)
            write_ahead(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA wal_autocheckpoint = {self._autocheckpoint}")
            fill(db, self.path, self._steps, self.models, utc_text(self._now()))
            self._file = self._identity()
            self._reserve.make()
        except BaseException:
            db.close()
            raise
        return db

    def _identity(self) -> tuple[int, int] | None:
        """Which file it is. The path is not opened: closing it would drop SQLite's locks."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _try(self, writer: sqlite3.Connection) -> None:
        """Read the facts, then take the write lock and give it back.

        A reading connection of its own sees the file as it is now, not pages from memory. After
        a full disk, only room for the reserve ends the fallback.
        """
        if self._identity() != self._file:
            raise CorruptedError("the database was removed or replaced while it was open")
        with closing(connect(self.path, READERS, self._busy_ms // SLICES)) as db:
            self.facts = read_facts(db)
        writer.execute(f"PRAGMA busy_timeout = {self._busy_ms // SLICES}")
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        finally:
            writer.execute(f"PRAGMA busy_timeout = {self._busy_ms}")
        if isinstance(self.condition.error, StorageFullError):
            if self._autocheckpoint:  # it may be the log itself that fills the disk
                self._checkpoint()
            if not self._reserve.make():
                raise StorageFullError("the disk is full")

    def _checkpoint(self) -> None:
        if self._db is not None:
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                raise told(error) from error

    def _rebuild(self, make: Callable[[Path], None]) -> None:
        self._disconnect()
        try:
            make(self.path)
            self._db = self._opened()
            self._try(self._db)
        except sqlite3.Error as error:
            raise told(error) from error

    def _disconnect(self) -> None:
        self._readers.disconnect()  # the writer goes last: only it can empty the log
        if self._db is not None:
            self._db.close()
            self._db = None

    def _close(self) -> None:
        self._disconnect()
        self._lock.free()
