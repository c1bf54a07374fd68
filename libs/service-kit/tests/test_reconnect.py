"""The bus above its connections: reconnecting, subscribing again, never sending late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from parlour_kit.backoff import Backoff
from parlour_kit.bus import Message, SubscribeOptions, Will
from parlour_kit.clock import LoopClock
from parlour_kit.errors import NotConnectedError
from parlour_kit.link import Outgoing
from parlour_kit.mqtt_bus import MqttBus


class ScriptedLink:
    """A connection that fails to open as often as told, and breaks when told."""

    def __init__(self, world: World, will: Will | None, receive: Callable) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self.world, self.will, self.receive = world, will, receive
        self.subscribed: list[str] = []
        self.sent: list[tuple[str, bytes]] = []

    async def open(self) -> None:
        self.world.opened_at.append(asyncio.get_running_loop().time())
        if self.world.refusals > 0:
            self.world.refusals -= 1
            raise NotConnectedError("refused")
        self.world.links.append(self)

    async def subscribe(self, topic_filter: str, qos: int, options: SubscribeOptions) -> None:
        await asyncio.sleep(self.world.slow_s)
        self.subscribed.append(topic_filter)

    async def unsubscribe(self, topic_filter: str) -> None:
        self.subscribed.remove(topic_filter)

    async def publish(self, message: Outgoing) -> None:
        self.sent.append((message.topic, message.payload))

    async def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        if not self.closed.done():
            self.closed.set_result("abandoned")


class World:
    """What the scripted links share."""

    def __init__(self) -> None:
        self.refusals = 0
        self.slow_s = 0.0
        self.opened_at: list[float] = []
        self.links: list[ScriptedLink] = []

    def bus(self, **options: object) -> MqttBus:
        backoff = Backoff(rng=random.Random(7))
        return MqttBus(
            lambda w, r: ScriptedLink(self, w, r), LoopClock(), backoff=backoff, **options
        )


async def test_waits_have_full_jitter_and_grow_to_thirty_seconds() -> None:
    """Trap list, reconnect: 0.5 → 30 s with full jitter, for ever."""
    world = World()
    world.refusals = 400
    bus = world.bus()
    await bus.start()
    await bus.wait_connected()

    waits = [b - a for a, b in zip(world.opened_at, world.opened_at[1:], strict=False)]
    assert waits[0] <= 0.5
    assert max(waits) <= 30.0
    late = waits[20:]
    assert max(late) > 25
    assert min(late) < 3, "full jitter also waits little"
    await bus.stop()


async def test_a_lost_connection_is_made_again_and_subscriptions_stand_again() -> None:
    world = World()
    bus = world.bus()
    again: list[int] = []
    bus.on_connected(lambda: again.append(bus.connections))
    await bus.start()
    await bus.wait_connected()
    await bus.subscribe("a/+", lambda _m: None)
    for _ in range(5):
        world.links[-1].abandon()
        await asyncio.sleep(60)

    assert again == [1, 2, 3, 4, 5, 6]
    assert all("a/+" in link.subscribed for link in world.links)
    await bus.stop()


async def test_what_is_subscribed_while_the_broker_answers_an_earlier_one_stands_too() -> None:
    """A process that starts subscribes at any moment of its first connection."""
    world = World()
    world.slow_s = 1.0
    bus = world.bus()
    await bus.subscribe("first", lambda _m: None)
    await bus.subscribe("regretted", lambda _m: None)
    await bus.start()
    await asyncio.sleep(1.5)

    await bus.subscribe("second", lambda _m: None)
    await bus.unsubscribe("first")
    await bus.unsubscribe("regretted")
    await bus.subscribe("regretted", lambda _m: None)
    await bus.wait_connected()

    assert sorted(world.links[-1].subscribed) == ["regretted", "regretted", "second"]
    await bus.stop()


async def test_a_loss_is_told_once_and_each_try_that_brought_no_connection() -> None:
    world = World()
    bus = world.bus()
    told: list[str] = []
    bus.on_lost(lambda _why: told.append("lost"))
    bus.on_away(lambda: told.append("away"))
    await bus.start()
    await bus.wait_connected()
    world.refusals = 2
    world.links[-1].abandon()
    await asyncio.sleep(60)

    assert told == ["lost", "away", "away"]
    assert bus.connected
    await bus.stop()


async def test_nothing_is_published_while_offline_and_nothing_later() -> None:
    """Trap 2."""
    world = World()
    bus = world.bus()
    await bus.start()
    await bus.wait_connected()
    world.refusals = 3
    world.links[-1].abandon()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    with pytest.raises(NotConnectedError):
        await bus.publish("late", b"x", qos=1)
    await asyncio.sleep(300)

    assert bus.connected
    assert world.links[-1].sent == []
    await bus.stop()


async def test_each_connection_gets_a_will_with_its_own_number() -> None:
    world = World()
    bus = world.bus(will=lambda conn: Will("w", str(conn).encode()))
    await bus.start()
    await bus.wait_connected()
    world.links[-1].abandon()
    await asyncio.sleep(60)

    assert [link.will.payload for link in world.links] == [b"1", b"2"]
    await bus.stop()


async def test_a_message_is_acknowledged_also_when_its_receiver_raises() -> None:
    """Traps 1 and 7: no receiver can hold an acknowledgement back."""
    world = World()
    bus = world.bus()
    await bus.start()
    await bus.wait_connected()

    def broken(_message: Message) -> None:
        raise RuntimeError("boom")

    await bus.subscribe("a", broken)
    acknowledged: list[bool] = []

    with pytest.raises(RuntimeError):
        world.links[-1].receive(Message("a", b""), lambda: acknowledged.append(True))

    assert acknowledged == [True]
    await bus.stop()


def test_the_first_wait_after_a_reset_is_short_again() -> None:
    backoff = Backoff(rng=random.Random(3))
    for _ in range(20):
        backoff.next()
    backoff.reset()

    assert backoff.next() <= 0.5
