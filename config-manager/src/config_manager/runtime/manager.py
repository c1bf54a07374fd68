"""All parts of the running config-manager, put together; also what the REST front sees."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from parlour_config.clock import EPOCH_START, moment_text
from parlour_config.users import UsersFile
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_kit.clock import utc_text
from parlour_kit.health import HealthReporter

from config_manager.commands import Commands, RefusedError, Signer, SyncState
from config_manager.errors import StoreError
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.mqtt import MqttFront
from config_manager.fronts.refusals import RefusalLog, Unauthorized
from config_manager.fronts.rest_models import FleetState
from config_manager.health import Vitals
from config_manager.homeassistant.wiring import bridge_of
from config_manager.moments import BUILT
from config_manager.profiles import Profiles
from config_manager.rebuild import Sources, rebuild
from config_manager.rotation import KeyRotations
from config_manager.rotation.shelf import Shelf
from config_manager.runtime.conductor import Conductor
from config_manager.runtime.core import Core, Parts
from config_manager.runtime.desk import Desk
from config_manager.runtime.events import Events
from config_manager.runtime.fallback import Fallback, model_rules
from config_manager.runtime.flapping import Flapping
from config_manager.runtime.fleet import FleetView
from config_manager.runtime.front_switch import FrontSwitch
from config_manager.runtime.ground import Ground
from config_manager.runtime.ledger import Ledger
from config_manager.runtime.operator import Operator
from config_manager.runtime.storage_watch import StorageWatch
from config_manager.runtime.upkeep import Upkeep

LOOK_S = 5.0
SWITCH_S = 0.25
MINUTE_S = 60.0
DAY_S = 86_400.0
TAKEN_OVER = "taken over"
"""What the broker says when another client comes under the same name."""

SHUTTING_DOWN = "shutting down"
"""What it says when it ends."""


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
        self._flapping = Flapping()
        self.operator = Operator(
            self.conductor,
            self.commands_of_database,
            rebuild_token=token.get_secret_value() if token else None,
            rebuild=self.rebuild,
            settled=self._flapping.settled,
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
        self._storage = StorageWatch(
            ground,
            self.events,
            changed=changed,
            usable=self.conductor.rejoin,
            rebuild=self.rebuild,
        )
        self._switch = FrontSwitch(
            ground.line,
            lambda bus: MqttFront(bus, self.desk, self.limiter, ground.wall),
            lambda: self.core.answers,
            changed,
        )
        self.core.listening = lambda: self._switch.listening
        self._home_assistant = bridge_of(ground, self.core)
        self._upkeep = Upkeep(clock)
        self._trusted: tuple[str, ...] = ()

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
            replica=self._storage.replica,
            checkpoints=self._storage.checkpoints,
        )

    # Life.

    async def start(self) -> None:
        """Begin; returns at once."""
        await self._storage.rebuild_if_allowed()
        await self.conductor.start()
        await self._home_assistant.start()
        every, storage = self._upkeep.every, self._storage
        every(LOOK_S, "database", storage.look, first=LOOK_S)
        every(LOOK_S, "keys", self._look_at_keys, first=LOOK_S)
        every(MINUTE_S, "housekeeping", self._tidy, first=MINUTE_S)
        every(DAY_S, "backup", storage.back_up, first=MINUTE_S)
        every(SWITCH_S, "requests", self._switch.look, first=0.0)
        if storage.replicated:
            every(LOOK_S, "log", storage.look_at_log, first=LOOK_S)
            every(LOOK_S, "replica", self._look_at_replica, first=0.0)

    async def stop(self) -> None:
        """A clean end."""
        await self.operator.close()
        await self._upkeep.stop()
        await self._home_assistant.stop()
        await self._switch.close()
        await self.refusals.close()
        await self.conductor.stop()
        try:
            if self._ground.store.condition.ok:
                await self.commands_of_database.housekeeping()
        except StoreError as error:
            self._log.warning("counted reads were not recorded", code=error.code)

    def connected(self) -> None:
        """The publishing connection stands; somebody else may have our name."""
        if self._flapping.connected(self._ground.clock.monotonic()):
            self.conductor.client_id_conflict()

    def lost(self, why: str) -> None:
        """The publishing connection was lost."""
        self._flapping.lost(self._ground.clock.monotonic())
        if TAKEN_OVER in why.lower():
            self.conductor.client_id_conflict()
        elif SHUTTING_DOWN in why.lower():
            self.away()

    def request_line_lost(self) -> None:
        """The other connection was lost."""
        self._flapping.other_lost(self._ground.clock.monotonic())

    def away(self) -> None:
        """The broker cannot be reached."""
        self._flapping.away()

    async def rebuild(self, by: str, why: str) -> None:
        """Make a damaged database anew, then sign everything above whatever the broker holds."""
        ground = self._ground
        held = ground.lkg.load()
        now, believed = utc_text(ground.clock.wall()), ground.wall.now()
        sources = Sources(
            backups=[ground.settings.backup],
            settings=held.payload if held else None,
            floor=max(
                ground.lkg.floor or EPOCH_START,
                self.core.floor,
                moment_text(believed) if believed else BUILT,
            ),
        )
        self.core.reconciled = False
        self._changed()
        try:
            done = await rebuild(
                ground.store, self.commands_of_database, sources, by=by, why=why, now=now
            )
        except StoreError as error:
            self._log.error("the database could not be made anew", code=error.code,
                            reason=str(error), hint=error.hint)  # fmt: skip
            return
        finally:
            self._changed()
        self._log.warning("the database was made anew", origin=done.origin, epoch=done.epoch,
                          noted=done.noted)  # fmt: skip
        self.core.minted |= {done.epoch}
        self.core.publisher.reset()
        self._home_assistant.wake()
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
        self._home_assistant.wake()

    def _status(self, service: str) -> SyncState:
        return self.fleet.status(service)

    async def _first(self) -> None:
        """Every service has settings, before anything is compared."""
        ground = self._ground
        await self._ledger.prepare_floor(BUILT, ())
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

    # Chores.

    async def _look_at_keys(self) -> None:
        """Go on with rotations; what other keys verified must be verified again."""
        trusted = tuple(key.kid for key in self._ground.keys.current().trusted)
        if trusted != self._trusted:
            self._trusted = trusted
            self.core.collector.forget()
        while self._may_change() and await self.keys.step():
            pass

    async def _tidy(self) -> None:
        if self._may_change():
            await self.commands_of_database.housekeeping()

    async def _look_at_replica(self) -> None:
        await self._storage.look_at_replica()
        self.core.replica_bad = self._storage.replica.status == "error"

    def _may_change(self) -> bool:
        return self._gate() is None
