"""What the router's metrics say of the turns that it held."""

import asyncio

import pytest
from parlour_kit.metrics import REGISTRY
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import Answer, ScriptedLlmWorker, ScriptedSttWorker

from .conftest import MakeHouse

STAGE = "parlour_turn_stage_seconds"


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.req("V044", "R009")
async def test_a_spoken_turn_leaves_its_waterfall_in_the_metrics(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    stages = ("endpoint", "transcript", "first_token", "first_sentence", "first_audio",
              "voice_to_voice")  # fmt: skip
    before = [sample(f"{STAGE}_sum", stage=s) for s in stages]
    asked = sample("parlour_model_requests_total")
    replied = sample("parlour_turns_total", outcome="replied")
    thought = sample("parlour_conversation_state_seconds_count", state="THINKING")
    async with make_house(stt=ScriptedSttWorker(broker, "What is the sun?")) as house:
        trace = await house.trace(await house.open_turn())
        await asyncio.sleep(5)

    times = trace.timings
    after = [sample(f"{STAGE}_sum", stage=s) for s in stages]
    took = [round((now - then) * 1000, 3) for now, then in zip(after, before, strict=True)]
    waits = [times.endpoint_wait_ms, times.transcribe_ms, times.final_to_first_token_ms,
             times.first_token_to_first_sentence_ms,
             times.first_sentence_to_first_audio_ms]  # fmt: skip
    assert took == pytest.approx([*waits, sum(w or 0 for w in waits)], abs=0.01)
    assert sample("parlour_turns_total", outcome="replied") == replied + 1
    assert sample("parlour_model_requests_total") == asked + 1
    assert sample("parlour_model_requests_in_flight") == 0
    assert sample("parlour_conversation_state_seconds_count", state="THINKING") == thought + 1


async def test_a_typed_question_has_no_wait_from_voice_to_voice(make_house: MakeHouse) -> None:
    count = f"{STAGE}_count"
    before = sample(count, stage="voice_to_voice"), sample(count, stage="first_audio")
    async with make_house() as house:
        await house.trace(await house.ask("Is it late?"))

    after = sample(count, stage="voice_to_voice"), sample(count, stage="first_audio")
    assert after == (before[0], before[1] + 1)


async def test_a_model_that_never_answers_is_not_waited_for_in_the_metrics_for_ever(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    llm = ScriptedLlmWorker(broker, Answer(unclaimed=True))
    async with make_house(llm=llm) as house:
        trace = await house.trace(await house.ask("Is it late?"))
        await asyncio.sleep(1)

        assert sample("parlour_model_requests_in_flight") == 0
    assert trace.error is not None
    assert sample("parlour_turn_errors_total", code=trace.error.code) >= 1
