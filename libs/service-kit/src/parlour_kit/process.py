"""A whole process: settings, logs, broker, first configuration, service, signals, exit code."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from parlour_contracts.config import ServiceConfigModel

from parlour_kit import log, metrics
from parlour_kit.clock import LoopClock
from parlour_kit.errors import StartupError
from parlour_kit.feed import Ground, MakeFeed
from parlour_kit.health import HealthReporter, fleet_health
from parlour_kit.messenger import Messenger
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.privacy import forbid_telemetry
from parlour_kit.probes.checkup import Checkup
from parlour_kit.runtime import Runtime
from parlour_kit.sd_notify import Notifier
from parlour_kit.service import Context, Service
from parlour_kit.settings import ProcessSettings, load_settings
from parlour_kit.vitals import HostSensors, VitalsMonitor

if TYPE_CHECKING:
    from parlour_kit.probes.server import ProbeServer

LEAVE_S = 5.0
"""A process that was told to end is gone by then, whatever its threads are doing."""

GIVE_UP_S = 1.0
"""What a start gets to notice that it is not wanted any more."""

CANNOT_START = 78


async def run(
    service_class: type[Service[Any]],
    settings: ProcessSettings,
    make_feed: MakeFeed | None = None,
    *,
    leaving: Callable[[int], None] = lambda _code: None,
) -> int:
    """Run a service until SIGTERM or SIGINT.

    Args:
        service_class: the service.
        settings: what the environment says.
        make_feed: where its configuration comes from; without it, it runs on the defaults.
        leaving: told the exit code when the end begins.

    Returns:
        The exit code: 0 after a signal, 70 when the process had gone deaf.

    Raises:
        StartupError: this process must not run.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notifier = Notifier.of(os.environ)
    watching = loop.create_task(notifier.watch())
    process = _Process(service_class, settings, make_feed)
    stopping = loop.create_task(stop.wait())
    starting = loop.create_task(process.start())
    code = 1
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        deaf = loop.create_task(process.deaf())
        if starting.done():
            starting.result()
            await asyncio.wait({stopping, deaf}, return_when=asyncio.FIRST_COMPLETED)
        code = 70 if deaf.done() and not stop.is_set() else 0
        deaf.cancel()
    except StartupError:
        code = CANNOT_START
        raise
    finally:
        leaving(code)
        notifier.stopping()
        stopping.cancel()
        starting.cancel()
        await asyncio.wait({starting}, timeout=GIVE_UP_S)
        if starting.done() and not starting.cancelled():
            starting.exception()  # looked at: the end is what counts now
        await process.stop()
        watching.cancel()
    return code


class _Process:
    """The parts of a process, from the bus up."""

    def __init__(
        self,
        service_class: type[Service[Any]],
        settings: ProcessSettings,
        make_feed: MakeFeed | None,
    ) -> None:
        self._class = service_class
        self._settings = settings
        self._instance = instance = settings.instance or service_class.name
        self._clock = clock = LoopClock()
        self._bus = MqttBus.connect_to(
            settings.mqtt_options(),
            instance + service_class.client_suffix,
            clock,
            will=lambda conn: self._health.will(conn),  # noqa: PLW0108  # made below
        )
        self._health = HealthReporter(
            self._bus,
            instance,
            fleet_health(service_class.name, instance),
            clock,
            settings.health_interval_s or service_class.health_interval_s,
        )
        self._messenger = Messenger(self._bus, instance, clock)
        self._feed = make_feed and make_feed(
            Ground(
                service_class.name,
                instance,
                service_class.config_model,
                self._messenger,
                self._health.boot,
                settings,
            )
        )
        self._checkup = Checkup(self._bus, clock, self._health.state)
        self._runtime: Runtime | None = None
        self._probes: ProbeServer | None = None
        self._pulse: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From nothing to ready.

        A service with a feed is made when its first settings are known, for which the feed may
        need the broker. One without is made, and may refuse to run, before it connects. Whoever
        asks how it is gets an answer from the first moment on.
        """
        self._serve_probes()
        if self._feed is None:
            runtime = self._make(self._class.config_model())
            await runtime.prepare()
            self._runtime = runtime
            await self._bus.start()
        else:
            await self._bus.start()
            config, _ = await self._feed.first()
            runtime = self._runtime = self._make(config)
        await runtime.start()

    async def stop(self) -> None:
        """Drain and disconnect."""
        if self._runtime is not None:
            await self._runtime.stop()
        elif self._feed is not None:
            await self._feed.stop()
        await self._bus.stop()
        if self._probes is not None:
            await self._probes.stop()
        if self._pulse is not None:
            self._pulse.cancel()

    async def deaf(self) -> None:
        """Return when only a new process helps."""
        if self._runtime is None:
            await asyncio.Event().wait()
        else:
            await self._runtime.deaf.wait()

    def _make(self, config: ServiceConfigModel) -> Runtime:
        ctx = Context(
            self._instance,
            self._bus,
            self._messenger,
            self._clock,
            self._settings.data_dir,
            self._settings,
        )
        vitals = VitalsMonitor(HostSensors(), self._clock, self._settings.temperatures())
        return Runtime(
            self._class(ctx, config),
            feed=self._feed,
            health=self._health,
            vitals=vitals,
            checkup=self._checkup,
        )

    def _serve_probes(self) -> None:
        settings = self._settings
        if not settings.probe_port:
            return
        # Two libraries and some megabytes that a process without probes does without.
        from parlour_kit.probes.app import create_app  # noqa: PLC0415
        from parlour_kit.probes.server import ProbeServer, listen  # noqa: PLC0415

        self._pulse = asyncio.get_running_loop().create_task(self._checkup.pulse.run())
        listener = listen(settings.probe_host, settings.probe_port)
        render = metrics.Answer() if settings.prometheus_metrics_enabled else None
        self._probes = ProbeServer(create_app(self._checkup, render), listener)


def main(
    where: str,
    settings_model: type[ProcessSettings] = ProcessSettings,
    make_feed: MakeFeed | None = None,
) -> NoReturn:
    """The whole process: exit code 78 and a list of problems when it cannot start.

    Args:
        where: the service's class as ``package.module:Class``. It is imported when the settings
            are known to be right, so that wrong ones are told at once (SC112).
        settings_model: what the process reads from its environment.
        make_feed: where its configuration comes from; without it, it runs on the defaults.
    """
    forbid_telemetry()
    module, _, class_name = where.partition(":")
    name = module.partition(".")[0].replace("_", "-")
    try:
        settings = load_settings(settings_model)
        log.keep_secret(*settings.secrets())
        log.configure(settings.log_level, settings.log_format, name, settings.instance)
        log.log_uncaught()
        service_class = getattr(importlib.import_module(module), class_name)
        code = asyncio.run(run(service_class, settings, make_feed, leaving=_leave_in_time))
    except StartupError as error:
        _tell(name, error)
        code = CANNOT_START
    sys.exit(code)


def _tell(name: str, error: StartupError) -> None:
    """Why it cannot start; in lines, unless machines were to read them (D009)."""
    if os.environ.get("LOG_FORMAT", "").lower() == "json":
        log.configure("ERROR", "json", name, os.environ.get("INSTANCE"))
        structlog.get_logger("parlour.process").error(
            "cannot start", event_type="startup_error", error=str(error), hint=error.hint
        )
        return
    print(f"{name}: {error}", file=sys.stderr)  # noqa: T201  # no logs yet
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)  # noqa: T201


def _leave_in_time(code: int) -> None:
    """End the process after ``LEAVE_S`` if it has not ended by itself.

    Python waits for every thread of a pool, and one that loads a model or writes to a slow disk
    may take minutes. By then all that can be said is said; what is stored is stored as a whole
    or not at all.
    """

    def leave() -> None:
        structlog.get_logger("parlour.process").warning("a thread was cut off at the end")
        log.flush()
        sys.stdout.flush()
        os._exit(code)

    last = threading.Timer(LEAVE_S, leave)
    last.daemon = True
    last.start()
