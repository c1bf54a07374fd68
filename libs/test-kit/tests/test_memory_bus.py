"""The broker in memory routes as a real one does: the same tests run on Mosquitto."""

from __future__ import annotations

import asyncio

import pytest
from parlour_kit.bus import Message, matches
from parlour_testkit.buses import connections, params

EVERY_BUS = pytest.mark.parametrize("kind", params())


async def settle() -> None:
    await asyncio.sleep(0.4)


@EVERY_BUS
async def test_wildcards_meet_what_they_should(kind: str) -> None:
    filters = ("a/+/c", "a/#", "a/b/c", "+/b", "#", "x/y")
    heard: list[tuple[str, str]] = []
    async with connections(kind) as connect:
        for number, topic_filter in enumerate(filters):
            bus = await connect(f"listener-{number}")
            await bus.subscribe(topic_filter, lambda m, f=topic_filter: heard.append((f, m.topic)))
        sender = await connect("sender")
        for topic in ("a/b/c", "a/b", "a", "a/b/c/d", "x/y"):
            await sender.publish(topic, b"1", qos=1)
        await settle()

    wanted = {
        (f, t) for f in filters for t in ("a/b/c", "a/b", "a", "a/b/c/d", "x/y") if matches(f, t)
    }
    assert set(heard) == wanted
    assert ("a/#", "a") in wanted
    assert ("+/b", "a/b") in wanted


@EVERY_BUS
async def test_a_shared_subscription_gives_each_message_to_one_member(kind: str) -> None:
    heard: dict[int, list[bytes]] = {0: [], 1: []}
    everybody: list[bytes] = []
    async with connections(kind) as connect:
        for number in heard:
            bus = await connect(f"worker-{number}")
            await bus.subscribe(
                "$share/workers/work", lambda m, n=number: heard[n].append(m.payload)
            )
        watcher = await connect("watcher")
        await watcher.subscribe("work", lambda m: everybody.append(m.payload))
        sender = await connect("sender")
        for number in range(20):
            await sender.publish("work", str(number).encode(), qos=1)
        await settle()

    assert sorted(heard[0] + heard[1]) == sorted(everybody)
    assert len(everybody) == 20
    assert min(len(heard[0]), len(heard[1])) >= 5


@EVERY_BUS
async def test_what_is_retained_waits_for_who_comes_later_and_can_be_cleared(kind: str) -> None:
    heard: list[Message] = []
    later: list[Message] = []
    async with connections(kind) as connect:
        sender = await connect("sender")
        await sender.publish("state/a", b"1", qos=1, retain=True)
        await sender.publish("state/b", b"2", qos=1, retain=True)
        await sender.publish("state/b", b"", qos=1, retain=True)
        await sender.publish("event", b"3", qos=1)
        listener = await connect("listener")
        await listener.subscribe("#", heard.append)
        await settle()
        await sender.publish("state/a", b"4", qos=1, retain=True)
        await settle()
        late = await connect("late")
        await late.subscribe("state/+", later.append)
        await settle()

    assert [(m.topic, m.payload, m.retain) for m in heard] == [
        ("state/a", b"1", True), ("state/a", b"4", False),
    ]  # fmt: skip
    assert [(m.topic, m.payload) for m in later] == [("state/a", b"4")]


@EVERY_BUS
async def test_messages_of_one_sender_arrive_in_order_with_their_properties(kind: str) -> None:
    heard: list[tuple[bytes, str]] = []
    async with connections(kind) as connect:
        listener = await connect("listener")
        await listener.subscribe("t", lambda m: heard.append((m.payload, m.properties["seq"])))
        sender = await connect("sender")
        for number in range(100):
            await sender.publish("t", bytes([number]), qos=1, properties={"seq": str(number)})
        await settle()

    assert heard == [(bytes([n]), str(n)) for n in range(100)]


@EVERY_BUS
async def test_nothing_comes_after_an_unsubscribe(kind: str) -> None:
    heard: list[Message] = []
    async with connections(kind) as connect:
        bus = await connect("one")
        await bus.subscribe("t", heard.append)
        await bus.publish("t", b"1", qos=1)
        await settle()
        await bus.unsubscribe("t")
        await bus.publish("t", b"2", qos=1)
        await settle()

    assert [m.payload for m in heard] == [b"1"]
