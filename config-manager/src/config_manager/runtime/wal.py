"""The write-ahead log while Litestream copies the database, and the lock for checkpoints.

Some releases of SQLite can damage a database when two connections checkpoint at the same moment.
With one of them, whoever checkpoints holds a lock: Litestream as long as it lives, this process
when nobody else does and the log has grown. While Litestream holds it, a pause of the writer lets
it in.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from config_manager.errors import StoreError

MIB = 1_048_576
CHECKPOINT_BYTES = 4 * MIB
PAUSE_BYTES = 32 * MIB
PAUSE_STEP_BYTES = 4 * MIB
ALARM_BYTES = 64 * MIB
PAUSE_S = 2.5
"""Two intervals in which Litestream looks at the log."""

Step = Literal["nothing", "checkpoint", "pause"]


class WalRules:
    """What to do about the size of the log: pure. The file does not shrink, so growth counts."""

    def __init__(self) -> None:
        self._paused_at = PAUSE_BYTES - PAUSE_STEP_BYTES
        self._alarmed_at = 0

    def step(self, size: int, *, free: bool) -> Step:
        """What to do at this size.

        Args:
            size: bytes of the log.
            free: nobody else holds the lock.
        """
        if size <= CHECKPOINT_BYTES:
            self._paused_at = PAUSE_BYTES - PAUSE_STEP_BYTES
            return "nothing"
        if free:
            return "checkpoint"
        if size >= self._paused_at + PAUSE_STEP_BYTES:
            self._paused_at = size
            return "pause"
        return "nothing"

    def alarming(self, size: int) -> bool:
        """Whether it grew by another 64 MiB since the last alarm."""
        if size <= CHECKPOINT_BYTES:
            self._alarmed_at = 0
        if size < self._alarmed_at + ALARM_BYTES:
            return False
        self._alarmed_at = size
        return True


class Log(Protocol):
    """The database, as far as its log goes."""

    @property
    def wal_bytes(self) -> int:
        """The size of the log."""
        ...

    async def checkpoint(self) -> None:
        """Bring the log into the database and cut it."""
        ...

    async def pause(self, seconds: float) -> None:
        """Let no change happen for a while."""
        ...


class WalWatch:
    """Looks at the log every few seconds."""

    def __init__(self, store: Log, lock: Path) -> None:
        self._store = store
        self._lock = lock
        self._rules = WalRules()

    async def look(self) -> bool:
        """Do what the size calls for; whether it grows without end.

        Raises:
            StoreError: the database did not take the checkpoint.
        """
        size = self._store.wal_bytes
        with _held(self._lock) as free:
            step = self._rules.step(size, free=free)
            if step == "checkpoint":
                await self._store.checkpoint()
        if step == "pause":
            await self._store.pause(PAUSE_S)
        return self._rules.alarming(size)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """The lock for checkpoints, if nobody else has it; never waits."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
