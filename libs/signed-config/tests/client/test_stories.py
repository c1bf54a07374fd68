"""The same stories on every bus."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_config.signing import SigningKey
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus
from parlour_testkit import ConfigAuthority
from parlour_testkit.brokers import mosquitto_process
from parlour_testkit.buses import connections, params
from parlour_testkit.running import running_service

from .house import House, Story


@pytest.mark.parametrize("kind", params())
@pytest.mark.req("C033", "C035", "C085")
async def test_a_change_is_taken_a_forgery_is_not_and_a_restart_forgets_nothing(
    kind: str, tmp_path: Path
) -> None:
    async with connections(kind) as connect:
        authority = await ConfigAuthority(await connect("config-manager")).watch()
        feed = authority.feed(tmp_path)
        bus = await connect("router")
        async with running_service(House, bus, feed=feed, story=Story()) as service:
            await authority.change("router", {"history_messages": 7})
            forged = authority.sign("router", {"history_messages": 8}, key=SigningKey(b"x" * 32))
            await authority.send("router", forged)
            await authority.until(lambda r: r.error == "BAD_SIGNATURE")
            assert service.config.history_messages == 7

        story = Story()
        async with running_service(House, await connect("again"), feed=feed, story=story):
            assert story.of("load") == [7]
            last = await authority.publish("router", {"history_messages": 9})
            await authority.applied(last)
        assert story.of("commit") == [9]


@pytest.mark.threat(20)
@pytest.mark.broker
@pytest.mark.req("SC011")
async def test_a_broker_that_lost_everything_changes_nothing_until_it_is_told_again(
    tmp_path: Path,
) -> None:
    """Threat 20: without persistence a killed broker has no retained message left."""
    with mosquitto_process() as broker:

        async def connect(name: str) -> MqttBus:
            bus = MqttBus.connect_to(broker.options, name, LoopClock())
            await bus.start()
            async with asyncio.timeout(20):
                await bus.wait_connected()
            return bus

        manager, router = await connect("config-manager"), await connect("router")
        authority = await ConfigAuthority(manager).watch()
        story = Story()
        feed = authority.feed(tmp_path)
        async with running_service(House, router, feed=feed, story=story) as service:
            payload = await authority.publish("router", {"history_messages": 7})
            await authority.applied(payload)
            broker.kill()
            await asyncio.sleep(0.5)
            assert service.config.history_messages == 7
            broker.start()
            async with asyncio.timeout(40):
                while not (manager.connected and router.connected):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await authority.send("router", payload)
            await authority.change("router", {"history_messages": 8})
            assert story.of("commit") == [7, 8]
        await router.stop()
        await manager.stop()
