"""What a process says of itself: birth, heartbeats, changes, its end, and its last will."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil
import structlog
from parlour_contracts.messages.health import (
    ConfigState,
    Health,
    HealthCheckResult,
    Load,
    Status,
    Throttle,
)
from parlour_contracts.topics import CONFIG_HEALTH, HEALTH, Payload

from parlour_kit.bus import Bus, Will
from parlour_kit.clock import Clock, utc_text
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.ids import new_id
from parlour_kit.probes.checks import CheckResult
from parlour_kit.version import VERSION


@dataclass
class HealthState:
    """The facts behind a health message; a service changes them and calls ``touch``.

    ``config_error`` says why new settings cannot reach it; the work goes on meanwhile.
    ``system`` says whether the machine is well, and is None where nobody looks at it; ``strain``
    says what is wrong with it, and ``throttle`` what it still lets its processes do.
    ``results`` are those of the checks: what fails there does not work, whatever else is said.
    """

    ready: bool = False
    components: dict[str, bool] = field(default_factory=dict)
    error: ParlourError | None = None
    config_error: ParlourError | None = None
    config: ConfigState = field(default_factory=ConfigState)
    queue: int = 0
    system: bool | None = None
    strain: str = ""
    throttle: Throttle = "none"
    results: Sequence[CheckResult] = ()

    @property
    def ok(self) -> bool:
        """Ready, and every component works."""
        return self.ready and self.error is None and all(self._own().values())

    @property
    def status(self) -> Status:
        """In a word; degraded works, on a strained machine or with settings that cannot change."""
        if not self.ok:
            return "unhealthy"
        strained = self.system is False or self.throttle == "hot"
        return "degraded" if strained or self.config_error is not None else "healthy"

    def all_components(self) -> dict[str, bool]:
        """The service's own, and the machine's where somebody looks at it."""
        own = self._own()
        return own if self.system is None else own | {"system": self.system}

    def _own(self) -> dict[str, bool]:
        found = dict(self.components)
        for result in self.results:
            if result.component is not None:
                found[result.component] = found.get(result.component, True) and result.works
        return found


@dataclass(frozen=True)
class Beat:
    """What distinguishes one health message from the next."""

    event: str
    boot: str
    conn: int
    seq: int
    interval_s: float
    issued_at: str


Compose = Callable[[HealthState, Beat], Payload]
"""Makes the message from the facts; config-manager has a model of its own."""


def fleet_health(service: str, instance: str) -> Compose:
    """The message of every process but config-manager."""
    process = psutil.Process()

    def compose(state: HealthState, beat: Beat) -> Health:
        gone = beat.event in ("lwt", "stopping")
        error = state.error or state.config_error
        return Health(
            service=service,
            instance=instance,
            status="offline" if gone else state.status,
            ok=state.ok and not gone,
            ready=state.ready and not gone,
            version=VERSION,
            boot=beat.boot,
            conn=beat.conn,
            seq=beat.seq,
            interval_s=beat.interval_s,
            issued_at=beat.issued_at,
            event=beat.event,  # type: ignore[arg-type]  # one of the literals, by construction
            components=state.all_components(),
            details=results_of(state, beat.issued_at),
            config=state.config,
            load=Load(
                rss_bytes=process.memory_info().rss,
                cpu_percent=process.cpu_percent(interval=None),
                queue=state.queue,
            ),
            throttle=state.throttle,
            err=error.wire() if error else None,
        )

    return compose


def results_of(state: HealthState, now: str) -> list[HealthCheckResult]:
    """What is wrong with components (H001), and what strains the machine.

    Args:
        state: the facts.
        now: the time as it is told.
    """
    found = [
        HealthCheckResult(
            component_name=result.component,
            is_healthy=False,
            details=f"{result.name}: {result.message}",
            latency_ms=result.latency_ms,
            timestamp=result.timestamp,
        )
        for result in state.results
        if result.component is not None and not result.works
    ]
    if state.strain:
        found.append(
            HealthCheckResult(
                component_name="system",
                is_healthy=state.system is not False,
                details=state.strain[:500],
                timestamp=now,
            )
        )
    return found


class HealthReporter:
    """Publishes the retained health of an instance.

    Every message goes out on change and once an interval, with a ``seq`` that only grows, so
    that a reader can tell silence from health.
    """

    def __init__(
        self, bus: Bus, instance: str, compose: Compose, clock: Clock, interval_s: float
    ) -> None:
        self.state = HealthState()
        self.compose = compose
        self.boot = new_id()
        self._bus = bus
        self._topic = health_topic(instance)
        self._clock = clock
        self._interval = interval_s
        self._seq = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("parlour.health")
        self._last: tuple[object, ...] | None = None

    def will(self, connection: int) -> Will:
        """The last will of a connection."""
        return Will(self._topic, self._message("lwt", connection, seq=0).encode())

    def touch(self) -> None:
        """Something changed: publish soon, if it is worth a message."""
        self._changed.set()

    def announce(self) -> None:
        """Publish soon, also what none of the facts here shows, such as an event."""
        if self._last is not None:
            self._last = ()
        self._changed.set()

    def now(self) -> Payload:
        """The message as a heartbeat would be now; nothing is sent."""
        return self._message("heartbeat", self._bus.connections, seq=self._seq)

    async def start(self) -> None:
        """Publish from now on, beginning with a birth on every connect."""
        self._bus.on_connected(self._born)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="health")

    async def stop(self) -> None:
        """Say goodbye: a clean ``offline`` takes the will's place."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._publish("stopping")

    def _born(self) -> None:
        self._last = None
        self._changed.set()

    async def _run(self) -> None:
        beat = asyncio.get_running_loop().time() + self._interval
        while True:
            # A timer may fire a moment early, so the clock alone does not tell.
            try:
                async with asyncio.timeout_at(beat):
                    await self._changed.wait()
                due = asyncio.get_running_loop().time() >= beat
            except TimeoutError:
                due = True
            self._changed.clear()
            key = self._key()
            if self._last is None:
                sent = await self._publish("birth")
            elif key != self._last:
                sent = await self._publish("change")
            else:
                sent = due and await self._publish("heartbeat")
            if sent:
                self._last = key
            if due:
                beat = asyncio.get_running_loop().time() + self._interval

    def _key(self) -> tuple[object, ...]:
        state = self.state
        errors = (str(state.error or ""), str(state.config_error or ""))
        components = tuple(sorted(state.all_components().items()))
        return (state.ready, errors, components, state.config, state.throttle)

    async def _publish(self, event: str) -> bool:
        if not self._bus.connected:
            return False
        self._seq += 1
        message = self._message(event, self._bus.connections, seq=self._seq)
        try:
            await self._bus.publish(self._topic, message.encode(), qos=1, retain=True)
        except BusError as error:
            self._log.warning("health was not published", code=error.code, reason=str(error))
            return False
        return True

    def _message(self, event: str, connection: int, *, seq: int) -> Payload:
        return self.compose(
            self.state,
            Beat(event, self.boot, connection, seq, self._interval, utc_text(self._clock.wall())),
        )


def health_topic(instance: str) -> str:
    """Where an instance's health is published."""
    if instance == CONFIG_HEALTH.pattern.rsplit("/", 1)[1]:
        return CONFIG_HEALTH.topic()
    return HEALTH.topic(instance=instance)
