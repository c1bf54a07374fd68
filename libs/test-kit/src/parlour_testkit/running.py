"""Run a service on a bus within a test, as its process would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parlour_contracts.config import ServiceConfigModel
from parlour_kit.bus import Bus
from parlour_kit.clock import LoopClock
from parlour_kit.feed import ConfigFeed
from parlour_kit.messenger import Messenger
from parlour_kit.runtime import Runtime
from parlour_kit.service import Context, Service
from parlour_kit.vitals import Sensors, VitalsMonitor

from parlour_testkit.memory_bus import MemoryBroker

NOWHERE = Path("/nonexistent")

FeedOf = Callable[[type[Service[Any]], Messenger], ConfigFeed[Any]]
"""Makes the feed of a service that speaks through this messenger."""


@asynccontextmanager
async def running_service(
    service_class: type[Service[Any]],
    bus: Bus,
    *,
    config: ServiceConfigModel | None = None,
    instance: str | None = None,
    data_dir: Path = NOWHERE,
    feed: FeedOf | None = None,
    sensors: Sensors | None = None,
    **engine: Any,
) -> AsyncIterator[Service[Any]]:
    """A started service on a connected bus; stopped as SIGTERM would at the end.

    Args:
        service_class: the service.
        bus: its connection.
        config: its settings, which then never change; the defaults when None.
        instance: its name; the service's when None.
        data_dir: its folder.
        feed: where its settings come from instead of ``config``.
        sensors: the machine that it runs on; without them it never hears of heat.
        engine: further arguments of the service's constructor, such as a fake engine.
    """
    name = instance or service_class.name
    clock = LoopClock()
    messenger = Messenger(bus, name, clock)
    ctx = Context(name, bus, messenger, clock, data_dir)
    source = feed and feed(service_class, messenger)
    if source is not None:
        config, _ = await source.first()
    service = service_class(ctx, config or service_class.config_model(), **engine)
    vitals = None if sensors is None else VitalsMonitor(sensors, clock)
    runtime = Runtime(service, feed=source, vitals=vitals)
    await runtime.start()
    try:
        yield service
    finally:
        await runtime.stop()


@asynccontextmanager
async def memory_service(
    service_class: type[Service[Any]],
    broker: MemoryBroker,
    *,
    instance: str | None = None,
    **options: Any,
) -> AsyncIterator[Service[Any]]:
    """:func:`running_service` with a connection of its own to a memory broker."""
    bus = broker.client(instance or service_class.name)
    async with running_service(service_class, bus, instance=instance, **options) as service:
        yield service
