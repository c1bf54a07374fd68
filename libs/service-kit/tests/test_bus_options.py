"""What a subscription may ask for, on every bus."""

from __future__ import annotations

import asyncio

import pytest
from parlour_kit.bus import Message, SubscribeOptions
from parlour_testkit.buses import connections, params

pytestmark = pytest.mark.parametrize("kind", params())


async def _settle(kind: str) -> None:
    await asyncio.sleep(0.3 if kind != "memory" else 1)


async def test_retained_messages_come_unless_they_are_not_wanted(kind: str) -> None:
    async with connections(kind) as connect:
        one, two = await connect("one"), await connect("two")
        await one.publish("t", b"kept", qos=1, retain=True)
        heard: dict[str, list[Message]] = {"plain": [], "never": []}
        await two.subscribe("t", heard["plain"].append)
        await two.subscribe(
            "t/#", heard["never"].append, options=SubscribeOptions(retain_handling=2)
        )
        await _settle(kind)

        assert [m.payload for m in heard["plain"]] == [b"kept"]
        assert heard["plain"][0].retain


async def test_a_fresh_message_shows_that_it_is_retained_where_that_is_asked_for(kind: str) -> None:
    async with connections(kind) as connect:
        one, two, three = await connect("one"), await connect("two"), await connect("three")
        plain: list[Message] = []
        published: list[Message] = []
        await two.subscribe("t", plain.append)
        await three.subscribe(
            "t", published.append, options=SubscribeOptions(2, retain_as_published=True)
        )
        await one.publish("t", b"1", qos=1, retain=True)
        await one.publish("t", b"2", qos=1)
        await _settle(kind)

        assert [m.retain for m in plain] == [False, False]
        assert [m.retain for m in published] == [True, False]


async def test_own_messages_do_not_come_back_where_that_is_asked_for(kind: str) -> None:
    async with connections(kind) as connect:
        one, two = await connect("one"), await connect("two")
        heard: list[Message] = []
        await one.subscribe("t", heard.append, options=SubscribeOptions(no_local=True))
        await one.publish("t", b"own", qos=1)
        await two.publish("t", b"other", qos=1)
        await _settle(kind)

        assert [m.payload for m in heard] == [b"other"]


async def test_where_and_with_what_to_answer_travels_along(kind: str) -> None:
    async with connections(kind) as connect:
        one, two = await connect("one"), await connect("two")
        heard: list[Message] = []
        await two.subscribe("ask", heard.append)
        await one.publish("ask", b"", qos=1, response_topic="answer/one", correlation=b"\x00\xff")
        await one.publish("ask", b"", qos=1)
        await _settle(kind)

        assert [(m.response_topic, m.correlation) for m in heard] == [
            ("answer/one", b"\x00\xff"), (None, None),
        ]  # fmt: skip


async def test_only_a_subscription_that_asked_for_it_acknowledges_by_hand(kind: str) -> None:
    async with connections(kind) as connect:
        one, two = await connect("one"), await connect("two")
        heard: list[Message] = []
        await two.subscribe("hand", heard.append, options=SubscribeOptions(manual_ack=True))
        await two.subscribe("plain", heard.append)
        await one.publish("hand", b"", qos=1)
        await one.publish("plain", b"", qos=1)
        await _settle(kind)

        by_hand, plain = sorted(heard, key=lambda m: m.topic)
        assert plain.acknowledge is None
        assert by_hand.acknowledge is not None
        by_hand.acknowledge()
