"""The checks of stt-worker: the recogniser understands a known clip, and no turn waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_contracts.config import STTWorkerConfig
from parlour_kit.clock import LoopClock
from parlour_kit.probes.checks import COMPONENT_S, TTL_S, CheckBook, CheckResult
from parlour_testkit import MemoryBroker, memory_service
from parlour_testkit.fakes_stt import FakeRecogniser
from stt_worker.checking import CRASH_S, known_clip
from stt_worker.errors import ModelBrokenError
from stt_worker.recogniser import ThreadedRecogniser
from stt_worker.service import SttWorker

from .speaking import QUESTION, room, worker

KNOWN = "Has never been surpassed."


async def checked(service: SttWorker) -> dict[str, CheckResult]:
    results = await CheckBook(service.checks(), LoopClock()).fresh()
    return {result.name: result for result in results}


@pytest.mark.req("P014", "H030")
async def test_a_recogniser_that_understands_the_known_clip_is_healthy(
    broker: MemoryBroker,
) -> None:
    fake = FakeRecogniser(script=[KNOWN])
    async with worker(broker, fake.factory()) as service:
        results = await checked(service)

    assert {n: (r.component, r.state) for n, r in results.items()} == {
        "model": ("audio", "healthy"), "audio": ("audio", "healthy"),
    }  # fmt: skip
    ((samples, options),) = fake.clips
    assert samples is known_clip()
    assert 1.0 < len(samples) / 16_000 < 3.0
    assert options.quick


@pytest.mark.req("F32")
@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (FakeRecogniser(script=["turn on the light"]), "STT_DEAF"),
        (FakeRecogniser(script=[""]), "STT_DEAF"),
        (FakeRecogniser(script=[ModelBrokenError("at /models/x")]), "MODEL_BROKEN"),
        (FakeRecogniser(script=[RuntimeError("what was said")]), "CHECK_FAILED"),
        (FakeRecogniser(script=[KNOWN], delay_s=COMPONENT_S), "CHECK_TIMEOUT"),
        (FakeRecogniser(load_error=ModelBrokenError("at /models/x")), "MODEL_BROKEN"),
    ],
)
async def test_a_recogniser_that_does_not_is_unhealthy_with_a_code(
    broker: MemoryBroker, fake: FakeRecogniser, message: str
) -> None:
    async with worker(broker, fake.factory()) as service:
        result = (await checked(service))["model"]

    assert (result.state, result.message.partition(":")[0]) == ("unhealthy", message)


async def test_one_that_listens_for_another_language_may_make_something_else_of_it(
    broker: MemoryBroker,
) -> None:
    fake = FakeRecogniser(script=["Hast du nie besser erfasst?"])
    async with worker(broker, fake.factory(), language="de-DE") as service:
        result = (await checked(service))["model"]

    assert result.state == "healthy"


async def test_a_turn_of_the_last_30_s_counts_and_none_is_disturbed(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(script=["turn on the light", KNOWN])
    async with worker(broker, fake.factory()) as service:
        kitchen = await room(broker)
        turn = await kitchen.open()
        during = (await checked(service))["model"]
        assert (during.works, fake.clips) == (True, [])
        await kitchen.play(turn, *QUESTION)
        await kitchen.result(turn)
        await asyncio.sleep(1)
        heard = len(fake.clips)
        book = CheckBook(service.checks(), LoopClock())
        assert (await book.fresh())[0].state == "healthy"
        assert len(fake.clips) == heard
        await asyncio.sleep(TTL_S + 1)
        await book.fresh()

    assert len(fake.clips) == heard + 1


@pytest.mark.req("H031")
async def test_ears_do_not_count_as_well_for_a_minute_after_a_crash(broker: MemoryBroker) -> None:
    fake = FakeRecogniser(script=[RuntimeError("what was said"), KNOWN])
    async with worker(broker, fake.factory()) as service:
        kitchen = await room(broker)
        failed = await kitchen.ask()
        assert failed.kind == "failed"
        results = await checked(service)
        assert results["audio"].message.startswith("STT_CRASHED")
        await asyncio.sleep(CRASH_S)
        later = await checked(service)

    assert later["audio"].state == "healthy"


@pytest.mark.model
@pytest.mark.timeout(300)
@pytest.mark.req("F32")
async def test_the_real_whisper_understands_the_known_clip(
    broker: MemoryBroker, data_dir: Path
) -> None:
    config = STTWorkerConfig(whisper_model="base")
    async with memory_service(
        SttWorker, broker, config=config, data_dir=data_dir, recogniser=ThreadedRecogniser
    ) as service:
        results = await checked(service)

    assert {r.state for r in results.values()} == {"healthy"}, results
