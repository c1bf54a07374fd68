"""Looks after the database file: its condition, its room, its log, its copies."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable

import structlog
from parlour_kit.errors import ParlourError

from config_manager.health import wal_affected
from config_manager.runtime.events import Events
from config_manager.runtime.ground import Ground
from config_manager.runtime.litestream import DISABLED, LitestreamWatch, Replica
from config_manager.runtime.upkeep import disk_is_low
from config_manager.runtime.wal import WalWatch


class StorageWatch:
    """Each look is a chore of its own.

    Attributes:
        replica: the copy that Litestream makes, as of the last look.
    """

    def __init__(
        self,
        ground: Ground,
        events: Events,
        *,
        changed: Callable[[], None],
        usable: Callable[[], None],
        rebuild: Callable[[str, str], Awaitable[None]],
    ) -> None:
        """Make it.

        Args:
            ground: what the manager stands on.
            events: told what an operator should know.
            changed: called when health has something new to tell.
            usable: called when the database can be used again.
            rebuild: makes a damaged database anew.
        """
        self.replica: Replica = DISABLED
        self._ground = ground
        self._events = events
        self._changed = changed
        self._usable = usable
        self._rebuild = rebuild
        self._news = ground.store.condition.news
        settings, store = ground.settings, ground.store
        self._litestream: LitestreamWatch | None = None
        self._wal: WalWatch | None = None
        if settings.litestream_socket is not None:
            self._litestream = LitestreamWatch(
                settings.litestream_socket, store.path, settings.litestream_env, platform.node()
            )
            if wal_affected():
                self._wal = WalWatch(store, store.path.with_name(f"{store.path.name}.ckpt"))
                events.tell("sqlite-wal-reset-affected")
        self._log = structlog.get_logger("parlour.storage")
        if store.condition.error is not None:
            self._complain(store.condition.error)

    @property
    def checkpoints(self) -> str:
        """Who moves the log into the database."""
        return "litestream" if self._wal is not None else "self"

    @property
    def replicated(self) -> bool:
        """Whether Litestream copies the database."""
        return self._litestream is not None

    async def look(self) -> None:
        """The database's condition, and the room it has."""
        store = self._ground.store
        condition = await store.look()
        if condition.news != self._news:  # also when a change or a read met it first
            self._news = condition.news
            self._tell()
            await self.rebuild_if_allowed()
        if disk_is_low(store.path.parent):
            self._events.tell("disk-low")

    async def rebuild_if_allowed(self) -> None:
        """Make a damaged database anew where the operator allowed it."""
        store = self._ground.store
        if self._ground.settings.rebuilds and store.condition.final:
            await self._rebuild("system:auto-rebuild", str(store.condition.error))

    async def back_up(self) -> None:
        """A whole copy, once a day."""
        if self._ground.store.condition.ok:
            target = self._ground.settings.backup
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._ground.store.backup(target)

    async def look_at_log(self) -> None:
        """The write-ahead log, while Litestream copies it."""
        if self._wal is not None and await self._wal.look():
            self._events.tell("wal-growing", bytes=self._ground.store.wal_bytes)

    async def look_at_replica(self) -> None:
        """The copy that Litestream makes, and the path that it should write to."""
        watch, epoch = self._litestream, self._ground.store.facts.config_epoch
        if watch is None:
            return
        # A restored database is about to get another epoch; until then its replica has no path.
        if epoch and not self._ground.files.restored() and not watch.names(epoch):
            watch.write_names(epoch)
        before = self.replica.status
        self.replica = await watch.look(self._ground.clock.wall())
        if self.replica.path_old:
            self._events.tell("replica-path-old")
        if self.replica.status != before:
            self._changed()

    def _tell(self) -> None:
        condition = self._ground.store.condition
        if condition.error is None:
            self._log.info("the database can be used again")
            self._usable()
        else:
            self._complain(condition.error)
        self._changed()

    def _complain(self, error: ParlourError) -> None:
        self._log.error(
            "the database cannot be used",
            event_type="db_error",
            code=error.code,
            mode=self._ground.store.condition.mode,
            reason=str(error),
            hint=error.hint,
        )
