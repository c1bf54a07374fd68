"""What goes wrong is heard, told, and ends: on the memory bus, in virtual time."""

import asyncio

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmReply
from parlour_contracts.messages.room import RoomState
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import MUTED, Transcript
from parlour_contracts.topics import (
    LLM_CANCEL,
    LLM_REPLY,
    ROOM_STATE,
    SPEECH,
    TRANSCRIPT,
    TTS_CANCEL,
    TURN_TRACE,
)
from parlour_kit.ids import new_id
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import (
    Answer,
    ScriptedLlmWorker,
    ScriptedSttWorker,
    ScriptedTtsWorker,
)

from .conftest import MakeHouse

CONFIG = RouterConfig()
BROKEN = Answer(fails="LLM_BROKEN")
LONG = "The sun is a star, and it is very far away from us. It gives light to all the planets."


def squeeze(text: str) -> str:
    return "".join(text.split())


@pytest.mark.req("V047", "V039")
async def test_failures_in_a_row_climb_the_tiers_and_success_resets(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    llm = ScriptedLlmWorker(broker, BROKEN, BROKEN, BROKEN, BROKEN, "It works.", BROKEN)
    async with make_house(llm=llm) as h:
        traces = [await h.trace(await h.ask(f"Question {n}?")) for n in range(6)]

        tiers = [CONFIG.line_tier1, CONFIG.line_tier2, CONFIG.line_tier3, CONFIG.line_tier3]
        assert h.said() == [*tiers, "It works.", CONFIG.line_tier1]
        assert [t.outcome for t in traces] == [*["failed"] * 4, "replied", "failed"]
        assert [t.error.code if t.error else None for t in traces] == [
            *["LLM_BROKEN"] * 4, None, "LLM_BROKEN",
        ]  # fmt: skip
        assert traces[0].reply == CONFIG.line_tier1


async def test_a_failed_answer_brings_the_room_back_to_listening(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, BROKEN)) as h:
        await h.trace(await h.ask("Sun?"))
        await asyncio.sleep(10)

        assert h.states() == ["LISTENING", "THINKING", "LISTENING"]


async def test_a_failure_in_the_middle_is_told_after_what_was_said(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    words = Answer.of(LONG).deltas
    llm = ScriptedLlmWorker(broker, Answer(words[:8], fails="LLM_BROKEN", retryable=True))
    async with make_house(llm=llm) as h:
        trace = await h.trace(await h.ask("Sun?"))
        await asyncio.sleep(20)

        assert h.said() == ["The sun is a star,", CONFIG.line_tier1]
        assert (trace.outcome, trace.error and trace.error.code) == ("failed", "LLM_BROKEN")
        assert h.states() == ["LISTENING", "THINKING", "RESPONDING", "LISTENING"]
        assert len(h.llm.requests) == 1


async def test_a_retryable_failure_costs_another_attempt(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    stopping = Answer(fails="STOPPING", retryable=True)
    async with make_house(llm=ScriptedLlmWorker(broker, stopping, "It works.")) as h:
        trace = await h.trace(await h.ask("Sun?"))

        assert (trace.outcome, h.said()) == ("replied", ["It works."])
        assert [r.attempt for r in h.llm.requests] == [1, 2]
        assert h.llm.requests[0].request_id != h.llm.requests[1].request_id


@pytest.mark.req("V040")
async def test_thirty_seconds_without_a_sentence_are_enough(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer(hangs=True))) as h:
        start = asyncio.get_running_loop().time()
        trace = await h.trace(await h.ask("Sun?"))
        await asyncio.sleep(20)

        assert h.said() == [CONFIG.line_slow]
        assert 30 <= h.tts.spoken["kitchen"].at[0] - start < 31
        assert (trace.outcome, trace.error and trace.error.code) == ("failed", "LLM_TIMEOUT")
        assert h.llm.cancelled == [h.llm.requests[0].request_id]
        assert h.states() == ["LISTENING", "THINKING", "RESPONDING", "LISTENING"]


async def test_an_empty_answer_gets_a_line(broker: MemoryBroker, make_house: MakeHouse) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer(("  ",)))) as h:
        trace = await h.trace(await h.ask("Sun?"))

        assert h.said() == [CONFIG.line_slow]
        assert trace.error is not None
        assert trace.error.code == "LLM_EMPTY"


async def test_an_answer_that_stalls_ends_with_an_apology(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    words = Answer.of(LONG).deltas
    async with make_house(llm=ScriptedLlmWorker(broker, Answer(words[:8], hangs=True))) as h:
        trace = await h.trace(await h.ask("Sun?"))

        assert h.said() == ["The sun is a star,", CONFIG.line_tier1]
        assert trace.error is not None
        assert trace.error.code == "LLM_STALLED"


async def test_without_a_llm_worker_the_room_hears_so(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house() as h:
        await h.llm.kill()
        trace = await h.trace(await h.ask("Sun?"))

        assert h.said() == [CONFIG.line_tier1]
        assert trace.error is not None
        assert trace.error.code == "LLM_UNAVAILABLE"
        assert trace.timings.final_to_end_ms is not None
        assert trace.timings.final_to_end_ms < 12_000


async def test_a_worker_that_comes_back_takes_the_question(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house() as h:
        await h.llm.kill()
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(5)
        again = ScriptedLlmWorker(broker, "Here I am.")
        await again.start()
        trace = await h.trace(turn_id)
        await again.messenger.close()

        assert (trace.outcome, h.said()) == ("replied", ["Here I am."])


async def test_another_worker_answers_for_one_that_died(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer(hangs=True))) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(1)
        other = ScriptedLlmWorker(broker, "Here I am.", instance="llm-worker-2")
        await other.start()
        await h.llm.kill()
        trace = await h.trace(turn_id)
        await other.messenger.close()

        assert (trace.outcome, trace.reply) == ("replied", "Here I am.")
        assert trace.workers["llm"] == "llm-worker-2"
        assert trace.timings.final_to_end_ms is not None
        assert trace.timings.final_to_end_ms < 5000


async def test_another_worker_answers_for_one_that_hangs(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    hangs = ScriptedLlmWorker(broker, Answer(hangs=True), "Late.")
    async with make_house(llm=hangs) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(1)
        other = ScriptedLlmWorker(broker, "Here I am.", instance="llm-worker-2")
        await other.start()
        trace = await h.trace(turn_id)
        await other.messenger.close()

        assert trace.outcome == "replied"
        assert hangs.cancelled == [hangs.requests[0].request_id]


async def test_a_sentence_that_fails_is_skipped(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    tts = ScriptedTtsWorker(broker, faults=lambda text: text.startswith("It gives"))
    more = f"{LONG} And that is all that I know about the sun."
    async with make_house(llm=ScriptedLlmWorker(broker, more), tts=tts) as h:
        trace = await h.trace(await h.ask("Sun?"))

        assert h.said() == [
            "The sun is a star,", "and it is very far away from us.",
            "And that is all that I know about the sun.",
        ]  # fmt: skip
        assert (trace.outcome, trace.error and trace.error.code) == ("replied", "TTS_BROKEN")


async def test_an_answer_of_which_nothing_sounds_has_failed(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    tts = ScriptedTtsWorker(broker, faults=lambda text: text != CONFIG.line_tier1)
    async with make_house(llm=ScriptedLlmWorker(broker, LONG), tts=tts) as h:
        trace = await h.trace(await h.ask("Sun?"))

        assert h.said() == [CONFIG.line_tier1]
        assert (trace.outcome, trace.error and trace.error.code) == ("failed", "TTS_BROKEN")


async def test_a_voice_that_is_gone_ends_the_turn(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(tts=ScriptedTtsWorker(broker, mute=True)) as h:
        trace = await h.trace(await h.ask("Sun?"))
        await asyncio.sleep(30)

        assert (trace.outcome, trace.error and trace.error.code) == ("failed", "TTS_SILENT")
        assert h.states()[-1] == "LISTENING"
        assert len(h.traces(trace.turn_id)) == 1


async def test_another_voice_speaks_on_for_one_that_died(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(
        llm=ScriptedLlmWorker(broker, LONG), tts=ScriptedTtsWorker(broker, mute=True)
    ) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(2)
        await h.tts.kill()
        await asyncio.sleep(1)
        again = ScriptedTtsWorker(broker)
        await again.start()
        trace = await h.trace(turn_id)
        await again.messenger.close()

        assert trace.outcome == "replied"
        assert squeeze("".join(again.spoken["kitchen"].texts)) == squeeze(LONG)


async def test_what_was_said_while_no_voice_was_there_is_spoken_by_the_next(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        await h.tts.kill()
        await asyncio.sleep(1)
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(3)
        again = ScriptedTtsWorker(broker)
        await again.start()
        trace = await h.trace(turn_id)
        await again.messenger.close()

        assert trace.outcome == "replied"
        assert squeeze("".join(again.spoken["kitchen"].texts)) == squeeze(LONG)


@pytest.mark.req("V038")
async def test_an_empty_turn_is_asked_again(broker: MemoryBroker, make_house: MakeHouse) -> None:
    async with make_house(stt=ScriptedSttWorker(broker, None)) as h:
        trace = await h.trace(await h.open_turn())
        await asyncio.sleep(10)

        assert (trace.outcome, trace.error) == ("empty", None)
        assert h.said() == [CONFIG.line_empty]
        assert h.states() == ["LISTENING"]
        assert h.llm.requests == []


async def test_a_turn_that_was_not_understood_is_told(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house() as h:
        failed = Transcript(kind="failed", turn_id=new_id(), reason="the recogniser broke")
        for _ in range(2):
            await h.observer.messenger.send(TRANSCRIPT, failed, site="kitchen")
        trace = await h.trace(failed.turn_id)
        await asyncio.sleep(10)

        assert (trace.outcome, trace.error and trace.error.code) == ("failed", "STT_FAILED")
        assert h.said() == [CONFIG.line_tier1]
        assert len(h.traces(failed.turn_id)) == 1


async def test_a_muted_room_stays_silent_and_its_turn_ends(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house() as h:
        muted = Transcript(kind="failed", turn_id=new_id(), reason=MUTED)
        await h.observer.messenger.send(TRANSCRIPT, muted, site="kitchen")
        trace = await h.trace(muted.turn_id)
        await asyncio.sleep(10)

        assert trace.outcome == "cancelled"
        assert h.said() == []
        assert set(h.states()) <= {"LISTENING"}


async def test_a_turn_whose_listener_dies_has_failed(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(stt=ScriptedSttWorker(broker, "Sun?", final_s=None)) as h:
        turn_id = await h.open_turn()
        await asyncio.sleep(1)
        await h.stt.kill()
        trace = await h.trace(turn_id, within=10)

        assert (trace.outcome, trace.error and trace.error.code) == ("failed", "STT_LOST")
        assert trace.workers["stt"] == "stt-worker"


async def test_a_turn_that_another_worker_claims_goes_on(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(stt=ScriptedSttWorker(broker, "Sun?", final_s=None)) as h:
        turn_id = await h.open_turn()
        await asyncio.sleep(1)
        other = ScriptedSttWorker(broker, "Sun?", instance="stt-worker-2")
        await other.start()
        await h.stt.kill()
        await h.open_turn(attempt=2, turn_id=turn_id)
        trace = await h.trace(turn_id)
        await other.messenger.close()

        assert (trace.outcome, trace.workers["stt"]) == ("replied", "stt-worker-2")


async def test_a_transcript_that_comes_twice_is_answered_once(make_house: MakeHouse) -> None:
    async with make_house() as h:
        final = Transcript(kind="final", turn_id=new_id(), text="Is it late?", is_final=True)
        for wait in (0.1, 5.0, 0.1):
            await h.observer.messenger.send(TRANSCRIPT, final, site="kitchen")
            await asyncio.sleep(wait)
        await asyncio.sleep(10)

        assert len(h.llm.requests) == 1
        assert [t.outcome for t in h.traces(final.turn_id)] == ["replied"]


async def test_soft_and_partial_transcripts_wait_for_speculation(make_house: MakeHouse) -> None:
    async with make_house() as h:
        for kind in ("partial", "soft_final"):
            heard = Transcript.model_validate({"kind": kind, "turn_id": new_id(), "text": "What"})
            await h.observer.messenger.send(TRANSCRIPT, heard, site="kitchen")
        await asyncio.sleep(5)

        assert h.llm.requests == []


async def test_who_answers_a_forgotten_question_is_told_to_stop(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await h.observer.watch(LLM_CANCEL)
        stray = LlmReply(kind="claimed", request_id=new_id(), instance="llm-worker")
        for _ in range(2):
            await h.observer.messenger.send(LLM_REPLY, stray, instance="router")
        await asyncio.sleep(1)

        assert [c.request_id for c in h.observer.of(LLM_CANCEL)] == [stray.request_id]


async def test_a_broker_away_for_a_moment_costs_nothing(make_house: MakeHouse) -> None:
    async with make_house() as h:
        turn_id = await h.ask("Is it late?")
        await asyncio.sleep(0.05)
        h.broker.stop()
        await asyncio.sleep(2)
        h.broker.start()
        trace = await h.trace(turn_id)
        await asyncio.sleep(30)

        assert trace.outcome in ("replied", "failed")
        assert h.states()[-1] == "LISTENING"
        assert len(h.traces(turn_id)) == 1
        assert (await h.trace(await h.ask("And now?"))).outcome == "replied"


async def test_a_broker_that_forgot_the_state_is_told_again(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await h.trace(await h.ask("Is it late?"))
        await asyncio.sleep(10)
        h.broker.stop()
        h.broker.retained.clear()
        h.broker.start()
        await asyncio.sleep(1)

        assert ROOM_STATE.topic(site="kitchen") in h.broker.retained


async def test_cancelling_an_announcement_silences_it(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await h.observer.watch(TTS_CANCEL)
        await h.say(LONG)
        await asyncio.sleep(0.05)
        await h.cancel()
        await asyncio.sleep(20)

        assert len(h.observer.of(TTS_CANCEL)) == 1
        assert h.said() == []


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"{", b'{"text": 5}', b"", b"[]" * 40_000])
async def test_hostile_input_harms_nobody(payload: bytes, make_house: MakeHouse) -> None:
    topics = ("say", "ask", "transcript", "turn/claimed", "speech", "playback", "cancel")
    async with make_house() as h:
        for topic in topics:
            await h.observer.bus.publish(f"voice/kitchen/{topic}", payload, qos=1)
        await h.observer.bus.publish("llm/reply/router", payload, qos=1)
        await h.cancel()

        assert (await h.trace(await h.ask("Still there?"))).outcome == "replied"


@pytest.mark.req("D008")
async def test_no_word_of_a_conversation_is_logged(
    broker: MemoryBroker, make_house: MakeHouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    llm = ScriptedLlmWorker(broker, "The canary sings loudly.", BROKEN)
    async with make_house(stt=ScriptedSttWorker(broker, "Does the canary sing?"), llm=llm) as h:
        await h.trace(await h.open_turn())
        await h.say("A canary announces.")
        await h.trace(await h.ask("Where is the canary?"))

    assert "outcome" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("state", ["THINKING", "RESPONDING", "LISTENING"])
async def test_a_router_that_was_killed_leaves_no_room_behind(
    state: str, broker: MemoryBroker, make_house: MakeHouse
) -> None:
    left = RoomState.model_validate(
        {
            "session_id": new_id(), "status": "active", "state": state, "turn_id": new_id(),
            "since": "2026-01-01T00:00:00.000000Z",
        }
    )  # fmt: skip
    topic = ROOM_STATE.topic(site="kitchen")
    await broker.client("earlier").publish(topic, left.encode(), qos=1, retain=True)
    async with make_house() as h:
        await asyncio.sleep(1)

        now = RoomState.decode(broker.retained[topic].payload)
        assert (now.state, now.status, now.turn_id) == ("LISTENING", "idle", None)
        ended = [(t.turn_id, t.outcome) for t in h.observer.of(TURN_TRACE)]
        assert ended == ([(left.turn_id, "failed")] if state == "THINKING" else [])
        assert (await h.trace(await h.ask("Still there?"))).outcome == "replied"


async def test_a_voice_that_somebody_else_stops_ends_the_turn(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer.of(LONG, each_s=0.5))) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(4)
        utterance = h.tts.requests[0].utterance_id
        stopped = Speech(event="cancelled", utterance_id=utterance, instance="tts-worker", seq=0)
        await h.observer.messenger.send(SPEECH, stopped, site="kitchen")
        trace = await h.trace(turn_id, within=1)

        assert trace.outcome == "cancelled"
        assert h.llm.cancelled == [h.llm.requests[0].request_id]
