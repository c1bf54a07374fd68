"""When configuration does not reach a service: it says so, and asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_config.client.asking import Plan
from parlour_config.client.freshness import Freshness
from parlour_contracts.messages.requests import ConfigRequest
from parlour_kit.bus import Message
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import house

ASK = "system/config-request/router/resend/router"
MANAGER = "system/health/config-manager"


def beat(seq: int, event: str = "heartbeat", every: float = 10) -> bytes:
    return f'{{"ok":true,"event":"{event} boot=b conn=1 seq={seq} every={every} at=x"}}'.encode()


def test_a_service_is_stale_when_three_beats_of_the_manager_are_missing() -> None:
    fresh = Freshness(0)
    fresh.manager(beat(1), 5)
    assert not fresh.stale(35)
    assert fresh.stale(35.1)

    fresh.manager(beat(2, every=60), 100)
    assert not fresh.stale(280)
    assert fresh.stale(281)


def test_an_old_heartbeat_that_is_brought_again_is_no_sign_of_life() -> None:
    fresh = Freshness(0)
    fresh.manager(beat(1), 0)
    for now in range(1, 60):
        fresh.manager(beat(1), now)
    assert fresh.stale(60)


@pytest.mark.parametrize("event", ["lwt", "stopping"])
def test_a_farewell_is_no_sign_of_life(event: str) -> None:
    fresh = Freshness(0)
    fresh.manager(beat(9, event), 29)

    assert fresh.stale(31)


@pytest.mark.threat(4)
def test_a_service_is_stale_after_two_refresh_periods_without_a_message() -> None:
    fresh = Freshness(0)
    for hour in range(13):
        fresh.manager(beat(hour, every=3600), hour * 3600)
    assert not fresh.stale(12 * 3600)
    assert fresh.stale(12 * 3600 + 1)
    fresh.valid(12 * 3600 + 1)
    assert not fresh.stale(12 * 3600 + 2)


def test_a_plan_ends_when_a_message_was_heard() -> None:
    plan = Plan()
    plan.connected(100)
    assert plan.due(104) is None
    assert [plan.due(105), plan.due(105)] == ["subscribe", None]
    assert plan.due(106) == "resend"
    plan.heard(107)
    assert plan.due(500) is None

    plan.connected(600)
    plan.heard(599.5)  # the retained message comes a moment before the connect is told
    assert plan.due(700) is None


@pytest.mark.threat(4)
@pytest.mark.req("C085")
async def test_health_says_when_the_manager_is_gone_and_when_it_is_back(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threat 4."""
    async with house(broker, authority, tmp_path) as service:
        await authority.bus.publish(MANAGER, beat(1), qos=1, retain=True)
        await authority.change("router", {"history_messages": 7})
        assert not service.health.state.config.stale
        await asyncio.sleep(32)
        assert service.health.state.config.stale
        assert service.config.history_messages == 7, "it keeps running"

        await authority.bus.publish(MANAGER, beat(2), qos=1, retain=True)
        await asyncio.sleep(2)
        assert not service.health.state.config.stale


async def test_a_service_that_hears_nothing_asks_twice_after_each_connect(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    asked: list[tuple[float, Message]] = []
    loop = asyncio.get_running_loop()
    await authority.bus.subscribe(ASK, lambda m: asked.append((loop.time(), m)))
    began = loop.time()
    async with house(broker, authority, tmp_path) as service:
        await asyncio.sleep(300)
        assert [at - began for at, _ in asked] == pytest.approx([6, 61], abs=2)
        for _, message in asked:
            assert ConfigRequest.decode(message.payload).transaction
            assert not message.retain

        service.ctx.bus.lose()
        service.ctx.bus.regain()
        await asyncio.sleep(300)
    assert len(asked) == 4


async def test_a_message_that_a_slow_broker_brings_late_is_found_by_subscribing_again(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    asked: list[Message] = []
    await authority.bus.subscribe(ASK, asked.append)
    async with house(broker, authority, tmp_path):
        payload = authority.sign("router", {"history_messages": 7})
        broker.retained["system/config/router"] = Message(
            "system/config/router", payload, {}, 1, retain=True
        )
        await authority.applied(payload)
        await asyncio.sleep(100)

    assert asked == []


async def test_a_service_that_hears_its_configuration_asks_for_nothing(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    asked: list[Message] = []
    await authority.bus.subscribe("system/config-request/#", asked.append)
    async with house(broker, authority, tmp_path) as service:
        await authority.change("router", {"history_messages": 7})
        service.ctx.bus.lose()
        service.ctx.bus.regain()
        await asyncio.sleep(100)

    assert asked == []
