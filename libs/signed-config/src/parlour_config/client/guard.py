"""A service's files, used off the event loop, one call after another.

A thread of their own: a slow card holds up neither the loop nor those who load engines.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import structlog
from parlour_kit.clock import Clock

from parlour_config.errors import StorageError
from parlour_config.lkg_store import SETTLE_S, LkgStore, Restored
from parlour_config.signing import TrustedKey
from parlour_config.trust import TrustState
from parlour_config.update import Update

P = ParamSpec("P")
T = TypeVar("T")


class Guard:
    """Stores what runs, and marks what is being tried until it has run for a minute.

    ``unsaved``: what runs is not on disk yet. ``rewrite``: it is, but under a key of before.
    """

    def __init__(self, store: LkgStore, clock: Clock) -> None:
        self.unsaved = False
        self.rewrite = False
        self._store = store
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "config-files")
        self._proving: Update | None = None
        self._marked = False
        self._due: float | None = None
        self._saved_at: float | None = None
        self._age = 0.0
        self._log = structlog.get_logger("parlour.config")

    async def load(self, env_keys: Sequence[TrustedKey]) -> Restored:
        """What the files hold; see :meth:`LkgStore.restore`."""

        def read() -> tuple[Restored, float]:
            restored = self._store.restore(env_keys)
            age = 0.0
            with contextlib.suppress(OSError):
                age = max(0.0, time.time() - self._store.path.stat().st_mtime)
            return restored, age

        restored, age = await self._off(read)
        if restored.lkg is not None:
            self._saved_at, self._age = self._clock.monotonic(), age
            self.rewrite = restored.lkg.key_index > 0
        return restored

    @property
    def age_s(self) -> float | None:
        """How old the stored file is, in seconds; None without one."""
        if self._saved_at is None:
            return None
        return self._age + self._clock.monotonic() - self._saved_at

    async def trying(self, update: Update) -> None:
        """A configuration is about to be applied; the minute of the one before stands still.

        A marker that cannot be written does not keep a household from its settings.
        """
        self._due = None
        await self._mark(update)

    async def failed(self) -> None:
        """It was not applied; the one before may still have to prove itself."""
        if self._proving is None:
            await self._settle()
        else:
            await self._mark(self._proving)
            self.applied(self._proving)

    async def save(self, update: Update, state: TrustState) -> bool:
        """Store what runs; False when it could not be."""
        try:
            await self._off(self._store.save, update, state)
        except StorageError as error:
            self.unsaved = True
            self._log.error("last known good was not written",
                            code=error.code, reason=str(error))  # fmt: skip
            return False
        self.unsaved = self.rewrite = False
        self._saved_at, self._age = self._clock.monotonic(), 0.0
        return True

    async def save_keyset(self, raw: bytes) -> None:
        """Store an accepted keyset; raises StorageError."""
        await self._off(self._store.save_keyset, raw)

    def applied(self, update: Update) -> None:
        """It runs; a minute from now it counts as harmless."""
        self._proving = update
        self._due = self._clock.monotonic() + SETTLE_S

    async def tick(self) -> None:
        """Time has passed."""
        if self._due is not None and self._clock.monotonic() >= self._due:
            await self._settle()

    async def close(self) -> None:
        """The process ends as it was told to, so no configuration is to blame."""
        if self._marked:
            await self._settle()
        self._thread.shutdown(wait=False)

    async def _mark(self, update: Update) -> None:
        self._marked = True
        try:
            await self._off(self._store.begin_apply, update)
        except StorageError as error:
            self._log.warning("applying unguarded", code=error.code, reason=str(error))

    async def _settle(self) -> None:
        self._proving = self._due = None
        self._marked = False
        try:
            await self._off(self._store.settled)
        except StorageError as error:
            self._log.warning("the marker stays", code=error.code, reason=str(error))

    async def _off(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
