"""The traps of paho-mqtt, each on a real broker (config-protocol, section 6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from parlour_contracts.messages.room import Cancel
from parlour_contracts.topics import CANCEL
from parlour_kit.bus import Message, Will
from parlour_kit.clock import LoopClock
from parlour_kit.errors import NotConnectedError
from parlour_kit.link import Outgoing
from parlour_kit.messenger import Messenger
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import MAX_IN_FLIGHT, PahoLink
from parlour_testkit.brokers import MosquittoProcess, mosquitto_process

pytestmark = pytest.mark.broker


@pytest.fixture
def broker() -> Iterator[MosquittoProcess]:
    with mosquitto_process() as process:
        yield process


@pytest_asyncio.fixture
async def bus(broker: MosquittoProcess) -> AsyncIterator[MqttBus]:
    bus = MqttBus.connect_to(broker.options, "one", LoopClock())
    await bus.start()
    await asyncio.wait_for(bus.wait_connected(), 10)
    yield bus
    await bus.stop()


async def eventually(condition, within: float = 15.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # the condition has no event
            await asyncio.sleep(0.02)


async def test_a_raising_handler_does_not_deafen_the_process(bus: MqttBus) -> None:
    """Trap 1."""
    messenger = Messenger(bus, "one", LoopClock())
    heard: list[str] = []

    def broken(_message: Cancel, _params: dict[str, str]) -> None:
        raise RuntimeError("boom")

    async def also_broken(_message: Cancel, _params: dict[str, str]) -> None:
        raise RuntimeError("boom")

    await messenger.on(CANCEL, broken, site="kitchen")
    await messenger.on(CANCEL, also_broken, site="bedroom")
    await messenger.on(CANCEL, lambda _m, p: heard.append(p["site"]), site="office")
    for site in ("kitchen", "bedroom", "office"):
        await messenger.send(CANCEL, Cancel(), site=site)

    await eventually(lambda: heard == ["office"] and messenger.counts["handler_failed"] == 2)


async def test_a_handler_that_waits_does_not_hold_up_the_next_message(bus: MqttBus) -> None:
    """F18: a cancel is seen while a model is computing."""
    messenger = Messenger(bus, "one", LoopClock())
    seen: list[str] = []

    async def slow(_message: Cancel, params: dict[str, str]) -> None:
        seen.append(params["site"])
        await asyncio.sleep(5)

    await messenger.on(CANCEL, slow)
    await messenger.send(CANCEL, Cancel(), site="kitchen")
    await messenger.send(CANCEL, Cancel(), site="office")

    await eventually(lambda: seen == ["kitchen", "office"], within=2)
    await messenger.close()


async def test_what_was_refused_while_offline_is_not_sent_later(
    broker: MosquittoProcess, bus: MqttBus
) -> None:
    """Trap 2."""
    heard: list[Message] = []
    await bus.subscribe("late", heard.append)
    broker.kill()
    await eventually(lambda: not bus.connected)
    with pytest.raises(NotConnectedError):
        await bus.publish("late", b"x", qos=1)

    broker.start()
    await eventually(lambda: bus.connected, within=40)
    await bus.publish("late", b"fresh", qos=1)
    await eventually(lambda: bool(heard))

    assert [m.payload for m in heard] == [b"fresh"]


async def test_no_more_than_twenty_messages_are_under_way(
    broker: MosquittoProcess, bus: MqttBus
) -> None:
    """Trap 3, also with what waits while the broker is slow."""
    link = bus._link
    assert isinstance(link, PahoLink)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(link._acks))
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(bus.publish("t", b"x" * 100, qos=1) for _ in range(500)))
    watcher.cancel()

    assert 1 < most <= MAX_IN_FLIGHT


async def test_a_publish_that_loses_its_connection_fails_instead_of_hanging(
    broker: MosquittoProcess, bus: MqttBus
) -> None:
    """Trap 4: the sender owns the retry."""
    sends = [asyncio.create_task(bus.publish("t", b"x" * 50_000, qos=1)) for _ in range(200)]
    await asyncio.sleep(0)
    broker.kill()

    results = await asyncio.wait_for(asyncio.gather(*sends, return_exceptions=True), 10)

    assert all(r is None or isinstance(r, NotConnectedError) for r in results)
    assert any(isinstance(r, NotConnectedError) for r in results)


async def test_an_acknowledgement_after_a_reconnect_acknowledges_nothing(
    broker: MosquittoProcess,
) -> None:
    """Trap 6: it would hit another message of the new connection."""
    held: list = []
    links: list[PahoLink] = []

    def hold(_message: Message, acknowledge) -> None:
        held.append(acknowledge)

    for number in (1, 2):
        link = PahoLink(broker.options, f"holder-{number}", None, hold)
        await link.open()
        await link.subscribe("held", 1)
        links.append(link)
    acked: list[int] = []
    for link in links:
        original = link._client.ack
        link._client.ack = lambda mid, qos, original=original: (
            acked.append(mid),
            original(mid, qos),
        )  # type: ignore[method-assign]
    sender = PahoLink(broker.options, "sender", None, lambda *_: None)
    await sender.open()
    await sender.publish(Outgoing("held", b"1", qos=1))
    await eventually(lambda: len(held) == 2)
    links[0].abandon()

    held[0]()
    assert acked == []
    held[1]()

    assert len(acked) == 1
    for link in (links[1], sender):
        await link.close()


@pytest.mark.req("F28")
async def test_no_work_is_given_to_a_worker_that_has_vanished(broker: MosquittoProcess) -> None:
    """A session that waits for its worker would swallow every second request."""
    done: list[str] = []
    workers = []
    for name in ("dead", "alive"):

        def work(_message: Message, acknowledge, name: str = name) -> None:
            done.append(name)
            acknowledge()

        worker = PahoLink(broker.options, name, None, work)
        await worker.open()
        await worker.subscribe("$share/workers/work", 1)
        workers.append(worker)
    sender = PahoLink(broker.options, "sender", None, lambda *_: None)
    await sender.open()
    workers[0].abandon()
    await asyncio.sleep(0.3)
    for _ in range(10):
        await sender.publish(Outgoing("work", b"", qos=1))

    await eventually(lambda: len(done) == 10)
    assert set(done) == {"alive"}
    for link in (workers[1], sender):
        await link.close()


async def test_every_broker_restart_is_survived_with_subscriptions(
    broker: MosquittoProcess, bus: MqttBus
) -> None:
    """F28: it reconnects more than once."""
    heard: list[Message] = []
    await bus.subscribe("ping/+", heard.append)
    for number in range(3):
        broker.kill()
        await eventually(lambda: not bus.connected)
        broker.start()
        await eventually(lambda: bus.connected, within=40)
        await bus.publish(f"ping/{number}", b"", qos=1)
    await eventually(lambda: len(heard) == 3)


async def test_user_properties_and_bytes_arrive_as_they_were_sent(bus: MqttBus) -> None:
    heard: list[Message] = []
    await bus.subscribe("frames", heard.append)

    await bus.publish("frames", bytes(range(256)), properties={"seq": "7", "rate": "16000"})

    await eventually(lambda: bool(heard))
    assert heard[0].payload == bytes(range(256))
    assert heard[0].properties == {"seq": "7", "rate": "16000"}


async def test_the_will_is_sent_when_a_client_vanishes_and_not_when_it_leaves(
    broker: MosquittoProcess, bus: MqttBus
) -> None:
    heard: list[Message] = []
    await bus.subscribe("will/+", heard.append)
    leaver, vanisher = (
        MqttBus.connect_to(
            broker.options, name, LoopClock(),
            will=lambda conn, name=name: Will(f"will/{name}", str(conn).encode(), delay_s=0),
        )
        for name in ("leaver", "vanisher")
    )  # fmt: skip
    for other in (leaver, vanisher):
        await other.start()
        await other.wait_connected()
    await leaver.stop()
    vanisher._link.abandon()

    await eventually(lambda: bool(heard))
    await vanisher.stop()
    assert {m.topic for m in heard} == {"will/vanisher"}
