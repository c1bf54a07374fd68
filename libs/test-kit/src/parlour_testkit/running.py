"""Run a service on a bus within a test, as its process would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parlour_contracts.config import ServiceConfigModel
from parlour_kit.clock import LoopClock
from parlour_kit.messenger import Messenger
from parlour_kit.service import Context, Runtime, Service

from parlour_testkit.memory_bus import MemoryBroker, MemoryBus


@asynccontextmanager
async def memory_service(
    service_class: type[Service[Any]],
    broker: MemoryBroker,
    *,
    config: ServiceConfigModel | None = None,
    instance: str | None = None,
    data_dir: Path = Path("/nonexistent"),
    **engine: Any,
) -> AsyncIterator[Service[Any]]:
    """A started service on the memory broker; stopped as SIGTERM would at the end.

    Args:
        service_class: the service.
        broker: where it connects.
        config: its settings; the defaults when None.
        instance: its name; the service's when None.
        data_dir: its folder.
        engine: further arguments of the service's constructor, such as a fake engine.
    """
    name = instance or service_class.name
    bus: MemoryBus = broker.client(name)
    clock = LoopClock()
    ctx = Context(name, bus, Messenger(bus, name, clock), clock, data_dir)
    service = service_class(ctx, config or service_class.config_model(), **engine)
    runtime = Runtime(service, 5.0)
    await runtime.start()
    try:
        yield service
    finally:
        await runtime.stop()
