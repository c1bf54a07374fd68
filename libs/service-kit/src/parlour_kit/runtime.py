"""The life of a service on a bus: load, listen, be ready, change, drain, stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import structlog
from parlour_contracts.messages.health import ConfigState, SelfTest
from parlour_contracts.topics import SELF_TEST

from parlour_kit import metrics
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.feed import ConfigFeed
from parlour_kit.health import HealthReporter
from parlour_kit.probes.checkup import Checkup
from parlour_kit.service import Service
from parlour_kit.switch import Outcome, Switch, switch_of
from parlour_kit.version import VERSION
from parlour_kit.vitals import ThrottleLevel, VitalsMonitor
from parlour_kit.watchdog import SelfPing

PING_INTERVAL_S = 10.0
FEED_S = 0.5
"""What the configuration gets to stop."""

DRAIN_S = 2.5
"""What a service gets to let go of its work; its own limits are below this."""

CLOSE_S = 1.0
"""What it gets after that, each for its tasks and its engine."""


class Runtime:
    """Runs one service on one bus; :mod:`parlour_kit.process` wraps it in a process."""

    def __init__(
        self,
        service: Service[Any],
        health_interval_s: float | None = None,
        *,
        feed: ConfigFeed[Any] | None = None,
        health: HealthReporter | None = None,
        vitals: VitalsMonitor | None = None,
        checkup: Checkup | None = None,
    ) -> None:
        """Take a service.

        Args:
            service: already made with its first settings.
            health_interval_s: seconds between two health messages; the service's own when None.
            feed: brings changes of the settings; without it they stay as they are.
            health: a reporter that was needed before the service could be made.
            vitals: looks at the machine; without it the service never hears of heat.
            checkup: runs the service's checks; without it none is run unless somebody asks.
        """
        self.service = service
        ctx = service.ctx
        interval = health_interval_s or service.health_interval_s
        compose = service.compose_health()
        self.health = health or HealthReporter(ctx.bus, ctx.instance, compose, ctx.clock, interval)
        self.health.compose = compose
        service.health = self.health
        self._checks_itself = checkup is not None
        self.checkup = checkup or Checkup(ctx.bus, ctx.clock, self.health.state)
        self.checkup.take(service.checks(), service.fleet)
        self._interval = interval
        self.deaf = asyncio.Event()
        self._feed = feed
        self.vitals = vitals
        if vitals is not None:
            vitals.on_level(self._throttled)
            vitals.on_vitals(metrics.system)
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
        metrics.process.identify(service.name, VERSION)
        if self._feed is not None:
            self._noted(self._feed.state, self._feed.problem)
        spawn = asyncio.get_running_loop().create_task
        if self.vitals is not None:
            await self.vitals.look()
            self._background.append(spawn(self.vitals.run()))
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
        metrics.work.model_load.set(time.monotonic() - started)
        await service.serve()
        self.checkup.started = True
        self._refresh()
        self.health.state.ready = self.health.state.error is None
        self.health.touch()
        self._log.info("ready" if self.health.state.ready else "running, but not ready",
                       seconds=round(time.monotonic() - started, 2))  # fmt: skip
        self._background += [spawn(self._watch()), spawn(self._ping_self())]
        if self._checks_itself:
            self._background.append(spawn(self._check()))
        if self._feed is not None:
            works = self.health.state.error is None
            self._feed.start(self._stage, self._noted, works=works)

    async def stop(self) -> None:
        """Drain, free, say goodbye; no step keeps the next one from its turn."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self.checkup.started, self.checkup.doing = False, "stops"
        await self.checkup.book.close()
        service = self.service
        if self._feed is not None:
            await self._within(FEED_S, "configuration", self._feed.stop())
        await self._within(DRAIN_S, "drain", service.drain())
        await self._within(CLOSE_S, "tasks", service.messenger.close())
        await self._within(CLOSE_S, "engine", service.close())
        await self.health.stop()

    async def _within(self, limit_s: float, what: str, step: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await step
        except TimeoutError:
            self._log.warning("cut off at the end", what=what, limit_s=limit_s)
        except Exception as error:  # noqa: BLE001  # the end comes all the same
            self._log.warning("failed at the end", what=what, kind=type(error).__name__)
            self._log.debug("failed at the end", what=what, exc_info=error)

    async def _stage(self, new: Any) -> Switch:
        """The service's own switch; after it the service works, whatever kept it from loading."""
        with metrics.work.config_stage.time():
            prepared = await self.service.stage(new)

        async def commit() -> Outcome:
            outcome = await prepared.commit()
            if outcome == "applied":
                self.health.state.error = None
                self.health.state.ready = True
            self.checkup.book.forget()
            self._refresh()
            self.health.touch()
            return outcome

        return switch_of(commit, prepared.discard)

    def _noted(self, state: ConfigState, problem: ParlourError | None) -> None:
        self.health.state.config = state
        self.health.state.config_error = problem
        metrics.work.settings(
            state.source,
            state.checksum,
            stale=state.stale,
            blocked=problem is not None,
            wall_s=self.service.clock.wall().timestamp(),
        )
        self.health.touch()

    def _refresh(self) -> None:
        self.health.state.components = self.service.components()
        self.health.state.queue = self.service.queue()
        self.health.state.results = self.checkup.book.known()
        if self.vitals is not None:
            self.health.state.system = self.vitals.well
            self.health.state.strain = self.vitals.strain

    def _throttled(self, level: ThrottleLevel) -> None:
        metrics.throttle(level)
        self.service.throttled(level)
        self.health.state.throttle = level.word
        self._refresh()
        self.health.touch()

    async def _watch(self) -> None:
        clock, state = self.service.clock, self.health.state
        while True:
            before = clock.monotonic()
            await clock.sleep(1)
            self._refresh()
            late = clock.monotonic() - before - 1
            metrics.process.tick(late, queue=state.queue, works=state.ok)
            self.health.touch()

    async def _check(self) -> None:
        """Let the health messages tell what only a check shows."""
        while True:
            await self.service.clock.sleep(self._interval)
            await self.checkup.refresh(self._interval)

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
