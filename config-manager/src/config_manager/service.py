"""config-manager: owns the configuration of the fleet, and tells how it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from parlour_config.canonical import load
from parlour_config.errors import RefusedJsonError, StorageError
from parlour_config.files import read_limited
from parlour_config.keyfiles import KeyFile, ManagerKeys
from parlour_config.keyfolder import manager_path
from parlour_config.provision import KeysUnwritableError, provision
from parlour_config.users import UsersError, UsersFile
from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_kit.errors import StartupError
from parlour_kit.fleet import FleetHealth, aggregate
from parlour_kit.health import Compose
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.probes.checks import Check
from parlour_kit.service import Context, Service

from config_manager.checks import Facts
from config_manager.checkup import checks_of
from config_manager.condition import Condition
from config_manager.fronts.rest import create_app
from config_manager.fronts.rest_server import RestServer, Tls, serve_rest
from config_manager.health import Vitals, config_health, wal_affected
from config_manager.runtime.clock import OneClock, WallClock
from config_manager.runtime.epoch_file import EpochFiles
from config_manager.runtime.ground import Ground
from config_manager.runtime.lkg_file import LkgFile
from config_manager.runtime.manager import Manager
from config_manager.runtime.request_line import MqttRequestLine, RequestLine
from config_manager.settings import ManagerSettings
from config_manager.store import Store
from config_manager.writer import AUTOCHECKPOINT_PAGES

MAX_SEED_BYTES = 4 * 1_048_576
LKG_NAME = "config-manager"


class ConfigManager(Service[ServiceConfigModel]):
    """Takes keys and database before it connects, then leads for as long as it runs.

    A damaged or foreign database does not end it: it answers reads from its last-known-good file
    and says why. It speaks to the broker over two connections, so that requests that wait cannot
    hold up what it publishes.
    """

    name: ClassVar[str] = "config-manager"
    config_model: ClassVar[type[ServiceConfigModel]] = ServiceConfigModel
    health_interval_s: ClassVar[float] = 10.0
    client_suffix: ClassVar[str] = ".pub"

    def __init__(
        self,
        ctx: Context,
        config: ServiceConfigModel,
        *,
        store: Store | None = None,
        models: Mapping[str, type[ServiceConfigModel]] = CONFIGS,
        line: RequestLine | None = None,
        settings: ManagerSettings | None = None,
        wall: WallClock | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            ctx: of the process.
            config: of no use; config-manager has no settings of its own.
            store: the database; the settings' one when left out.
            models: service → the model of its settings.
            line: how requests come in; a connection of its own when left out.
            settings: what the environment says; the process's own when left out.
            wall: the wall clock, and whether it may be believed.
        """
        super().__init__(ctx, config)
        found = settings or ctx.settings
        assert isinstance(found, ManagerSettings), "config-manager needs its own settings"
        self._settings = found
        self._models = models
        self._wall = wall or WallClock(ctx.clock.wall)
        self._clock = OneClock(ctx.clock, self._wall)
        copied = found.litestream_socket is not None
        self._store = store or Store(
            found.database,
            models=models,
            now=self._wall.told,
            autocheckpoint=0 if copied and wal_affected() else AUTOCHECKPOINT_PAGES,
            copied=copied,
        )
        self._line = line or MqttRequestLine(found.request_options(), ctx.instance, ctx.clock)
        self._keys = KeyFile.of_manager(manager_path(found.keys), os.environ)
        self._users = UsersFile(found.users, instances=lambda: frozenset({self.name, *models}))
        self._files = EpochFiles(self._store.path.parent)
        self._lkg = LkgFile(
            self._store.path.with_name("config-manager.lkg.json"),
            lambda: self._keys.current().lkg_keys(LKG_NAME),
        )
        self._minted: frozenset[str] = frozenset()
        self._manager: Manager | None = None
        self._rest: RestServer | None = None

    @property
    def manager(self) -> Manager:
        """The running parts; there from :meth:`serve` on."""
        assert self._manager is not None
        return self._manager

    @property
    def rest_port(self) -> int | None:
        """Where HTTP is served, if it is."""
        return self._rest.port if self._rest else None

    async def prepare(self) -> None:
        """Take lock and database, and see that there are keys.

        Raises:
            StartupError: another process has the database, something cannot be used, a restore was
                cut off, or keys are missing and cannot be stored.
        """
        existed = self._store.path.exists()
        if not existed and self._files.restored():
            raise StartupError(
                "a restore was cut off: there is its mark, and no database",
                hint="run parlour backup restore once more",
            )
        await self._store.open()
        if not existed and self._store.facts.config_epoch:
            self._minted = frozenset({self._store.facts.config_epoch})
        self._provide_keys()
        try:
            self._users.ensure()
        except UsersError as error:
            raise StartupError(str(error), hint=error.hint) from error
        self._lkg.load()

    async def serve(self) -> None:
        """Lead, or find out who does; requests are answered when the broker was seen."""
        assert self.health is not None
        seeds, reasons = read_seeds(self._settings)
        self._manager = Manager(
            Ground(
                settings=self._settings,
                store=self._store,
                keys=self._keys,
                users=self._users,
                lkg=self._lkg,
                files=self._files,
                bus=self.ctx.bus,
                clock=self._clock,
                wall=self._wall,
                line=self._line,
                instance=self.ctx.instance,
                models=self._models,
                minted=self._minted,
                seeds=seeds,
                reasons=reasons,
            ),
            self.health,
            self._changed,
        )
        if isinstance(self.ctx.bus, MqttBus):
            if self.ctx.bus.connected:
                self._manager.connected()
            self.ctx.bus.on_connected(self._manager.connected)
            self.ctx.bus.on_lost(self._manager.lost)
            self.ctx.bus.on_away(self._manager.away)
        if isinstance(self._line, MqttRequestLine):
            self._line.lost = self._manager.request_line_lost
        await self._manager.start()
        if self._settings.rest_port is not None:
            cert, key = self._settings.rest_cert_file, self._settings.rest_key_file
            self._rest = await serve_rest(
                create_app(self._manager),
                self._settings.rest_host,
                self._settings.rest_port,
                Tls(cert, key) if cert and key else None,
            )
            self.log.info("REST is served", host=self._settings.rest_host, port=self._rest.port)

    async def drain(self) -> None:
        """Take no more requests, and let others lead."""
        if self._rest is not None:
            await self._rest.stop()
            self._rest = None
        if self._manager is not None:
            await self._manager.stop()

    async def close(self) -> None:
        """Let go of the database."""
        await self._store.close()

    def compose_health(self) -> Compose:
        """S2's health model in place of the fleet's."""
        return config_health(self)

    def components(self) -> dict[str, bool]:
        """Whether the database can be read, and whether changes can be made."""
        condition = self._store.condition
        return {
            "database": condition.status == "healthy",
            "changes": self._manager is not None and self._manager.core.situation.gate() is None,
        }

    def checks(self) -> list[Check]:
        """Whether the database answers, and has this release's form."""
        return checks_of(self._store)

    def fleet(self) -> FleetHealth | None:
        """All other instances, as far as they were heard."""
        if self._manager is None:
            return None
        heard = self._manager.conductor.roll.instances.values()
        return aggregate(heard, self.clock.monotonic(), self.clock.wall())

    # What the health message asks for.

    @property
    def condition(self) -> Condition:
        """Of the database."""
        return self._store.condition

    @property
    def facts(self) -> Facts:
        """What the database says of itself."""
        return self._store.facts

    def vitals(self) -> Vitals:
        """What only the running parts know."""
        return self._manager.vitals() if self._manager else Vitals(lkg_valid=self._lkg.valid)

    def take_word(self) -> str | None:
        """The name of an event that the next message begins with."""
        return self._manager.events.take_word() if self._manager else None

    def _changed(self) -> None:
        """Health has something new to tell: at once, not at the next look."""
        if self.health is not None:
            self.health.state.components = self.components()
            self.health.announce()

    def _provide_keys(self) -> None:
        """Make keys at a first start; those of the environment need no file."""
        try:
            ManagerKeys.of(os.environ)
        except StartupError:
            pass
        else:
            return
        try:
            provision(self._settings.keys, self._models)
        except KeysUnwritableError as error:
            print(error.text, file=sys.stderr)  # noqa: T201  # once, and in no log
            raise
        self._keys.current()


def read_seeds(
    settings: ManagerSettings,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What services begin with, and why: service → settings, service → reason.

    Raises:
        StartupError: the file is not of its form.
    """
    path = settings.config_seed_file
    if path is None:
        return {}, {}
    try:
        found = load(read_limited(path, MAX_SEED_BYTES), MAX_SEED_BYTES)
    except (OSError, StorageError, RefusedJsonError) as error:
        raise StartupError(f"{path} cannot be read: {error}", hint="see CONFIG_SEED_FILE") from None
    entries = found if isinstance(found, dict) else {"": None}
    seeds: dict[str, dict[str, Any]] = {}
    reasons: dict[str, str] = {}
    for service, entry in entries.items():
        given = entry.get("settings") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(given, dict):
            raise StartupError(
                f"{path} must hold, for each service, its settings and a reason",
                hint='for example {"tts-worker": {"settings": {}, "reason": "first start"}}',
            )
        seeds[service] = dict(given)
        reasons[service] = str(entry.get("reason") or "first start")[:500]
    return seeds, reasons
