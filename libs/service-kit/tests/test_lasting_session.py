"""A session that outlives its connection: what was not acknowledged is not lost."""

from __future__ import annotations

import asyncio

import pytest
from parlour_kit.bus import Message, SubscribeOptions
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import MqttOptions
from parlour_testkit import MemoryBroker
from parlour_testkit.brokers import mosquitto_process

BY_HAND = SubscribeOptions(2, manual_ack=True)


async def test_in_memory_what_is_acknowledged_by_hand_is_noted(broker: MemoryBroker) -> None:
    bus = broker.client("one")

    def take(message: Message) -> None:
        assert message.acknowledge is not None
        message.acknowledge()

    await bus.subscribe("t", take, options=BY_HAND)
    await bus.publish("t", b"x", qos=1)
    await asyncio.sleep(1)

    assert [m.payload for m in bus.acknowledged] == [b"x"]


@pytest.mark.broker
async def test_an_unacknowledged_message_waits_for_the_next_connection() -> None:
    with mosquitto_process() as broker:
        plain = broker.options
        lasting = MqttOptions(
            plain.host, plain.port, clean_start=False, session_expiry_s=60, receive_maximum=4
        )
        heard: list[Message] = []

        async def worker() -> MqttBus:
            bus = MqttBus.connect_to(lasting, "worker", LoopClock())
            await bus.subscribe("t", heard.append, options=BY_HAND)
            await bus.start()
            await asyncio.wait_for(bus.wait_connected(), 10)
            return bus

        first = await worker()
        sender = MqttBus.connect_to(plain, "sender", LoopClock())
        await sender.start()
        await asyncio.wait_for(sender.wait_connected(), 10)
        for number in range(6):
            await sender.publish("t", b"%d" % number, qos=1)
        await asyncio.sleep(0.5)
        assert [m.payload for m in heard] == [b"0", b"1", b"2", b"3"], "no more than four at once"
        assert heard[0].acknowledge is not None
        heard[0].acknowledge()
        await asyncio.sleep(0.2)
        await first.stop()
        await sender.publish("t", b"meanwhile", qos=1)
        heard.clear()

        second = await worker()
        for _ in range(20):
            await asyncio.sleep(0.1)
            for message in heard:
                assert message.acknowledge is not None
                message.acknowledge()
        assert [m.payload for m in heard] == [b"1", b"2", b"3", b"4", b"5", b"meanwhile"]
        await second.stop()
        await sender.stop()
