"""Joins the broker, claims the lead, and keeps everything going.

The order of a start: what is retained is collected, the lease is claimed, every message is
classified, the floor and if need be a new epoch are set, and only then is anything sent. The same
collection happens after every connect and every ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from parlour_config.errors import StorageError
from parlour_kit.errors import BusError

from config_manager.errors import StoreError
from config_manager.runtime.applied import Reported
from config_manager.runtime.core import Core
from config_manager.runtime.leader import Role
from config_manager.runtime.lease import LeaseTopic
from config_manager.runtime.reconciler import Reconciler
from config_manager.runtime.selftest import Acl, probe
from config_manager.runtime.watch import FleetWatch
from config_manager.tables.epochs import EpochReason

AWAY_S = 5.0
"""After so long without a broker since the start, changes are taken all the same."""

BEAT_S = 1.0
CLAIM_STEP_S = 0.1
LOOK_S = 5.0
RECONCILE_S = 600.0
RETRY_S = 5.0


class Conductor:
    """Everything between the database and the broker.

    Attributes:
        core: what it works with.
        reconciler: brings broker and database in line.
        audit_head: newest head of the audit chain, as last seen.
        waiting: rows of the outbox, as last seen.
    """

    def __init__(self, core: Core, *, first: Callable[[], Awaitable[None]]) -> None:
        """Make it.

        Args:
            core: what it works with.
            first: done once when this process leads, before anything is compared, such as the
                first settings of a new database.
        """
        parts = core.parts
        self.core = core
        self.reconciler = Reconciler(core)
        self.audit_head = ""
        self.waiting = 0
        self.lease = LeaseTopic(
            parts.bus,
            parts.clock,
            core.leadership,
            instance=parts.instance,
            boot=parts.boot,
            keys=parts.keys,
            epoch=lambda: parts.ledger.store.facts.config_epoch,
        )
        self._first = first
        self._first_done = False
        self._collected_once = False
        self._watch = FleetWatch(
            parts.bus, parts.clock, core.book, instance=parts.instance, reported=self._reported
        )
        self.roll = self._watch.roll
        self._joined = asyncio.Event()
        self._looked_at = -LOOK_S
        self._dirty = True
        self._role: Role | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger("parlour.conductor")

    async def start(self) -> None:
        """Begin; returns at once."""
        parts = self.core.parts
        if parts.wall.now() is None:
            parts.events.tell("clock-untrusted")
        await self.lease.listen()
        await self._watch.listen()
        await self.core.collector.listen()
        parts.bus.on_connected(self._joined.set)
        if parts.bus.connected:
            self._joined.set()
        spawn = asyncio.get_running_loop().create_task
        self._tasks = [
            spawn(self._join_for_ever(), name="join"),
            spawn(self._without_broker(), name="without-broker"),
            spawn(self._beat_for_ever(), name="beat"),
            spawn(self._work_for_ever(), name="work"),
            spawn(self.core.publisher.run(), name="publisher"),
            spawn(parts.events.run(), name="events"),
        ]

    async def stop(self) -> None:
        """A clean end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.core.publisher.forget()
        await self.lease.withdraw()

    def wake(self) -> None:
        """Something was committed."""
        self._dirty = True
        self.core.parts.lkg.touch()
        self.core.publisher.wake()

    def rejoin(self) -> None:
        """Compare database and broker once more, soon."""
        self._joined.set()

    def client_id_conflict(self) -> None:
        """Another process connects under our name."""
        self.core.parts.events.tell("client-id-conflict")
        if self.core.leadership.role is not Role.CONFLICT:
            self.reconciler.conflict("another process connects to the broker under this name")

    async def new_epoch(
        self, reason: EpochReason, by: str, above: str = "", why: str | None = None
    ) -> str:
        """Begin a new epoch by an operator's decision, and lead from now on.

        Raises:
            StoreError: nothing was changed.
            StorageError: the files beside the database cannot be written.
        """
        await self._once()
        name = await self.reconciler.new_epoch(reason, by, above, why)
        await self.lease.tell(now=True)
        return name

    # Joining: after every connect.

    async def _join_for_ever(self) -> None:
        while True:
            await self._joined.wait()
            self._joined.clear()
            try:
                await self._join()
            except (BusError, StoreError) as error:
                self._log.warning("not in step with the broker yet", code=error.code)
                await self.core.parts.clock.sleep(RETRY_S)
                self._joined.set()
            except Exception as error:  # noqa: BLE001  # the next round tries again
                self._log.error("joining failed", kind=type(error).__name__)
                self._log.debug("joining failed", exc_info=error)
                await self.core.parts.clock.sleep(RETRY_S)
                self._joined.set()
            self.core.parts.changed()

    async def _without_broker(self) -> None:
        """Take changes although no broker was ever seen, once it has been away for a while.

        They wait in the outbox. What the broker has is looked at as in any start when it comes;
        if it has more than the database, that gets a new epoch, and these changes with it.
        """
        core = self.core
        await core.parts.clock.sleep(AWAY_S)
        while not (self._collected_once or core.parts.bus.connected or core.alone):
            if core.leadership.role is Role.STARTING and core.parts.ledger.store.condition.ok:
                try:
                    await self._once()
                except (StoreError, StorageError) as error:
                    self._log.warning("no change can be taken yet", code=error.code)
                else:
                    core.alone = not core.parts.bus.connected
                    core.parts.changed()
            await core.parts.clock.sleep(BEAT_S)

    async def _join(self) -> None:
        core = self.core
        if not core.parts.bus.connected:
            return
        core.alone = False
        if core.parts.has_acl:
            core.acl = await probe(core.parts.bus)
            if core.acl is not Acl.ENFORCED:
                core.parts.events.tell("acl-selftest-failed")
        if self._collected_once:
            await core.collector.listen()  # what came before the connection was lost says nothing
        self._collected_once = True
        await self.reconciler.collect()
        if core.leadership.role is Role.STARTING:
            core.leadership.collected(core.parts.clock.monotonic())
            core.parts.changed()
        await self._until_decided()
        if core.leadership.leads:
            await self._once()
            await self.reconciler.whole()
            core.parts.changed()
        core.publisher.wake()

    async def _once(self) -> None:
        if not self._first_done:
            await self.reconciler.compare_with_file()
            await self._first()
            self._first_done = True

    async def _until_decided(self) -> None:
        """Wait out another's lease, or for our own to come back."""
        claimed = False
        leadership, clock = self.core.leadership, self.core.parts.clock
        while leadership.role in (Role.WAITING, Role.CLAIMING):
            if leadership.role is Role.CLAIMING and not claimed:
                claimed = True
                await self.lease.tell(now=True)
                await asyncio.sleep(0)
                continue
            await clock.sleep(CLAIM_STEP_S)
            leadership.tick(clock.monotonic())

    # What goes on all the time.

    async def _beat_for_ever(self) -> None:
        """Lease and role: nothing slow, so that the lease is never late."""
        leadership = self.core.leadership
        while True:
            await self.core.parts.clock.sleep(BEAT_S)
            if leadership.role is not self._role:
                if leadership.role is Role.CONFLICT and self._role is Role.ACTIVE:
                    self.reconciler.conflict(leadership.why)
                self._role = leadership.role
                self.core.parts.changed()
            if leadership.role is Role.ACTIVE:
                await self.lease.tell()

    async def _work_for_ever(self) -> None:
        while True:
            await self.core.parts.clock.sleep(BEAT_S)
            try:
                await self._work()
            except (BusError, StoreError) as error:
                self._log.warning("work was put off", code=error.code)
            except Exception as error:  # noqa: BLE001  # the next round tries again
                self._log.error("work failed", kind=type(error).__name__)
                self._log.debug("work failed", exc_info=error)

    async def _work(self) -> None:
        core, parts = self.core, self.core.parts
        now = parts.clock.monotonic()
        if self._dirty or now - self._looked_at >= LOOK_S:
            self._looked_at = now
            await self._look()
        if not (core.leadership.leads and parts.ledger.store.condition.ok):
            return
        if not core.reconciled:
            self._joined.set()
            return
        if parts.lkg.due(now):
            await parts.lkg.write(await parts.ledger.whole(), now)
        if not parts.bus.connected or self.reconciler.busy:
            return
        if now - self.reconciler.last >= RECONCILE_S:
            await self.reconciler.again()
        elif core.collector.news.is_set():
            await self.reconciler.news()
        await self._keep_in_sync(now)

    async def _keep_in_sync(self, now: float) -> None:
        due = self.core.book.due(now)
        for service, instance in due.alarms:
            self.core.parts.events.tell("not-in-sync", service, lagging=instance)
        await self.core.sign_again({*due.republish, *self.core.refresh.due(now)})

    async def _look(self) -> None:
        """Facts for health, and what should run."""
        core, ledger = self.core, self.core.parts.ledger
        if not ledger.store.condition.readable:
            return
        dirty, self._dirty = self._dirty, False
        self.waiting = await ledger.size()
        self.audit_head = await ledger.audit_head()
        core.floor = await ledger.floor()
        if dirty:
            await core.learn_desired()
        if core.publisher.stuck:
            core.parts.events.tell("outbox-stuck", waiting=self.waiting)
        if core.reconciled and core.situation.floor_ahead:
            core.parts.events.tell("floor-ahead")

    def _reported(self, report: Reported) -> None:
        core, events = self.core, self.core.parts.events
        if report.error == "EQUIVOCATION":
            events.tell("equivocation", report.service, reporter=report.instance)
        if not (report.issued_at and core.reconciled):
            return
        wanted = core.book.desired.get(report.service)
        from_file = report.said is not None and report.said.source == "lkg"
        if from_file and wanted is not None and report.checksum != wanted.checksum:
            events.tell("lkg-older-than-broker", report.service, reporter=report.instance)
        if report.issued_at > core.floor and report.status in ("stale", "retired_epoch"):
            events.tell("floor-behind", report.service, reporter=report.instance)
