"""The writer's side of the database: opened by rule, looked at, changed, closed.

All of it runs in one thread, so that nothing here can meet itself; only :meth:`Writer.hurry` may
be called from elsewhere.

Litestream takes a commit for done as soon as the log holds it, SQLite only once its index tells of
it, and in between SQLite waits for the disk. Who is killed in that wait leaves a commit that the
copy has and the database has not, and the copy is wrong from then on. So where the database is
copied, SQLite does not wait: the log is brought to the disk once the commit is made (ADR 0019).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from parlour_config.files import sync_file
from parlour_contracts.config import ServiceConfigModel
from parlour_kit.clock import utc_text
from parlour_kit.errors import ParlourError

from config_manager.checks import Facts, check_quickly, read_facts, write_ahead
from config_manager.errors import (
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)
from config_manager.fill import fill
from config_manager.lock import ProcessLock
from config_manager.migrate import Step, found_version
from config_manager.readers import Readers
from config_manager.reserve import Reserve
from config_manager.sqlite import READERS, WRITER, connect, identity, roll_back, told, unreadable

SLICES = 5
"""A wait for the lock is cut into this many, so that a stop need not sit it out."""

AUTOCHECKPOINT_PAGES = 1000

T = TypeVar("T")


class Writer:
    """The connection that writes, and what surrounds it.

    Attributes:
        db: the connection; None while the database is not open.
        facts: what was last read; empty until the database could be opened.
        checked_at: when all pages were last checked, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        path: Path,
        readers: Readers,
        reason: Callable[[], ParlourError | None],
        *,
        steps: Sequence[Step],
        busy_ms: int,
        now: Callable[[], datetime],
        models: Mapping[str, type[ServiceConfigModel]],
        autocheckpoint: int,
        copied: bool,
    ) -> None:
        """Nothing is opened yet.

        Args:
            path: of the database file.
            readers: connections that must be closed before this one.
            reason: why the database cannot be used, as the last look told; None when it can.
            steps: of the migration.
            busy_ms: how long to wait for a lock.
            now: wall time, for columns that people read.
            models: service → the model that its stored settings must fit.
            autocheckpoint: pages of the log after which SQLite checkpoints; 0 is never.
            copied: whether another program reads the log while it is written.
        """
        self.db: sqlite3.Connection | None = None
        self.facts = Facts()
        self._before = self.facts
        self.checked_at = 0.0
        self._path = path
        self._readers = readers
        self._reason = reason
        self._steps = steps
        self._busy_ms = busy_ms
        self._now = now
        self._models = models
        self._autocheckpoint = autocheckpoint
        self._copied = copied
        self._lock = ProcessLock(path.with_name(f"{path.name}.lock"))
        self._reserve = Reserve(path.with_name("reserve.bin"))
        self._file: tuple[int, int] | None = None
        self._closing = threading.Event()

    def hurry(self) -> None:
        """Let no look wait for a lock any more; may be called from any thread."""
        self._closing.set()

    def take(self) -> None:
        """Be the only process that has the database; raises StartupError."""
        self._lock.take()

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work in one transaction that is on the disk when this returns.

        Raises:
            StoreError: nothing was changed; only where the log of a copied database does not reach
                the disk (CorruptedError), the change may be there after the next start.
        """
        db = self.db
        if db is None:
            raise self._reason() or StoreError("the database is not open")
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                db.execute("COMMIT")
            except BaseException:
                roll_back(db)
                raise
        except sqlite3.Error as error:
            failure = unreadable(error, self._path)
            if isinstance(failure, StorageFullError):
                self._reserve.free()
            raise failure from error
        self._settle()
        return result

    def look(self, *, starting: bool) -> None:
        """Read the facts afresh and try the write lock; opens the database if it is not open.

        Args:
            starting: whether a file that cannot be opened ends the process, so that the operator
                sees it at once; later it must go on without.

        Raises:
            StoreError: what is wrong with it.
            StartupError: the file cannot be opened, or its file system cannot hold the log.
        """
        try:
            if self.db is None:
                self.db = self._opened()
        except sqlite3.Error as error:
            raise self._found(error, starting=starting) from error
        except SchemaMismatchError as error:
            self.facts = Facts(schema_version=error.found)
            raise
        for attempt in range(1, SLICES + 1):
            try:
                self._try(self.db)
            except sqlite3.Error as error:
                failure = self._found(error, starting=starting)
                patient = attempt < SLICES and not self._closing.is_set()
                if not (isinstance(failure, LockedError) and patient):
                    raise failure from error
            else:
                return

    def checkpoint(self) -> None:
        """Bring the log into the database and cut it; raises StoreError."""
        if self.db is not None:
            try:
                self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                raise told(error) from error

    def rebuild(self, make: Callable[[Path], None]) -> None:
        """Close the database, let another one be put in its place, and open that.

        Args:
            make: is given the path, and may leave a new database there.

        Raises:
            StoreError: the new one cannot be used either.
            StartupError: it cannot be opened.
        """
        self._before = self.facts
        try:
            self._exchange(make)
            self.db = self._opened()
            self._try(self.db)
        except sqlite3.Error as error:
            raise told(error) from error

    def put_back(self, undo: Callable[[Path], None]) -> None:
        """Close what a rebuild made, and let the old files be put back; that one is not opened.

        Args:
            undo: is given the path; what it raises is passed on.
        """
        self.facts = self._before
        self._exchange(undo)

    def close(self) -> None:
        """Close the file and let others have it."""
        self._disconnect()
        self._lock.free()

    def _found(self, error: sqlite3.Error, *, starting: bool) -> ParlourError:
        return told(error) if starting else unreadable(error, self._path)

    def _opened(self) -> sqlite3.Connection:
        db = connect(self._path, WRITER, self._busy_ms)
        try:
            check_quickly(db)
            self.checked_at = time.monotonic()
            found_version(db, self._steps[-1].number)
            write_ahead(db)
            db.execute(f"PRAGMA synchronous = {'NORMAL' if self._copied else 'FULL'}")
            db.execute(f"PRAGMA wal_autocheckpoint = {self._autocheckpoint}")
            fill(db, self._path, self._steps, self._models, utc_text(self._now()))
            self._settle()
            self._file = identity(self._path)
            self._reserve.make()
        except BaseException:
            db.close()
            raise
        return db

    def _settle(self) -> None:
        """Bring to the disk what was committed, where SQLite did not; raises CorruptedError."""
        if not self._copied:
            return
        try:
            sync_file(self._path.with_name(f"{self._path.name}-wal"))
        except OSError as error:
            raise CorruptedError("the database's log does not reach the disk") from error

    def _try(self, writer: sqlite3.Connection) -> None:
        """Read the facts, then take the write lock and give it back.

        A reading connection of its own sees the file as it is now, not pages from memory. After
        a full disk, only room for the reserve ends the fallback.
        """
        if identity(self._path) != self._file:
            raise CorruptedError("the database was removed or replaced while it was open")
        with closing(connect(self._path, READERS, self._busy_ms // SLICES)) as db:
            self.facts = read_facts(db)
        writer.execute(f"PRAGMA busy_timeout = {self._busy_ms // SLICES}")
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
        finally:
            writer.execute(f"PRAGMA busy_timeout = {self._busy_ms}")
        if isinstance(self._reason(), StorageFullError):
            if self._autocheckpoint:  # it may be the log itself that fills the disk
                self.checkpoint()
            if not self._reserve.make():
                raise StorageFullError("the disk is full")

    def _exchange(self, files: Callable[[Path], None]) -> None:
        self._disconnect()
        files(self._path)
        self._readers.disconnect()  # those that opened while the files changed places

    def _disconnect(self) -> None:
        self._readers.disconnect()  # the writer goes last: only it can empty the log
        if self.db is not None:
            self.db.close()
            self.db = None
