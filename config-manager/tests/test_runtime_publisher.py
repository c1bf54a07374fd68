"""The outbox: everything that was committed reaches the broker, newest first of its topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from config_manager.errors import LockedError
from config_manager.runtime.publisher import OutboxRow, Publisher, SendQueue
from hypothesis import given
from hypothesis import strategies as st
from parlour_kit.clock import LoopClock
from parlour_kit.errors import PublishRefusedError
from parlour_testkit import MemoryBroker


def row(number: int, topic: str = "a") -> OutboxRow:
    return OutboxRow(number, topic, str(number).encode(), True, None)


class Rows:
    """An outbox in memory."""

    def __init__(self, *rows: OutboxRow) -> None:
        self.rows = list(rows)
        self.deletions = 0
        self.broken = False

    async def newest(self, after: int, limit: int) -> Sequence[OutboxRow]:
        if self.broken:
            raise LockedError("held")
        return [r for r in sorted(self.rows, key=lambda r: r.id) if r.id > after][:limit]

    async def done(self, acknowledged: Sequence[tuple[str, int]]) -> None:
        if self.broken:
            raise LockedError("held")
        self.deletions += 1
        upto = dict(acknowledged)
        self.rows = [r for r in self.rows if r.id > upto.get(r.topic, 0)]

    async def size(self) -> int:
        return len(self.rows)


@asynccontextmanager
async def publishing(rows: Rows, bus, allowed: list[bool]) -> AsyncIterator[Publisher]:
    publisher = Publisher(bus, rows, LoopClock(), may_send=lambda: allowed[0])
    bus.on_connected(publisher.wake)
    task = asyncio.get_running_loop().create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.req("C076")
async def test_what_was_committed_while_the_broker_was_away_is_sent_when_it_is_back(
    broker: MemoryBroker,
) -> None:
    bus = broker.client("manager")
    broker.stop()
    rows = Rows(row(1), row(2, "b"))
    async with publishing(rows, bus, [True]):
        await asyncio.sleep(60)
        assert not broker.log
        broker.start()
        await asyncio.sleep(1)
    assert {m.topic for m in broker.log} == {"a", "b"}
    assert rows.rows == []


async def test_only_the_newest_message_of_a_topic_is_sent(broker: MemoryBroker) -> None:
    rows = Rows(row(1), row(2), row(3, "b"), row(4))
    async with publishing(rows, broker.client("manager"), [True]):
        await asyncio.sleep(1)
    assert [(m.topic, m.payload) for m in broker.log] == [("a", b"4"), ("b", b"3")]
    assert rows.rows == []
    assert rows.deletions == 1


async def test_nothing_goes_out_while_this_process_may_not_publish(broker: MemoryBroker) -> None:
    rows, allowed = Rows(row(1)), [False]
    async with publishing(rows, broker.client("manager"), allowed) as publisher:
        await asyncio.sleep(30)
        assert not broker.log
        allowed[0] = True
        publisher.wake()
        await asyncio.sleep(1)
    assert [m.payload for m in broker.log] == [b"1"]


async def test_a_refusal_is_told_and_tried_again(broker: MemoryBroker) -> None:
    bus = broker.client("manager")
    refusing = [True]
    publish = bus.publish

    async def refuse(topic: str, payload: bytes, **more: object) -> None:
        if refusing[0]:
            raise PublishRefusedError(topic, 135)
        await publish(topic, payload, **more)  # type: ignore[arg-type]

    bus.publish = refuse  # type: ignore[method-assign]
    rows = Rows(row(1))
    async with publishing(rows, bus, [True]) as publisher:
        await asyncio.sleep(70)
        assert publisher.refused is not None
        assert publisher.stuck
        refusing[0] = False
        await asyncio.sleep(6)
        assert publisher.refused is None
        assert not publisher.stuck
    assert rows.rows == []


async def test_whoever_signs_waits_until_all_was_sent_but_never_for_a_broker_that_is_away(
    broker: MemoryBroker,
) -> None:
    loop = asyncio.get_running_loop()
    rows = Rows(*(row(number, f"t{number}") for number in range(1, 601)))
    async with publishing(rows, broker.client("manager"), [True]) as publisher:
        publisher.wake()
        await publisher.rest()
        assert len(broker.log) == 600

        broker.stop()
        rows.rows.append(row(601))
        begin = loop.time()
        publisher.wake()
        await publisher.rest()
        assert loop.time() - begin < 0.1
        broker.start()
        await asyncio.sleep(6)
        assert broker.log[-1].payload == b"601"


async def test_whoever_signs_waits_a_second_at_most_for_a_broker_that_does_not_answer(
    broker: MemoryBroker,
) -> None:
    bus = broker.client("manager")

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    bus.publish = hang  # type: ignore[method-assign]
    async with publishing(Rows(row(1)), bus, [True]) as publisher:
        begin = asyncio.get_running_loop().time()
        publisher.wake()
        await publisher.rest()
        assert asyncio.get_running_loop().time() - begin == pytest.approx(1.0, abs=0.1)


async def test_a_locked_database_only_delays_it(broker: MemoryBroker) -> None:
    rows = Rows(row(1))
    rows.broken = True
    async with publishing(rows, broker.client("manager"), [True]):
        await asyncio.sleep(12)
        rows.broken = False
        await asyncio.sleep(6)
    assert len(broker.log) == 1
    assert rows.rows == []


async def test_ten_thousand_messages_go_out_and_are_deleted_in_batches(
    broker: MemoryBroker,
) -> None:
    rows = Rows(*(row(n, f"t{n}") for n in range(1, 10_001)))
    async with publishing(rows, broker.client("manager"), [True]):
        await asyncio.sleep(30)
    assert len(broker.retained) == 10_000
    assert rows.rows == []
    assert rows.deletions < 200


@given(st.data())
def test_the_queue_never_forgets_and_never_sends_an_older_one_after_a_newer(
    data: st.DataObject,
) -> None:
    queue = SendQueue()
    store: dict[int, str] = {}
    sent: dict[str, int] = {}
    flying: list[OutboxRow] = []
    number = 0
    for _ in range(data.draw(st.integers(0, 40))):
        match data.draw(st.sampled_from(["add", "take", "ok", "fail"])):
            case "add":
                number += 1
                topic = data.draw(st.sampled_from("abc"))
                store[number] = topic
                queue.add([row(number, topic)])
            case "take":
                found = queue.take()
                if found is not None:
                    assert found.id >= sent.get(found.topic, 0)
                    sent[found.topic] = found.id
                    flying.append(found)
            case "ok" if flying:
                queue.acknowledged(flying.pop(data.draw(st.integers(0, len(flying) - 1))))
            case "fail" if flying:
                queue.failed(flying.pop(data.draw(st.integers(0, len(flying) - 1))))
    for item in flying:
        queue.failed(item)
    while (found := queue.take()) is not None:
        queue.acknowledged(found)
    for topic, upto in queue.deletable():
        store = {n: t for n, t in store.items() if not (t == topic and n <= upto)}
    assert store == {}
