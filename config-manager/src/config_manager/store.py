"""The database as the rest of config-manager sees it: asked from the loop, looked at regularly.

Changes go through one thread, that of the :class:`~config_manager.writer.Writer`, one transaction
each; reads have connections of their own that cannot write. Work is a plain function on a
connection; what can go wrong comes back as an error of :mod:`config_manager.errors` and as a
:class:`~config_manager.condition.Condition`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_kit.errors import StartupError

from config_manager.checks import Facts, check_fully, check_quickly
from config_manager.condition import Condition, after, rebuilding, rebuilt
from config_manager.errors import BusyError, CorruptedError, StorageFullError, StoreError
from config_manager.migrate import Step, shipped_steps
from config_manager.readers import Readers
from config_manager.writer import AUTOCHECKPOINT_PAGES, Writer

BUSY_MS = 5000
WAITING_CHANGES = 256
CHECK_INTERVAL_S = 86_400.0

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Store:
    """config-manager's database.

    Attributes:
        path: of the database file.
        condition: what the last look brought.
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
        copied: bool = False,
    ) -> None:
        """Nothing is opened yet.

        Args:
            path: of the database file; its folder is made when it is missing.
            steps: of the migration; those of this release when left out.
            busy_ms: how long to wait for a lock.
            now: wall time, for columns that people read.
            models: service → the model that its stored settings must fit.
            autocheckpoint: pages of the log after which SQLite checkpoints; 0 is never.
            copied: whether another program, as Litestream, reads the log while it is written.
        """
        self.path = path
        self.condition = Condition()
        self.models = models
        self._readers = Readers(path, busy_ms)
        self._writer = Writer(
            path,
            self._readers,
            lambda: self.condition.error,
            steps=shipped_steps() if steps is None else tuple(steps),
            busy_ms=busy_ms,
            now=now,
            models=models,
            autocheckpoint=autocheckpoint,
            copied=copied,
        )
        self._started = False
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="config-db")

    async def open(self) -> Condition:
        """Take the file, check it, bring it to this release's form.

        What is wrong with its contents is in the condition that comes back.

        Raises:
            StartupError: another process has it, or the folder or file cannot be written.
        """
        await self._call(self._writer.take)
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
            await self._call(partial(self._writer.look, starting=not self._started))
            if time.monotonic() - self._writer.checked_at > CHECK_INTERVAL_S:
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
            StoreError: nothing was changed, as far as :meth:`Writer.transact` can tell.
        """
        if self._waiting >= WAITING_CHANGES:
            raise BusyError("too many changes wait for the database")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._writer.transact, work
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
        self._writer.checked_at = time.monotonic()

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
        await self._call(self._writer.checkpoint)

    async def pause(self, seconds: float) -> None:
        """Let no change happen for a while, so that another program can checkpoint."""
        await self._call(lambda: time.sleep(seconds))

    async def begin_rebuild(self, make: Callable[[Path], None]) -> None:
        """Close the database, let another one be put in its place, and open that.

        The mode is ``rebuilding`` until :meth:`end_rebuild` or :meth:`abandon_rebuild`.

        Args:
            make: sets the old files aside and may leave a new database at the path; it runs in
                the writer thread. Where it leaves none, an empty one is made.

        Raises:
            StoreError: the new one cannot be used either.
        """
        self.condition = rebuilding(self.condition)
        try:
            await self._call(partial(self._writer.rebuild, make))
        except StartupError as error:
            raise StoreError(str(error), hint=error.hint) from error

    def end_rebuild(self) -> None:
        """Go back to normal."""
        self.condition = rebuilt(self.condition, None)

    async def abandon_rebuild(self, undo: Callable[[Path], None], outcome: StoreError) -> None:
        """Close the new database, let the old one be put back, and go on in the fallback.

        A later start finds the old one, and can try again with all that is left of it.

        Args:
            undo: puts the old files back in their place, in the writer thread; where it fails,
                they stay where they are.
            outcome: why it was abandoned.
        """
        try:
            with suppress(OSError):
                await self._call(partial(self._writer.put_back, undo))
        finally:
            self.condition = rebuilt(self.condition, outcome)

    @property
    def facts(self) -> Facts:
        """What was last read; empty until the database could be opened."""
        return self._writer.facts

    @property
    def wal_bytes(self) -> int:
        """The size of the log."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    async def close(self) -> None:
        """Close the file and let others have it."""
        self._writer.hurry()
        await self._call(self._writer.close)
        self._thread.shutdown(wait=False)
        self._readers.close()

    async def _call(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)
