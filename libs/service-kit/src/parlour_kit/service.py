"""What a service is: what it loads, what it listens to, how it changes, how it lets go."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import structlog
from parlour_contracts.config import ServiceConfigModel

from parlour_kit.bus import Bus
from parlour_kit.clock import Clock
from parlour_kit.errors import TooHotError
from parlour_kit.fleet import FleetHealth
from parlour_kit.health import Compose, HealthReporter, fleet_health
from parlour_kit.messenger import Messenger
from parlour_kit.probes.checks import Check
from parlour_kit.settings import ProcessSettings
from parlour_kit.switch import Switch, switch_of
from parlour_kit.vitals import ThrottleLevel

PAUSE_S = 30.0
"""So long work waits for a hot machine to cool down, where no setting says otherwise."""

C = TypeVar("C", bound=ServiceConfigModel)


@dataclass(frozen=True)
class Context:
    """What a service is given.

    ``data_dir`` holds models and caches. ``settings`` is what the process read from its
    environment; None in tests that need none of it.
    """

    instance: str
    bus: Bus
    messenger: Messenger
    clock: Clock
    data_dir: Path
    settings: ProcessSettings | None = None


class Service(ABC, Generic[C]):
    """One process of the fleet. ``config`` is what it runs with now; :meth:`stage` changes it.

    ``throttle`` is what its machine lets it do; ``cool`` is set while new work may be computed.
    """

    name: ClassVar[str]
    config_model: ClassVar[type[Any]]
    health_interval_s: ClassVar[float] = 5.0
    """How often health is told, unless HEALTH_INTERVAL_S says otherwise (R012)."""
    client_suffix: ClassVar[str] = ""
    """Follows the instance in the MQTT client id, where a process holds two connections."""

    def __init__(self, ctx: Context, config: C) -> None:
        self.ctx = ctx
        self.config = config
        self.messenger = ctx.messenger
        self.clock = ctx.clock
        self.log = structlog.get_logger(f"parlour.{self.name}")
        self.health: HealthReporter | None = None
        self.throttle = ThrottleLevel.NONE
        self.cool = asyncio.Event()
        self.cool.set()

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

    async def stage(self, new: C) -> Switch:
        """Phase one of a change: get everything ready that ``new`` needs, without being noticed.

        What is heavy is loaded beside what runs. The switch that is returned is phase two: it
        happens between turns, so that none is lost, and cannot fail. Without heavy parts there
        is nothing to do here: the new settings count from the switch on.

        Raises:
            ParlourError: ``new`` cannot work here; everything is as it was.
        """

        def commit() -> None:
            self.config = new

        return switch_of(commit)

    async def drain(self) -> None:
        """Take no more work and let go of what runs."""
        return

    async def close(self) -> None:
        """Free what :meth:`load` took."""
        return

    def throttled(self, level: ThrottleLevel) -> None:
        """The machine became hotter or cooler; called on change alone, and must return at once.

        Whoever overrides it calls this one first.
        """
        self.throttle = level
        if level is ThrottleLevel.HOT:
            self.cool.clear()
        else:
            self.cool.set()

    async def until_cool(self) -> None:
        """Wait while the machine is too hot to begin new work.

        Raises:
            TooHotError: after ``PAUSE_S``.
        """
        try:
            async with asyncio.timeout(PAUSE_S):
                await self.cool.wait()
        except TimeoutError:
            raise TooHotError(f"this machine was too hot for {PAUSE_S:g} s") from None

    def components(self) -> dict[str, bool]:
        """Component → whether it works."""
        return {}

    def queue(self) -> int:
        """Requests that wait."""
        return 0

    def checks(self) -> list[Check]:
        """What shows that it works; the connection to the broker is checked anyway."""
        return []

    def fleet(self) -> FleetHealth | None:
        """The health of all instances, where this service knows them."""
        return None

    def compose_health(self) -> Compose:
        """How this service tells its health."""
        return fleet_health(self.name, self.ctx.instance)
