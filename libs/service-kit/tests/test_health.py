"""What a process says of itself, and when."""

from __future__ import annotations

import asyncio

import pytest
from parlour_contracts.messages.health import Health
from parlour_contracts.topics import HEALTH
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError
from parlour_kit.health import HealthReporter, fleet_health
from parlour_testkit import MemoryBroker, Observer


async def reporter(broker: MemoryBroker) -> tuple[HealthReporter, Observer]:
    observer = await Observer(broker.client("observer")).watch(HEALTH)
    bus = broker.client("router")
    found = HealthReporter(bus, "router", fleet_health("router", "router"), LoopClock(), 5.0)
    await found.start()
    await asyncio.sleep(0.01)
    return found, observer


@pytest.mark.req("R012")
async def test_a_birth_then_a_heartbeat_every_interval_with_growing_numbers(
    broker: MemoryBroker,
) -> None:
    health, observer = await reporter(broker)
    await asyncio.sleep(21)
    await health.stop()

    messages = observer.of(HEALTH)
    assert [m.event for m in messages[:5]] == ["birth", *["heartbeat"] * 4]
    assert [m.seq for m in messages] == sorted({m.seq for m in messages})
    assert len({m.boot for m in messages}) == 1


async def test_a_change_is_told_at_once_and_told_once(broker: MemoryBroker) -> None:
    health, observer = await reporter(broker)
    health.state.ready = True
    health.state.components = {"model": True}
    for _ in range(3):
        health.touch()
        await asyncio.sleep(0.1)
    await health.stop()

    changes = [m for m in observer.of(HEALTH) if m.event == "change"]
    assert len(changes) == 1
    assert changes[0].ok
    assert changes[0].status == "healthy"


@pytest.mark.req("F32")
async def test_an_engine_that_failed_makes_the_process_unhealthy_with_a_hint(
    broker: MemoryBroker,
) -> None:
    health, observer = await reporter(broker)
    health.state.ready = True
    health.state.error = ParlourError(
        "no model", code="MODEL_MISSING", hint="parlour models pull x"
    )
    health.touch()
    await asyncio.sleep(0.1)
    await health.stop()

    change = next(m for m in observer.of(HEALTH) if m.event == "change")
    assert (change.status, change.ok) == ("unhealthy", False)
    assert change.err is not None
    assert change.err.hint == "parlour models pull x"


async def test_a_reconnect_is_a_birth_with_a_higher_connection(broker: MemoryBroker) -> None:
    health, observer = await reporter(broker)
    broker.stop()
    await asyncio.sleep(30)
    broker.start()
    await asyncio.sleep(1)
    await health.stop()

    births = [m for m in observer.of(HEALTH) if m.event == "birth"]
    # The observer reconnected, too, and was given the retained birth once more.
    assert [m.conn for m in births] == [1, 1, 2]
    assert len({m.seq for m in births}) == 2


async def test_a_clean_end_is_an_offline_of_its_own(broker: MemoryBroker) -> None:
    health, _ = await reporter(broker)

    await health.stop()

    last = Health.decode(broker.retained["system/health/router"].payload)
    assert (last.status, last.ready, last.event) == ("offline", False, "stopping")


async def test_the_will_names_the_boot_and_the_connection_it_belongs_to(
    broker: MemoryBroker,
) -> None:
    health, _ = await reporter(broker)

    will = Health.decode(health.will(3).payload)

    assert (will.boot, will.conn, will.event, will.ok) == (health.boot, 3, "lwt", False)
    await health.stop()
