"""Brings the broker in line with the database, and the database above what the broker has."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog
from parlour_config.clock import EPOCH_START, parse_moment
from parlour_config.errors import StorageError

from config_manager.moments import BUILT
from config_manager.runtime.core import CONFIG_PREFIX, Core
from config_manager.runtime.reconcile import Moment, Past, Plan, Seen, plan
from config_manager.tables.epochs import EpochReason


class Reconciler:
    """One collection at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._parts = core.parts
        self._lock = asyncio.Lock()
        self._stopped = False
        self._behind = False
        self._began_at = EPOCH_START
        self.last = 0.0
        self._log = structlog.get_logger("parlour.reconcile")

    @property
    def busy(self) -> bool:
        """Whether a collection is being dealt with."""
        return self._lock.locked()

    async def compare_with_file(self) -> None:
        """See whether the last-known-good file knows of later messages than the database does.

        Before anything is signed, because that moves the floor.
        """
        lkg, past = self._parts.lkg, await self._parts.ledger.past(self._core.minted)
        self._behind = lkg.config_epoch == past.epoch and lkg.floor > past.floor
        self._began_at = past.floor

    async def collect(self) -> None:
        """Return when what is retained has come."""
        desired = await self._core.learn_desired()
        await self._core.collector.settle(self._parts.services | desired.keys())

    async def again(self) -> None:
        """Ask the broker for everything and deal with it."""
        async with self._lock:
            await self._core.collector.listen()
            await self.collect()
            await self._reconcile(whole=True)

    async def whole(self) -> None:
        """Deal with everything that was collected."""
        async with self._lock:
            await self._reconcile(whole=True)

    async def news(self) -> None:
        """Deal with what somebody else just sent."""
        async with self._lock:
            await self._reconcile(whole=False)

    async def new_epoch(
        self, reason: EpochReason, by: str, above: str = "", why: str | None = None
    ) -> str:
        """Begin a new epoch above everything that anybody may have seen, and send it.

        It is an operator's decision, so it ends a conflict or a standby.
        """
        core, parts = self._core, self._parts
        async with self._lock:
            seen: list[Seen] = []
            if parts.bus.connected:
                await core.collector.listen()
                await self.collect()
                seen = await core.collector.taken(echoes=True)
            past = await parts.ledger.past(core.minted)
            least = max([past.floor, above, *(message.issued_at for message in seen)])
            others = {message.epoch for message in seen if message.epoch} - {past.epoch}
            name = await parts.ledger.new_epoch(reason, by, least, sorted(others), why)
            core.minted |= {name}
            parts.files.end_conflict()
            core.floor = await parts.ledger.floor()
            if above:
                self.confirm_floor()
            await self._remember_epoch()
            core.leadership.takeover()
            self._stopped = False
            core.reconciled = True
            services = {message.service for message in seen} | core.book.desired.keys()
            await core.sign_again(services)
        core.publisher.wake()
        parts.lkg.touch()
        parts.changed()
        return name

    def confirm_floor(self) -> None:
        """The operator says that the logical clock is right; raises StorageError."""
        self._parts.files.confirm_floor(self._core.floor)
        self._core.confirmed = self._core.floor

    def conflict(self, why: str) -> None:
        """Somebody else signs as this process does: stop, and remember it over restarts."""
        core = self._core
        core.leadership.conflict(why)
        if self._stopped:
            return
        self._stopped = True
        self._parts.events.tell("epoch-conflict")
        self._log.error("stopped publishing: somebody else signs as this process does", why=why)
        try:
            self._parts.files.keep_conflict(why)
        except StorageError as error:
            self._log.error("the conflict's file was not written", code=error.code)
        self._parts.changed()

    async def _reconcile(self, *, whole: bool) -> None:
        core, parts = self._core, self._parts
        seen = await core.collector.taken(echoes=whole)
        if not core.leadership.leads or (not seen and not whole):
            return
        past = await parts.ledger.past(core.minted)
        desired = await core.learn_desired()
        known = await parts.ledger.known(
            (message.service, message.checksum) for message in seen if message.epoch == past.epoch
        )
        now = parts.clock.monotonic()
        moment = Moment(not core.reconciled, core.leadership.other_lives(now))
        # What was signed while no broker could be reached was never sent: what the broker has is
        # measured by what the database knew before.
        as_found = replace(past, floor=self._began_at) if moment.starting else past
        found = plan(seen, as_found, moment, known=known, desired=desired, whole=whole)
        if found.conflict:
            self.conflict(f"somebody else signed for {', '.join(found.conflict[:5])}")
            return
        renewed = await self._raise(found, past)
        services = set(found.publish) | (desired.keys() if renewed else set())
        if not renewed and core.floor == past.floor:
            waiting = await parts.ledger.waiting_topics()
            services = {s for s in services if f"{CONFIG_PREFIX}{s}" not in waiting}
        self._plan_refreshes(seen, desired)
        self._note_sent(seen, past, desired)
        await self._publish(services, whole=whole)
        self._tell(found)
        if whole:
            self.last = now

    async def _raise(self, found: Plan, past: Past) -> bool:
        """Set floor and epoch; whether the epoch is a new one."""
        core, parts = self._core, self._parts
        reason: EpochReason | None = found.new_epoch
        least = found.floor
        if not core.reconciled:
            reason = reason or self._restored(past)
            least = max(least, parts.lkg.floor, BUILT)
        if reason is not None:
            name = await parts.ledger.new_epoch(reason, "system:start", least, found.record)
            core.minted |= {name}
            if reason == "restored-behind":
                parts.events.tell("restored-behind")
        elif least > past.floor or found.record:
            await parts.ledger.prepare_floor(least, found.record)
        core.floor = await parts.ledger.floor()
        if not core.reconciled:
            await self._remember_epoch()
            core.reconciled = True
        return reason is not None

    async def _publish(self, services: set[str], *, whole: bool) -> None:
        core, parts = self._core, self._parts
        signed = await core.sign_again(services)
        if signed:
            self._log.info("published again", services=signed)
        if not whole:
            return
        keyset = await parts.ledger.keyset()
        if keyset is not None and keyset[1] != core.collector.keyset:
            await parts.ledger.resend_keyset()
            core.publisher.wake()

    def _tell(self, found: Plan) -> None:
        events = self._parts.events
        for service in sorted(found.tampered)[:20]:
            events.tell("config-topic-tampered", service)
        if found.predecessors:
            events.tell("predecessor-found", messages=found.predecessors)
        if self._core.situation.floor_ahead:
            events.tell("floor-ahead")

    def _restored(self, past: Past) -> EpochReason | None:
        """Whether the database is not the one that this folder had, by the files beside it."""
        parts = self._parts
        if parts.files.restored():
            return "restored"
        if past.minted_now:
            return None
        if self._behind:
            return "restored-behind"
        named = parts.files.read()
        if named is not None and named.config_epoch not in {past.epoch, *past.earlier}:
            return "restored"
        return None

    async def _remember_epoch(self) -> None:
        """Write the file beside the database; a restore's mark goes when that has happened."""
        files = self._parts.files
        metadata = await self._parts.ledger.metadata()
        try:
            files.write(metadata)
            files.restore_done()
        except StorageError as error:
            self._log.error("the epoch's file was not written", code=error.code)

    def _note_sent(self, seen: list[Seen], past: Past, desired: dict[str, str]) -> None:
        """What the broker holds and should: so it is known after a restart, too."""
        for message in seen:
            own = message.epoch == past.epoch and not message.misplaced
            if own and message.checksum == desired.get(message.service):
                self._core.book.sent(message.service, message.issued_at)

    def _plan_refreshes(self, seen: list[Seen], desired: dict[str, str]) -> None:
        now, wall = self._parts.clock.monotonic(), self._parts.wall.now()
        if wall is None:
            return
        for message in seen:
            if message.epoch is not None and message.service in desired:
                age = (wall - parse_moment(message.issued_at)).total_seconds()
                self._core.refresh.published(message.service, now, age)
