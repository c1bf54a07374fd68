"""Reading beside the writer: connections that cannot write, one unchanging view each time."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from parlour_config.files import sync_folder

from config_manager.errors import unwritable
from config_manager.sqlite import READERS, connect, roll_back, unreadable, write_copy

THREADS = 2

T = TypeVar("T")


class Readers:
    """A few threads and as many connections, opened when they are needed.

    Each connection bears the generation that it was opened in, so that none is used for another
    file than it has open, whenever the files changed places.
    """

    def __init__(self, path: Path, busy_ms: int) -> None:
        self._path = path
        self._busy_ms = busy_ms
        self._idle: queue.SimpleQueue[tuple[int, sqlite3.Connection]] = queue.SimpleQueue()
        self._generation = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="config-read")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on a view; raises StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def backup(self, target: Path) -> None:
        """Write a copy of the database; raises StoreError."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._backup, target)

    def disconnect(self) -> None:
        """Close all connections; those that are in use are not used again."""
        self._generation += 1
        while True:
            try:
                _, db = self._idle.get_nowait()
            except queue.Empty:
                return
            db.close()

    def close(self) -> None:
        """End the threads."""
        self.disconnect()
        self._threads.shutdown(wait=False)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            generation, db = self._taken()
            try:
                db.execute("BEGIN")
                try:
                    return work(db)
                finally:
                    roll_back(db)
            finally:
                if generation == self._generation:
                    self._idle.put((generation, db))
                else:
                    db.close()
        except sqlite3.Error as error:
            raise unreadable(error, self._path) from error

    def _taken(self) -> tuple[int, sqlite3.Connection]:
        """A connection of this generation. One may come back during a disconnect: judged here."""
        while True:
            try:
                generation, db = self._idle.get_nowait()
            except queue.Empty:
                break
            if generation == self._generation:
                return generation, db
            db.close()
        generation = self._generation  # before it opens: the files may change places meanwhile
        return generation, connect(self._path, READERS, self._busy_ms)

    def _backup(self, target: Path) -> None:
        part = target.with_name(f"{target.name}.part")
        try:
            part.unlink(missing_ok=True)
            try:
                with closing(connect(self._path, READERS, self._busy_ms)) as db:
                    write_copy(db, part)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)  # still there where it failed
            sync_folder(target.parent)
        except sqlite3.Error as error:
            raise unreadable(error, self._path) from error
        except OSError as error:
            raise unwritable("the copy of the database", error) from error
