"""How one process is, from its start to its end: the facts behind the four answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from parlour_contracts.messages.health import Component

from parlour_kit import metrics
from parlour_kit.bus import Bus
from parlour_kit.clock import Clock, utc_text
from parlour_kit.errors import NotConnectedError, ParlourError
from parlour_kit.fleet import COMPONENTS, FleetHealth, worse
from parlour_kit.health import HealthState, results_of
from parlour_kit.probes.answers import Database, Facts, Status
from parlour_kit.probes.checks import SYSTEM_S, Check, CheckBook, CheckResult, Look, public_text
from parlour_kit.probes.pulse import Pulse

DATABASE = "database"
"""The check whose result ``/health`` tells as ``database`` (D002)."""

ASKED_S = 60.0
"""Who has asked within this time will ask again."""

FleetOf = Callable[[], FleetHealth | None]


class Checkup:
    """Knows the checks of a process; there before its service is, and after it.

    Attributes:
        book: the checks and their results.
        pulse: whether the main loop turns.
        started: whether the service is loaded and listens.
        doing: what the process is busy with until then.
    """

    def __init__(self, bus: Bus, clock: Clock, state: HealthState) -> None:
        self.pulse = Pulse(clock)
        self.started = False
        self.doing = "waits for the broker and its first settings"
        self._bus = bus
        self._clock = clock
        self._state = state
        self._fleet: FleetOf = lambda: None
        self._asked_at = float("-inf")
        self.book = self._made([])

    def take(self, checks: list[Check], fleet: FleetOf) -> None:
        """Check a service from now on.

        Args:
            checks: its own; that of the broker is added.
            fleet: what it knows of all others, or None.
        """
        self.doing = "loads"
        self._fleet = fleet
        self.book = self._made(checks)

    @property
    def obstacle(self) -> str | None:
        """Why no work is taken, whatever the checks say; for strangers."""
        if not self.started:
            return self.doing
        error = self._state.error
        return None if self._state.ready and error is None else public_text(error)

    @property
    def beat_age_s(self) -> float:
        """Seconds since the main loop turned."""
        return self.pulse.age_s

    def wall(self) -> datetime:
        """Now, aware UTC."""
        return self._clock.wall()

    async def checked(self) -> list[CheckResult]:
        """The results of all checks; what is too old is found anew once the start is over."""
        self._asked_at = self._clock.monotonic()
        return await self.book.fresh() if self.started else self.book.known()

    async def refresh(self, every_s: float) -> None:
        """Run what is due for whoever reads the health messages, or is about to ask.

        Args:
            every_s: how long it is until the next call.
        """
        if self._clock.monotonic() - self._asked_at <= ASKED_S:
            await self.book.fresh(ahead_s=2 * every_s)
        else:
            await self.book.fresh(sparing=True)

    async def facts(self) -> Facts:
        """How the process is after its checks; with the fleet's components where it knows them."""
        results = await self.checked()
        state = self._state
        state.results = tuple(results)
        status = self._status(results)
        known = state.all_components()
        components: dict[Component, bool] = {n: known[n] for n in COMPONENTS if n in known}
        if not self.started:
            components |= {r.component: False for r in results if r.component is not None}
        bad = results_of(state, utc_text(self._clock.wall()))
        error = self._error(results)
        fleet = self._fleet()
        if fleet is not None:
            components = {
                name: works and known.get(name, True) for name, works in fleet.components.items()
            }
            status = worse(status, fleet.status)
            told = {detail.component_name for detail in fleet.details}
            bad = [*fleet.details, *(own for own in bad if own.component_name not in told)]
            error = error or fleet.summary
        return Facts(status, components, bad, self._database(results), error)

    def _made(self, checks: list[Check]) -> CheckBook:
        return CheckBook([*checks, mqtt_check(self._bus)], self._clock, _measured)

    def _status(self, results: list[CheckResult]) -> Status:
        told = self._state.status
        status: Status = "unhealthy" if told == "offline" else told
        if not all(result.works for result in results):
            return "unhealthy"
        if any(result.state == "degraded" for result in results):
            return worse(status, "degraded")
        return status

    def _error(self, results: list[CheckResult]) -> str | None:
        """Why it is not healthy, the weightiest first; for strangers."""
        state = self._state
        if state.error is not None:
            return public_text(state.error)
        if not self.started:
            return self.doing
        wrong = [f"{r.name}: {r.message}" for r in results if r.state in ("unhealthy", "degraded")]
        if wrong:
            return "; ".join(wrong)[:500]
        if state.config_error is not None:
            return public_text(state.config_error)
        return state.strain or None

    def _database(self, results: list[CheckResult]) -> Database | None:
        found = next((result for result in results if result.name == DATABASE), None)
        if found is None:
            return None
        return "connected" if found.works and found.state != "unknown" else "disconnected"


def mqtt_check(bus: Bus) -> Check:
    """Whether the connection to the broker stands."""
    return known_check("mqtt", lambda: None if bus.connected else NotConnectedError("no broker"))


def known_check(
    name: str, trouble: Callable[[], ParlourError | None], component: Component | None = None
) -> Check:
    """A check of what is known anyway."""

    async def nothing() -> None:
        return

    return Check(name, nothing, component, SYSTEM_S, lambda: Look(trouble=trouble()), ttl_s=0.0)


def _measured(result: CheckResult) -> None:
    metrics.health_check(result.name, result.latency_ms / 1000, healthy=result.works)
