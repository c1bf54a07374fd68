"""All parts of the running config-manager, put together; also what the REST front sees."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from parlour_config.clock import EPOCH_START, moment_text
from parlour_config.keyfiles import KeyFile, ManagerKeys
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock, utc_text
from parlour_kit.health import HealthReporter

from config_manager.commands import Commands, RefusedError, Signer, SyncState
from config_manager.errors import StoreError
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.mqtt import MqttFront
from config_manager.fronts.refusals import RefusalLog, Unauthorized
from config_manager.fronts.rest_models import FleetState
from config_manager.health import Vitals, wal_affected
from config_manager.profiles import Profiles
from config_manager.rebuild import Sources, rebuild
from config_manager.rotation import KeyRotations
from config_manager.rotation_shelf import Shelf
from config_manager.runtime.clock import BUILT, WallClock
from config_manager.runtime.conductor import Conductor
from config_manager.runtime.core import Core, Parts
from config_manager.runtime.desk import Desk
from config_manager.runtime.epoch_file import EpochFiles
from config_manager.runtime.events import Events
from config_manager.runtime.fallback import Fallback, model_rules
from config_manager.runtime.flapping import Flapping
from config_manager.runtime.fleet import FleetView
from config_manager.runtime.ledger import Ledger
from config_manager.runtime.litestream import DISABLED, LitestreamWatch, Replica
from config_manager.runtime.lkg_file import LkgFile
from config_manager.runtime.operator import Operator
from config_manager.runtime.request_line import RequestLine
from config_manager.runtime.upkeep import Upkeep, disk_is_low
from config_manager.runtime.wal import WalWatch
from config_manager.settings import ManagerSettings
from config_manager.store import Store
from config_manager.users import UsersFile

LOOK_S = 5.0
SWITCH_S = 0.25
MINUTE_S = 60.0
DAY_S = 86_400.0
TAKEN_OVER = "taken over"
"""What the broker says when another client comes under the same name."""


@dataclass(frozen=True)
class Ground:
    """What a manager stands on; everything is open already."""

    settings: ManagerSettings
    store: Store
    keys: KeyFile[ManagerKeys]
    users: UsersFile
    lkg: LkgFile
    files: EpochFiles
    bus: Bus
    clock: Clock
    wall: WallClock
    line: RequestLine
    instance: str
    models: Mapping[str, type[ServiceConfigModel]]
    minted: frozenset[str]
    seeds: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]


class Manager:
    """Runs from :meth:`start` to :meth:`stop`."""

    def __init__(self, ground: Ground, health: HealthReporter, changed: Callable[[], None]) -> None:
        """Put it together.

        Args:
            ground: what it stands on.
            health: of the process.
            changed: called when health has something new to tell.
        """
        self._ground = ground
        self._health = health
        self._changed = changed
        self._log = structlog.get_logger("parlour.config-manager")
        clock, store, settings = ground.clock, ground.store, ground.settings
        self.events = Events(ground.bus, ground.instance, clock, changed)
        self._ledger = Ledger(store, self._signer, clock.wall)
        self.core = Core(
            Parts(
                ledger=self._ledger,
                bus=ground.bus,
                clock=clock,
                wall=ground.wall,
                instance=ground.instance,
                boot=health.boot,
                keys=ground.keys.current,
                files=ground.files,
                lkg=ground.lkg,
                events=self.events,
                services=frozenset(ground.models),
                has_acl=settings.mqtt_acl == "enforced",
                refresh_s=settings.config_refresh_s,
                minted=ground.minted,
                changed=changed,
            )
        )
        self.commands_of_database = Commands(
            store,
            self._signer,
            ground.models,
            clock,
            gate=self._gate,
            wake=self._woken,
            status=self._status,
        )
        self.conductor = Conductor(self.core, first=self._first)
        self.limiter = RateLimiter(
            clock,
            in_flight=settings.config_requests_at_once,
            per_second=settings.config_requests_per_s,
        )
        self.refusals = RefusalLog(clock, self._record)
        self.desk = Desk(
            self.commands_of_database,
            Fallback(ground.lkg.load, ground.models, self._gate),
            ground.users,
            self.refusals,
            ground.models,
            lambda: self.core.situation,
        )
        token = settings.rebuild_token
        self.operator = Operator(
            self.conductor,
            self.commands_of_database,
            rebuild_token=token.get_secret_value() if token else None,
            rebuild=self.rebuild,
        )
        self.fleet = FleetView(self.core, self.conductor)
        self.keys = KeyRotations(
            ground.keys,
            settings.keys,
            self.commands_of_database,
            Shelf(store, clock.wall, self._woken),
            self.fleet,
            clock,
            clock_trusted=ground.wall.trusted,
            gate=self._gate,
        )
        self.profiles = Profiles(
            store,
            self._signer,
            lambda service: model_rules(service, ground.models),
            clock,
            self._gate,
            self._woken,
        )
        self._replica: Replica = DISABLED
        self._litestream = _litestream(settings)
        self._news = store.condition.news
        self._flapping = Flapping()
        self._wal: WalWatch | None = None
        self._upkeep = Upkeep(clock)
        self._front: MqttFront | None = None
        self._line_bus: Bus | None = None
        self.core.listening = self._listening
        self._trusted: tuple[str, ...] = ()
        self._switching = asyncio.Lock()

    # What the REST front sees.

    @property
    def commands(self) -> Desk:
        """Reads and changes."""
        return self.desk

    @property
    def users(self) -> UsersFile:
        """Who may do what."""
        return self._ground.users

    def health(self) -> ConfigHealthPayload:
        """The health as it would be published now."""
        payload = self._health.now()
        assert isinstance(payload, ConfigHealthPayload)
        return payload

    async def state(self) -> FleetState:
        """Desired and reported settings."""
        return await self.fleet.state()

    # For the health message.

    def vitals(self) -> Vitals:
        """What only the running parts know."""
        return Vitals(
            situation=self.core.situation,
            lkg_valid=self._ground.lkg.valid,
            audit_head=self.conductor.audit_head,
            outbox=self.conductor.waiting,
            replica=self._replica,
            checkpoints="litestream" if self._wal is not None else "self",
        )

    # Life.

    async def start(self) -> None:
        """Begin; returns at once."""
        settings, store = self._ground.settings, self._ground.store
        if settings.litestream_socket is not None and wal_affected():
            self._wal = WalWatch(store, store.path.with_name(f"{store.path.name}.ckpt"))
            self.events.tell("sqlite-wal-reset-affected")
            self._upkeep.every(LOOK_S, "log", self._look_at_log, first=LOOK_S)
        await self._rebuild_if_allowed()
        await self.conductor.start()
        every = self._upkeep.every
        every(LOOK_S, "database", self._look, first=LOOK_S)
        every(LOOK_S, "keys", self._step_keys, first=LOOK_S)
        every(MINUTE_S, "housekeeping", self._tidy, first=MINUTE_S)
        every(DAY_S, "backup", self._back_up, first=MINUTE_S)
        every(SWITCH_S, "requests", self._switch_front, first=0.0)
        if self._litestream is not None:
            every(LOOK_S, "replica", self._look_at_replica, first=0.0)

    async def stop(self) -> None:
        """A clean end."""
        await self._upkeep.stop()
        await self._close_front()
        await self.refusals.close()
        await self.conductor.stop()
        try:
            if self._ground.store.condition.ok:
                await self.commands_of_database.housekeeping()
        except StoreError as error:
            self._log.warning("counted reads were not recorded", code=error.code)

    def connected(self) -> None:
        """The publishing connection stands."""
        self._flapping.connected(self._ground.clock.monotonic())

    def lost(self, why: str) -> None:
        """The publishing connection was lost; somebody else may have our name."""
        flaps = self._flapping.lost(self._ground.clock.monotonic())
        if flaps or TAKEN_OVER in why.lower():
            self.conductor.client_id_conflict()

    async def rebuild(self, by: str, why: str) -> None:
        """Make a damaged database anew, then sign everything above whatever the broker holds."""
        ground = self._ground
        held = ground.lkg.load()
        now = utc_text(ground.clock.wall())
        sources = Sources(
            backups=[ground.settings.backup],
            settings=held.payload if held else None,
            floor=max(ground.lkg.floor or EPOCH_START, self.core.floor),
        )
        self.core.reconciled = False
        self._changed()
        try:
            done = await rebuild(
                ground.store, self.commands_of_database, sources, by=by, why=why, now=now
            )
        except StoreError as error:
            self._log.error("the database could not be made anew", code=error.code)
            return
        finally:
            self._changed()
        self._log.warning("the database was made anew", origin=done.origin, epoch=done.epoch)
        self.core.minted |= {done.epoch}
        self.core.publisher.reset()
        self.conductor.rejoin()

    # What the parts ask of each other.

    def _signer(self) -> Signer:
        keys = self._ground.keys.current()
        return Signer(
            key=keys.signing,
            master=(keys.master.id, keys.master.raw),
            keyring=keys.keyring,
            mask_key=keys.mask,
            clock_trusted=self._ground.wall.trusted,
        )

    def _gate(self) -> RefusedError | None:
        return self.core.situation.gate()

    def _woken(self) -> None:
        self.conductor.wake()

    def _status(self, service: str) -> SyncState:
        return self.fleet.status(service)

    async def _first(self) -> None:
        """Every service has settings, before anything is compared."""
        ground = self._ground
        await self._ledger.prepare_floor(moment_text(BUILT), ())
        report = await self.commands_of_database.seed(ground.seeds, ground.reasons)
        for service, problem in report.problems:
            self._log.warning("a setting to begin with was not taken", service=service,
                              key=problem.key, problem=problem.problem)  # fmt: skip
        if report.created or report.upgraded:
            self._log.info("settings were written", first=len(report.created),
                           added=len(report.upgraded))  # fmt: skip

    async def _record(self, row: Unauthorized) -> None:
        try:
            await self._ledger.denied(row.user, row.service, row.code, row.count)
        except StoreError as error:
            self._log.error("a refusal could not be recorded", user=row.user, code=error.code)

    # Requests over MQTT.

    async def _switch_front(self) -> None:
        """The request connection stands while this process answers."""
        wanted = self.core.answers
        async with self._switching:
            if wanted and self._front is None:
                ground = self._ground
                bus = await ground.line.open()
                bus.on_connected(self._changed)
                self._line_bus = bus
                front = MqttFront(bus, self.desk, self.limiter, ground.clock, ground.wall)
                await front.start()
                await ground.line.start()
                self._front = front
            elif not wanted and self._front is not None:
                await self._close_front()

    def _listening(self) -> bool:
        return self._line_bus is not None and self._line_bus.connected

    async def _close_front(self) -> None:
        front, self._front, self._line_bus = self._front, None, None
        if front is not None:
            await front.stop()
            await self._ground.line.close()

    # Chores.

    async def _look(self) -> None:
        store = self._ground.store
        condition = await store.look()
        if condition.news != self._news:  # also when a change or a read met it first
            self._news = condition.news
            self._tell_condition()
            await self._rebuild_if_allowed()
        if disk_is_low(store.path.parent):
            self.events.tell("disk-low")
        trusted = tuple(key.kid for key in self._ground.keys.current().trusted)
        if trusted != self._trusted:
            self._trusted = trusted
            self.core.collector.forget()

    def _tell_condition(self) -> None:
        condition = self._ground.store.condition
        if condition.error is None:
            self._log.info("the database can be used again")
            self.conductor.rejoin()
        else:
            self._log.error(
                "the database cannot be used",
                code=condition.error.code,
                mode=condition.mode,
                reason=str(condition.error),
                hint=condition.error.hint,
            )
        self._changed()

    async def _rebuild_if_allowed(self) -> None:
        store = self._ground.store
        if self._ground.settings.rebuilds and store.condition.final:
            await self.rebuild("system:auto-rebuild", str(store.condition.error))

    async def _step_keys(self) -> None:
        while self._may_change() and await self.keys.step():
            pass

    async def _tidy(self) -> None:
        if self._may_change():
            await self.commands_of_database.housekeeping()

    async def _back_up(self) -> None:
        if self._may_change():
            target = self._ground.settings.backup
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._ground.store.backup(target)

    async def _look_at_log(self) -> None:
        if self._wal is not None and await self._wal.look():
            self.events.tell("wal-growing", bytes=self._ground.store.wal_bytes)

    async def _look_at_replica(self) -> None:
        assert self._litestream is not None
        before = self._replica.status
        epoch = self._ground.store.facts.config_epoch
        if epoch and not self._litestream.names(epoch):
            self._litestream.write_names(epoch)
        self._replica = await self._litestream.look(self._ground.clock.wall())
        if self._replica.path_old:
            self.events.tell("replica-path-old")
        self.core.replica_bad = self._replica.status == "error"
        if self._replica.status != before:
            self._changed()

    def _may_change(self) -> bool:
        return self._gate() is None


def _litestream(settings: ManagerSettings) -> LitestreamWatch | None:
    if settings.litestream_socket is None:
        return None
    return LitestreamWatch(
        settings.litestream_socket, settings.database, settings.litestream_env, platform.node()
    )
