"""What stt-worker does on a hot machine: it listens, and recognises when it is cool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.topics import TRANSCRIPT
from parlour_kit.service import PAUSE_S
from parlour_testkit import MemoryBroker, memory_service
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from parlour_testkit.fakes_vitals import FakeSensors
from stt_worker.service import SttWorker

from .speaking import QUESTION, Room, room


@asynccontextmanager
async def ears(broker: MemoryBroker) -> AsyncIterator[tuple[Room, FakeSensors, FakeRecogniser]]:
    sensors, recogniser = FakeSensors(), FakeRecogniser()
    async with memory_service(
        SttWorker, broker, sensors=sensors, recogniser=recogniser.factory(), vad=LoudnessVad,
        config=STTWorkerConfig(streaming_partials=True),
    ):  # fmt: skip
        yield await room(broker), sensors, recogniser


def partials(here: Room) -> int:
    return sum(t.kind == "partial" for t in here.observer.of(TRANSCRIPT))


@pytest.mark.req("H056")
async def test_a_question_that_is_asked_while_it_is_hot_is_understood_when_it_is_cool(
    broker: MemoryBroker,
) -> None:
    async with ears(broker) as (here, sensors, _):
        sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        turn = await here.open()
        await here.play(turn, *QUESTION)
        await asyncio.sleep(15)
        meanwhile = here.observer.of(TRANSCRIPT)
        sensors.set(temperature_c=70.0)
        heard = await here.result(turn)

    assert meanwhile == []
    assert heard.kind == "final"
    assert heard.text


@pytest.mark.req("H056")
async def test_a_question_that_has_waited_too_long_fails_with_the_reason(
    broker: MemoryBroker,
) -> None:
    async with ears(broker) as (here, sensors, _):
        sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        turn = await here.open()
        await here.play(turn, *QUESTION)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(PAUSE_S - 2)
        silent = here.observer.of(TRANSCRIPT) == []
        failed = await here.result(turn)

    assert silent
    assert failed.kind == "failed"
    assert failed.reason is not None
    assert failed.reason.startswith("TOO_HOT: ")
    assert asyncio.get_running_loop().time() - began <= PAUSE_S + 1


@pytest.mark.parametrize(("celsius", "some"), [(60.0, True), (78.0, False)])
async def test_a_warm_machine_tells_no_partial_texts(
    broker: MemoryBroker, celsius: float, some: bool
) -> None:
    async with ears(broker) as (here, sensors, _):
        sensors.set(temperature_c=celsius)
        await asyncio.sleep(1.5)
        heard = await here.ask(silence(300), tone(4000), silence(1500))

    assert heard.kind == "final"
    assert (partials(here) > 0) is some
