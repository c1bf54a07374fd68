"""What tts-worker does on a hot machine: it finishes its sentence, and keeps the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from parlour_contracts.messages.tts import TtsCancel, TtsRequest
from parlour_contracts.topics import SPEECH, TTS_CANCEL, TTS_REQUEST
from parlour_kit.ids import new_id
from parlour_kit.service import PAUSE_S
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_tts import FakeVoice
from parlour_testkit.fakes_vitals import FakeSensors
from tts_worker.service import TtsWorker


@dataclass
class Room:
    """Somebody who asks for speech, and the machine that speaks."""

    observer: Observer
    sensors: FakeSensors
    utterance: str

    async def ask(self, seq: int, *, last: bool = False) -> None:
        request = TtsRequest(
            utterance_id=self.utterance, site="den", seq=seq, last=last,
            text="one two three four five six seven eight nine ten",
        )  # fmt: skip
        await self.observer.messenger.send(TTS_REQUEST, request)

    @property
    def events(self) -> list[tuple[str, int]]:
        return [(s.event, s.seq) for s in self.observer.of(SPEECH)]


@asynccontextmanager
async def room(broker: MemoryBroker) -> AsyncIterator[Room]:
    sensors = FakeSensors()
    observer = await Observer(broker.client("observer")).watch(SPEECH)
    async with memory_service(
        TtsWorker, broker, sensors=sensors, engine_factory=FakeVoice().factory
    ):
        yield Room(observer, sensors, new_id())


@pytest.mark.req("H056")
async def test_sentences_wait_while_it_is_hot_and_are_spoken_in_order_when_it_is_cool(
    broker: MemoryBroker,
) -> None:
    async with room(broker) as r:
        r.sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        await r.ask(0)
        await r.ask(1, last=True)
        await asyncio.sleep(20)
        meanwhile = r.events
        r.sensors.set(temperature_c=70.0)
        await asyncio.sleep(5)

    assert meanwhile == []
    assert r.events == [
        ("started", 0), ("sentence", 0), ("started", 1), ("sentence", 1), ("completed", 1),
    ]  # fmt: skip


@pytest.mark.req("H056")
async def test_a_sentence_that_is_being_made_is_finished(broker: MemoryBroker) -> None:
    async with room(broker) as r:
        await asyncio.sleep(1.9)
        await r.ask(0)
        await r.ask(1)
        r.sensors.set(temperature_c=86.0)
        await asyncio.sleep(10)

    assert ("sentence", 0) in r.events
    assert ("sentence", 1) not in r.events


@pytest.mark.req("H056")
async def test_a_sentence_that_has_waited_too_long_fails_with_the_reason_and_is_not_spoken_later(
    broker: MemoryBroker,
) -> None:
    async with room(broker) as r:
        r.sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        await r.ask(0)
        await asyncio.sleep(10)
        await r.ask(1)
        await asyncio.sleep(PAUSE_S - 9)
        failed = r.observer.of(SPEECH)
        r.sensors.set(temperature_c=70.0)
        await asyncio.sleep(10)

    assert [(s.event, s.seq) for s in failed] == [("failed", 0)]
    assert failed[0].error is not None
    assert (failed[0].error.code, failed[0].error.retryable) == ("TOO_HOT", True)
    assert r.events[1:] == [("started", 1), ("sentence", 1)]


async def test_what_is_cancelled_while_it_is_hot_is_not_spoken_afterwards(
    broker: MemoryBroker,
) -> None:
    async with room(broker) as r:
        r.sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        await r.ask(0)
        message = TtsCancel(utterance_id=r.utterance, reason="barge-in")
        await r.observer.messenger.send(TTS_CANCEL, message, instance="tts-worker")
        r.sensors.set(temperature_c=70.0)
        await asyncio.sleep(10)

    assert r.events == [("cancelled", 0)]
