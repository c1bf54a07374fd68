"""The same story on every bus: in memory, the embedded broker, the binary, a container."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import pytest
from parlour_kit.bus import Bus
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import MqttOptions

from parlour_testkit.brokers import mosquitto_container, mosquitto_process
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.virtual_time import VirtualTimeLoop

Connect = Callable[[str], Awaitable[Bus]]
"""Makes a connected bus for a client of that name."""


@contextmanager
def _binary() -> Iterator[MqttOptions]:
    with mosquitto_process() as broker:
        yield broker.options


REAL: dict[str, Callable[[], AbstractContextManager[MqttOptions]]] = {
    "mosquitto": _binary,
    "container": mosquitto_container,
}
"""Real brokers by name; a test may add one."""


def params(*more: str) -> list[object]:
    """The parameters of a story: memory, and each real broker with its marks."""
    marks = {"container": [pytest.mark.broker, pytest.mark.docker]}
    real = [
        pytest.param(name, marks=marks.get(name, [pytest.mark.broker])) for name in (*REAL, *more)
    ]
    return [pytest.param("memory"), *real]


@asynccontextmanager
async def connections(
    kind: str, more: dict[str, Callable[[], AbstractContextManager[MqttOptions]]] | None = None
) -> AsyncIterator[Connect]:
    """Connections to one broker of a kind, all closed at the end."""
    if kind == "memory":
        memory = MemoryBroker()

        async def connect_memory(name: str) -> Bus:
            return memory.client(name)

        yield connect_memory
        return
    # A story's marks are not known when its loop is made.
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        loop.become_real()
    opened: list[MqttBus] = []
    with {**REAL, **(more or {})}[kind]() as options:

        async def connect(name: str) -> Bus:
            bus = MqttBus.connect_to(options, name, LoopClock())
            opened.append(bus)
            await bus.start()
            async with asyncio.timeout(20):
                await bus.wait_connected()
            return bus

        try:
            yield connect
        finally:
            for bus in opened:
                with contextlib.suppress(Exception):
                    await bus.stop()
