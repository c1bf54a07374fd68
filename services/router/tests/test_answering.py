"""Conversations on the memory bus, with workers that have timelines, in virtual time."""

import asyncio

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Playback
from parlour_contracts.topics import (
    PLAYBACK,
    ROOM_STATE,
    TURN_ABORT,
    TURN_COMMIT,
    TURN_LATENCY,
    TURN_TRACE,
)
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import (
    Answer,
    ScriptedLlmWorker,
    ScriptedSttWorker,
    ScriptedTtsWorker,
)

from .conftest import MakeHouse

LONG = (
    "The sun is a star, and it is very far away from us. "
    "It gives light to all the planets that move around it. "
    "Without it there would be no life here at all."
)
CONFIG = RouterConfig()


def squeeze(text: str) -> str:
    return "".join(text.split())


async def test_a_spoken_question_is_answered(broker: MemoryBroker, make_house: MakeHouse) -> None:
    async with make_house(
        stt=ScriptedSttWorker(broker, "What is the sun?"), llm=ScriptedLlmWorker(broker, LONG)
    ) as h:
        turn_id = await h.open_turn()
        trace = await h.trace(turn_id)

        assert trace.outcome == "replied"
        assert trace.transcript == "What is the sun?"
        assert trace.reply == LONG
        assert trace.error is None
        assert squeeze("".join(h.said())) == squeeze(LONG)
        assert trace.workers == {"stt": "stt-worker", "llm": "llm-worker", "tts": "tts-worker"}
        assert trace.timings.endpoint_wait_ms == 500
        assert trace.timings.transcribe_ms == 200
        assert trace.timings.final_to_first_token_ms == pytest.approx(200, abs=1)
        assert trace.timings.first_sentence_to_first_audio_ms == pytest.approx(100, abs=1)
        commits = h.observer.of(TURN_COMMIT)
        assert [c.turn_id for c in commits] == [turn_id]
        await asyncio.sleep(30)
        assert h.states() == ["LISTENING", "THINKING", "RESPONDING", "LISTENING"]
        assert len(h.traces(turn_id)) == 1


async def test_a_typed_question_is_answered(make_house: MakeHouse) -> None:
    async with make_house() as h:
        trace = await h.trace(await h.ask("Is it late?"))

        assert (trace.outcome, trace.reply, h.said()) == ("replied", "It is nine.", ["It is nine."])


async def test_how_long_a_turn_took_is_told_without_a_word_of_it(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await h.observer.watch(TURN_LATENCY)
        turn_id = await h.ask("Is the canary yellow?")
        trace = await h.trace(turn_id)
        await asyncio.sleep(0.1)
        (told,) = h.observer.of(TURN_LATENCY)

    assert (told.turn_id, told.outcome, told.timings) == (turn_id, "replied", trace.timings)
    assert b"canary" not in told.encode()
    assert set(type(told).model_fields) == {"v", "turn_id", "outcome", "timings"}


async def test_sentences_are_numbered_and_the_last_one_closes(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        await h.trace(await h.ask("Sun?"))

        requests = h.tts.requests
        assert [r.seq for r in requests] == list(range(len(requests)))
        assert [r.last for r in requests] == [False] * (len(requests) - 1) + [True]
        assert len({r.utterance_id for r in requests}) == 1
        assert len(requests) >= 4


@pytest.mark.req("F38")
async def test_the_first_sound_comes_before_the_last_token(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer.of(LONG, each_s=0.2))) as h:
        await h.trace(await h.ask("Sun?"))

        (tokens,) = h.llm.sent.values()
        assert h.tts.spoken["kitchen"].at[0] < tokens[-1] - 3


async def test_without_streaming_the_whole_answer_is_one_sentence(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    config = RouterConfig(router_llm_tts_stream=False)
    async with make_house(llm=ScriptedLlmWorker(broker, LONG), config=config) as h:
        await h.trace(await h.ask("Sun?"))

        assert h.said() == [LONG]


@pytest.mark.req("F22")
async def test_the_second_question_sees_both_sides_of_the_first(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, "Paris, of course.", "Two million.")) as h:
        first = await h.trace(await h.ask("Capital of France?"))
        second = await h.trace(await h.ask("How many people live there?"))

        assert [(m.role, m.content) for m in h.llm.requests[1].messages] == [
            ("system", CONFIG.system_prompt),
            ("user", "Capital of France?"),
            ("assistant", "Paris, of course."),
            ("user", "How many people live there?"),
        ]
        assert first.session_id == second.session_id


async def test_say_waits_behind_a_running_reply(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(0.5)
        await h.say("Dinner is ready.")
        trace = await h.trace(turn_id)
        assert "Dinner is ready." not in h.said()
        await asyncio.sleep(30)

        assert trace.outcome == "replied"
        assert h.said()[-1] == "Dinner is ready."
        assert h.states() == ["LISTENING", "THINKING", "RESPONDING", "LISTENING"]


@pytest.mark.req("F26")
async def test_an_announcement_makes_no_turn(make_house: MakeHouse) -> None:
    async with make_house() as h:
        await h.say("Dinner is ready.")
        await asyncio.sleep(20)

        assert h.said() == ["Dinner is ready."]
        assert h.states() == ["LISTENING"]
        assert h.observer.of(TURN_TRACE) == []
        assert h.observer.of(ROOM_STATE)[-1].status == "idle"


async def test_a_question_asked_during_a_reply_waits(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG, "Second answer.")) as h:
        first = await h.ask("Sun?")
        second = await h.ask("Moon?")

        assert (await h.trace(first)).outcome == "replied"
        assert (await h.trace(second)).reply == "Second answer."


async def test_cancel_stops_model_and_voice(broker: MemoryBroker, make_house: MakeHouse) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer.of(LONG, each_s=0.3))) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(3.0)
        await h.cancel()
        trace = await h.trace(turn_id)
        said = len(h.said())
        await asyncio.sleep(30)

        assert trace.outcome == "cancelled"
        assert h.llm.cancelled == [h.llm.requests[0].request_id]
        assert h.tts.cancelled == [trace.utterance_id]
        assert [a.turn_id for a in h.observer.of(TURN_ABORT)] == [turn_id]
        assert len(h.said()) <= said
        assert h.states() == ["LISTENING", "THINKING", "RESPONDING", "INTERRUPTED", "LISTENING"]
        assert len(h.traces(turn_id)) == 1


async def test_cancel_before_the_first_sentence(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer.of(LONG, first_s=5))) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(1.0)
        await h.cancel()
        await asyncio.sleep(30)

        assert [t.outcome for t in h.traces(turn_id)] == ["cancelled"]
        assert h.said() == []
        assert h.states() == ["LISTENING", "THINKING", "LISTENING"]


async def test_cancel_ends_the_questions_that_wait(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        turns = [await h.ask(f"Question {n}?") for n in range(3)]
        await asyncio.sleep(0.1)
        await h.cancel()
        await asyncio.sleep(30)

        assert [[t.outcome for t in h.traces(i)] for i in turns] == [["cancelled"]] * 3
        assert len(h.llm.requests) == 1


async def test_who_speaks_during_a_reply_is_answered_next(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    stt = ScriptedSttWorker(broker, "What is the sun?", "Stop, what is the moon?")
    async with make_house(
        stt=stt, llm=ScriptedLlmWorker(broker, Answer.of(LONG, each_s=0.3), "A rock.")
    ) as h:
        first = await h.open_turn()
        await asyncio.sleep(4.0)
        second = await h.open_turn()
        trace = await h.trace(second)
        await asyncio.sleep(30)

        assert [t.outcome for t in h.traces(first)] == ["cancelled"]
        assert (trace.outcome, trace.reply) == ("replied", "A rock.")
        assert h.said()[-1] == "A rock."
        cut = h.llm.requests[1].messages[2]
        assert cut.role == "assistant"
        assert squeeze(LONG).startswith(squeeze(cut.content))


async def test_noise_during_a_reply_does_not_stop_it(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(
        stt=ScriptedSttWorker(broker, None), llm=ScriptedLlmWorker(broker, LONG)
    ) as h:
        first = await h.ask("Sun?")
        noise = await h.open_turn()

        assert (await h.trace(first)).outcome == "replied"
        assert (await h.trace(noise)).outcome == "empty"
        assert h.said()[-1] == CONFIG.line_empty


async def test_two_rooms_do_not_mix(broker: MemoryBroker, make_house: MakeHouse) -> None:
    def answer(request: object) -> Answer:
        question = request.messages[-1].content  # type: ignore[attr-defined]
        return Answer.of(f"You asked about {question} and that is a very good question. Indeed.")

    async with make_house(llm=ScriptedLlmWorker(broker, answer)) as h:
        turns = {s: await h.ask(s.upper(), site=s) for s in ("kitchen", "attic")}
        traces = {s: await h.trace(t) for s, t in turns.items()}

        for site, trace in traces.items():
            assert f"about {site.upper()} " in trace.reply
            assert squeeze("".join(h.said(site))) == squeeze(trace.reply)
        assert traces["kitchen"].session_id != traces["attic"].session_id


async def test_the_room_listens_when_its_loudspeaker_is_done(make_house: MakeHouse) -> None:
    async with make_house() as h:
        turn_id = await h.ask("Is it late?")
        trace = await h.trace(turn_id)
        assert trace.utterance_id is not None
        await asyncio.sleep(0.1)
        for event, wait in (("started", 3.0), ("finished", 0.1)):
            report = Playback(utterance_id=trace.utterance_id, event=event)  # type: ignore[arg-type]
            await h.observer.messenger.send(PLAYBACK, report, site="kitchen")
            await asyncio.sleep(0.1)
            assert h.states()[-1] == ("RESPONDING" if event == "started" else "LISTENING")
            await asyncio.sleep(wait)


async def test_a_session_ends_when_nobody_speaks(make_house: MakeHouse) -> None:
    async with make_house() as h:
        first = await h.trace(await h.ask("One?"))
        await asyncio.sleep(1800 + 301)
        assert h.observer.of(ROOM_STATE)[-1].state == "ENDED"
        second = await h.trace(await h.ask("Two?"))

        assert first.session_id != second.session_id
        assert [m.role for m in h.llm.requests[1].messages] == ["system", "user"]


async def test_stopping_the_router_ends_the_running_turn(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer.of(LONG, each_s=1))) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(2)
    await asyncio.sleep(0.1)

    assert [t.outcome for t in h.traces(turn_id)] == ["cancelled"]


async def test_one_request_for_one_turn(broker: MemoryBroker, make_house: MakeHouse) -> None:
    async with make_house(stt=ScriptedSttWorker(broker, "Is it late?")) as h:
        trace = await h.trace(await h.open_turn())

        (request,) = h.llm.requests
        assert request.reply_topic == "llm/reply/router"
        assert (request.session_id, request.turn_id) == (trace.session_id, trace.turn_id)


@pytest.mark.parametrize("text", ["3.14 is pi. " * 3, "Yes.", "a" * 3000, "One, two; three: four."])
async def test_what_is_spoken_is_what_the_model_wrote(
    text: str, broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(
        llm=ScriptedLlmWorker(broker, text), tts=ScriptedTtsWorker(broker, char_s=0.001)
    ) as h:
        await h.trace(await h.ask("Sun?"))

        assert squeeze("".join(h.said())) == squeeze(text)
