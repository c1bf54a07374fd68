"""The life of a process: settings, logs, broker, engine, ready, drain, stop.

A service says what it loads, what it listens to and how it lets go; everything else that a
process needs is here, once.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

import structlog
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.health import ConfigState, SelfTest
from parlour_contracts.topics import SELF_TEST

from parlour_kit import log
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock, LoopClock
from parlour_kit.config_file import read_config
from parlour_kit.errors import BusError, ParlourError, StartupError
from parlour_kit.health import Compose, HealthReporter, fleet_health
from parlour_kit.messenger import Messenger
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.privacy import forbid_telemetry
from parlour_kit.settings import ProcessSettings, load_settings
from parlour_kit.watchdog import SelfPing

C = TypeVar("C", bound=ServiceConfigModel)

PING_INTERVAL_S = 10.0
DRAIN_S = 3.0
"""What a service gets to let go; with the rest a process ends within 5 s."""


@dataclass(frozen=True)
class Context:
    """What a service is given.

    ``data_dir`` holds models and caches. ``config_source`` tells where the configuration
    came from.
    """

    instance: str
    bus: Bus
    messenger: Messenger
    clock: Clock
    data_dir: Path
    config_source: str = "default"


class Service(ABC, Generic[C]):
    """One process of the fleet."""

    name: ClassVar[str]
    config_model: ClassVar[type[Any]]
    health_interval_s: ClassVar[float] = 5.0
    """How often health is told, unless HEALTH_INTERVAL_S says otherwise (R012)."""

    def __init__(self, ctx: Context, config: C) -> None:
        self.ctx = ctx
        self.config = config
        self.messenger = ctx.messenger
        self.clock = ctx.clock
        self.log = structlog.get_logger(f"parlour.{self.name}")
        self.health: HealthReporter | None = None

    async def prepare(self) -> None:
        """Take what must be held before anybody hears of this process, such as a lock.

        Raises:
            StartupError: this process must not run; it ends without having connected.
        """
        return

    async def load(self) -> None:
        """Load what is heavy.

        A ParlourError leaves the process running but unhealthy, with the error in its health,
        so that a change of settings can repair it.
        """
        return

    @abstractmethod
    async def serve(self) -> None:
        """Subscribe; return when work can come."""

    async def drain(self) -> None:
        """Take no more work and let go of what runs."""
        return

    async def close(self) -> None:
        """Free what :meth:`load` took."""
        return

    def components(self) -> dict[str, bool]:
        """Component → whether it works."""
        return {}

    def queue(self) -> int:
        """Requests that wait."""
        return 0

    def compose_health(self) -> Compose:
        """How this service tells its health."""
        return fleet_health(self.name, self.ctx.instance)


class Runtime:
    """Runs one service on one bus; :func:`main` wraps it in a process."""

    def __init__(self, service: Service[Any], health_interval_s: float | None = None) -> None:
        self.service = service
        ctx = service.ctx
        self.health = HealthReporter(
            ctx.bus,
            ctx.instance,
            service.compose_health(),
            ctx.clock,
            health_interval_s or service.health_interval_s,
        )
        service.health = self.health
        self.deaf = asyncio.Event()
        self._ping = SelfPing()
        self._background: list[asyncio.Task[None]] = []
        self._prepared = False
        self._log = structlog.get_logger("parlour.service")

    async def prepare(self) -> None:
        """What comes before the first connection; a StartupError of it ends the process."""
        if not self._prepared:
            await self.service.prepare()
            self._prepared = True

    async def start(self) -> None:
        """Load the engine, then listen, then be ready."""
        await self.prepare()
        service = self.service
        await self.health.start()
        await service.messenger.on(SELF_TEST, self._echo, instance=service.ctx.instance)
        started = time.monotonic()
        try:
            await service.load()
        except ParlourError as error:
            self.health.state.error = error
            self._log.error(  # the message says all, a trace adds nothing
                "cannot load", code=error.code, reason=str(error), hint=error.hint
            )
        await service.serve()
        self._refresh()
        self.health.state.ready = self.health.state.error is None
        self.health.touch()
        self._log.info("ready" if self.health.state.ready else "running, but not ready",
                       seconds=round(time.monotonic() - started, 2))  # fmt: skip
        spawn = asyncio.get_running_loop().create_task
        self._background = [spawn(self._watch()), spawn(self._ping_self())]

    async def stop(self) -> None:
        """Drain, free, say goodbye."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.service.drain()
                await self.service.messenger.close()
                await self.service.close()
        except TimeoutError:
            self._log.warning("work was cut off", limit_s=DRAIN_S)
        await self.health.stop()

    def _refresh(self) -> None:
        self.health.state.components = self.service.components()
        self.health.state.queue = self.service.queue()

    async def _watch(self) -> None:
        while True:
            await self.service.clock.sleep(1)
            self._refresh()
            self.health.touch()

    def _echo(self, message: SelfTest, _params: dict[str, str]) -> None:
        if message.boot == self.health.boot:
            self._ping.echo(message.seq)

    async def _ping_self(self) -> None:
        ctx = self.service.ctx
        while True:
            await self.service.clock.sleep(PING_INTERVAL_S)
            seq = self._ping.tick(connected=ctx.bus.connected)
            if self._ping.dead:
                self._log.critical("deaf: own pings do not come back")
                self.deaf.set()
            if seq is not None:
                message = SelfTest(boot=self.health.boot, seq=seq)
                try:
                    async with asyncio.timeout(PING_INTERVAL_S / 2):
                        await ctx.messenger.send(SELF_TEST, message, instance=ctx.instance)
                except (BusError, TimeoutError) as error:
                    self._log.warning("ping was not sent", kind=type(error).__name__)


async def run(service_class: type[Service[Any]], settings: ProcessSettings) -> int:
    """Run a service until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a signal, 70 when the process had gone deaf.

    Raises:
        StartupError: the configuration file is wrong.
    """
    instance = settings.instance or service_class.name
    config, source = read_config(service_class.config_model, settings.config_file)
    clock = LoopClock()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    health: list[HealthReporter] = []
    bus = MqttBus.connect_to(
        settings.mqtt_options(),
        instance,
        clock,
        will=lambda conn: health[0].will(conn),  # noqa: PLW0108  # filled below
    )
    messenger = Messenger(bus, instance, clock)
    ctx = Context(instance, bus, messenger, clock, settings.data_dir, source)
    runtime = Runtime(service_class(ctx, config), settings.health_interval_s)
    runtime.health.state.config = ConfigState(source=source)
    health.append(runtime.health)
    await runtime.prepare()
    await bus.start()

    starting = loop.create_task(runtime.start())
    stopping = loop.create_task(stop.wait())
    deaf = loop.create_task(runtime.deaf.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        await asyncio.wait({stopping, deaf}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await runtime.stop()
    await bus.stop()
    code = 70 if deaf.done() and not stop.is_set() else 0
    for task in (stopping, deaf):
        task.cancel()
    return code


def main(where: str, settings_model: type[ProcessSettings] = ProcessSettings) -> NoReturn:
    """The whole process: exit code 78 and a list of problems when it cannot start.

    Args:
        where: the service's class as ``package.module:Class``. It is imported when the settings
            are known to be right, so that wrong ones are told at once (SC112).
        settings_model: what the process reads from its environment.
    """
    forbid_telemetry()
    module, _, class_name = where.partition(":")
    name = module.partition(".")[0].replace("_", "-")
    try:
        settings = load_settings(settings_model)
        log.configure(settings.log_level, settings.log_format, name)
        service_class = getattr(importlib.import_module(module), class_name)
        code = asyncio.run(run(service_class, settings))
    except StartupError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201  # no logs yet
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)  # noqa: T201
        code = 78
    sys.exit(code)
