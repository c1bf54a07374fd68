"""What a process does with the state of its machine: it heeds it, and it tells it."""

from __future__ import annotations

import asyncio

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_kit.service import Service
from parlour_kit.vitals import ThrottleLevel
from parlour_testkit import MemoryBroker, memory_service
from parlour_testkit.fakes_vitals import FakeSensors


class Example(Service[RouterConfig]):
    """A service that notes the levels it is told."""

    name = "router"
    config_model = RouterConfig

    def __init__(self, ctx, config) -> None:
        super().__init__(ctx, config)
        self.levels: list[ThrottleLevel] = []

    async def serve(self) -> None:
        return

    def throttled(self, level: ThrottleLevel) -> None:
        super().throttled(level)
        self.levels.append(level)


def health_of(broker: MemoryBroker) -> Health:
    return Health.decode(broker.retained["system/health/router"].payload)


@pytest.mark.req("H056", "SC113")
async def test_heat_and_its_end_reach_the_service_and_everybody_who_reads_its_health(
    broker: MemoryBroker,
) -> None:
    sensors = FakeSensors()
    async with memory_service(Example, broker, sensors=sensors) as service:
        await asyncio.sleep(3)
        before = health_of(broker)
        sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        hot, paused = health_of(broker), not service.cool.is_set()
        sensors.set(temperature_c=70.0)
        await asyncio.sleep(1.5)
        after, again = health_of(broker), service.cool.is_set()

    assert service.levels == [ThrottleLevel.HOT, ThrottleLevel.NONE]
    assert (paused, again) == (True, True)
    assert [(h.status, h.throttle, h.ok) for h in (before, hot, after)] == [
        ("healthy", "none", True), ("degraded", "hot", True), ("healthy", "none", True),
    ]  # fmt: skip


@pytest.mark.req("H001", "H034")
async def test_a_strained_machine_makes_the_component_system_false_and_says_why(
    broker: MemoryBroker,
) -> None:
    sensors = FakeSensors()
    sensors.set(memory_available_bytes=400 * 1024**2)
    async with memory_service(Example, broker, sensors=sensors):
        await asyncio.sleep(1.5)
        health = health_of(broker)

    assert health.components == {"system": False}
    assert (health.status, health.ready) == ("degraded", True)
    assert [(d.component_name, d.is_healthy, d.details) for d in health.details] == [
        ("system", False, "400 MB of memory are available")
    ]


async def test_a_machine_that_nobody_looks_at_is_no_component(broker: MemoryBroker) -> None:
    async with memory_service(Example, broker):
        await asyncio.sleep(1.5)

    assert "system" not in health_of(broker).components


@pytest.mark.req("H056")
async def test_a_service_that_starts_on_a_hot_machine_knows_it_before_its_first_work(
    broker: MemoryBroker,
) -> None:
    sensors = FakeSensors()
    sensors.set(temperature_c=90.0)

    async with memory_service(Example, broker, sensors=sensors) as service:
        assert service.levels == [ThrottleLevel.HOT]
