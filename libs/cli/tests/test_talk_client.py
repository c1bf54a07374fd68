"""A question asked of a scripted fleet on the memory bus, in virtual time."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from parlour_cli.talk.client import Conversation
from parlour_cli.talk.errors import NotClaimedError, SilenceError
from parlour_cli.talk.recording import Recording
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.turn import AudioFormat
from parlour_kit.clock import LoopClock
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger
from parlour_testkit.scripted_fleet import ScriptedFleet

SPOKEN, SILENT = b"\x01\x10" * 320, bytes(640)


def recording(spoken=50, silent=10):
    return Recording(AudioFormat(), (SPOKEN,) * spoken + (SILENT,) * silent, SILENT, spoken - 1)


@asynccontextmanager
async def conversation(broker, **script):
    fleet = await ScriptedFleet(broker, **script).start()
    messenger = Messenger(broker.client("cli"), "cli", LoopClock())
    notes, chunks = [], []
    it = Conversation(messenger, "cli", show=notes.append, hear=chunks.append)
    it.notes, it.chunks = notes, chunks
    try:
        yield it, fleet
    finally:
        await messenger.close()
        await fleet.stop()


async def test_a_recorded_question_is_answered(broker):
    async with conversation(broker) as (it, fleet):
        outcome = await it.ask_aloud(recording())

    assert outcome.error is None
    assert outcome.transcript == "what's the weather"
    assert outcome.reply == "It is sunny. Take no umbrella."
    assert outcome.turn_id == it.turn_id
    assert outcome.session_id is not None
    assert (len(outcome.sound), outcome.rate) == (16_000, 16_000)
    assert np.all(outcome.sound == 8000)
    assert [n.kind for n in it.notes] == ["heard", "thinking", "sentence", "sentence"]
    assert sum(len(c.samples) for c in it.chunks) == 16_000
    opened = fleet.opens[0]
    assert (opened.client_type, opened.attempt, opened.format) == ("cli", 1, AudioFormat())


async def test_the_times_are_those_of_the_senders_clock(broker):
    async with conversation(broker, think_s=0.4) as (it, _):
        outcome = await it.ask_aloud(recording())
    timings = outcome.timings

    # 25 silent frames of 20 ms after the last one with speech.
    assert timings.speech_end_to_final_ms == pytest.approx(500, abs=30)
    assert timings.final_to_first_token_ms == 240
    assert timings.first_token_to_first_sentence_ms == 160
    assert timings.first_sentence_to_first_audio_ms == pytest.approx(0, abs=1)
    assert timings.speech_end_to_first_audio_ms == pytest.approx(900, abs=30)


async def test_frames_go_out_in_real_time_in_the_recordings_format_and_never_end(broker):
    async with conversation(broker) as (it, fleet):
        begin = asyncio.get_running_loop().time()
        task = asyncio.create_task(it.ask_aloud(recording()))
        await asyncio.sleep(0.5)
        sent = len(fleet.heard[1])
        outcome = await task
        lasted = asyncio.get_running_loop().time() - begin

    assert sent in (24, 25)
    properties = [p for _, p in fleet.heard[1]]
    assert [p["seq"] for p in properties] == [str(n) for n in range(75)]
    assert {(p["rate"], p["channels"], p["encoding"], p["end"]) for p in properties} == {
        ("16000", "1", "pcm", "0")
    }
    assert outcome.error is None
    # 1.5 s until the end is found, 0.2 s of thought, 1 s of sound.
    assert lasted == pytest.approx(2.7, abs=0.3)


async def test_the_loudspeaker_tells_what_it_plays(broker):
    async with conversation(broker, tone_s=0.8) as (it, fleet):
        await it.ask_aloud(recording())

    told = [(p.event, round(p.played_ms)) for p in fleet.playback]
    assert told[0] == ("started", 0)
    assert told[-1] == ("finished", 1600)
    assert [e for e, _ in told[1:-1]] == ["position"] * 3
    assert len({p.utterance_id for p in fleet.playback}) == 1


async def test_frames_out_of_order_sound_in_order(broker):
    async with conversation(broker, order=(5, 0, 1, 4, 3, 2, 9, 8, 7, 6)) as (it, _):
        outcome = await it.ask_aloud(recording())

    assert outcome.error is None
    assert len(outcome.sound) == 16_000


async def test_nobody_who_listens_is_a_clear_error(broker):
    async with conversation(broker, claims=0) as (it, fleet):
        await fleet.health("stt-worker", ready=False)
        with pytest.raises(NotClaimedError, match="stt-worker is not running") as caught:
            await it.ask_aloud(recording())
        outcome = it.outcome(caught.value)

    assert [o.attempt for o in fleet.opens] == [1, 2, 3, 4, 5]
    assert outcome.error is not None
    assert outcome.error.code == "NOT_CLAIMED"


async def test_when_the_listener_is_started_anew_the_next_one_hears_everything(broker):
    async with conversation(broker) as (it, fleet):
        task = asyncio.create_task(it.ask_aloud(recording()))
        await asyncio.sleep(0.7)
        await fleet.health("stt-worker", boot=new_id())
        outcome = await task

    assert outcome.error is None
    assert [o.attempt for o in fleet.opens] == [1, 2]
    assert len({o.turn_id for o in fleet.opens}) == 1
    again = fleet.heard[2]
    assert [p["seq"] for _, p in again] == [str(n) for n in range(len(again))]
    assert b"".join(p for p, _ in again).startswith(SPOKEN * 50 + SILENT * 10)
    # The speech ended when it was first sent, and the second listener caught up meanwhile.
    assert outcome.timings.speech_end_to_final_ms == pytest.approx(500, abs=60)


async def test_a_broken_connection_loses_no_frame_of_the_question(broker):
    async with conversation(broker) as (it, fleet):
        task = asyncio.create_task(it.ask_aloud(recording()))
        await asyncio.sleep(0.3)
        bus = next(b for b in broker.clients if b.name == "cli")
        bus.lose()
        await asyncio.sleep(0.2)
        bus.regain()
        outcome = await task

    assert outcome.error is None
    assert b"".join(p for p, _ in fleet.heard[1]).startswith(SPOKEN * 50)


async def test_a_written_question_is_answered_without_an_end_of_speech(broker):
    async with conversation(broker) as (it, fleet):
        outcome = await it.ask_typed("What is the weather?")

    assert fleet.opens == []
    assert outcome.error is None
    assert outcome.transcript == "what's the weather"
    assert outcome.timings.speech_end_to_final_ms is None
    assert outcome.timings.speech_end_to_first_audio_ms is None
    assert outcome.timings.first_sentence_to_first_audio_ms == pytest.approx(0, abs=5)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"kind": "empty", "outcome": "empty", "sentences": ("I didn't catch that.",)}, "EMPTY"),
        ({"outcome": "failed", "error": WireError(code="LLM_AWAY", message="gone")}, "LLM_AWAY"),
        ({"tone_s": 0.0}, "SILENT_REPLY"),
        ({"outcome": "cancelled"}, "CANCELLED"),
    ],
)
async def test_a_fallback_line_is_spoken_but_is_no_answer(broker, script, code):
    async with conversation(broker, **script) as (it, _):
        outcome = await it.ask_aloud(recording())

    assert outcome.error is not None
    assert outcome.error.code == code


async def test_a_fleet_without_a_router_is_told_and_not_waited_for(broker):
    async with conversation(broker, think_s=1000.0) as (it, fleet):
        await fleet.health("router", ready=False)
        with pytest.raises(SilenceError, match="router is not running") as caught:
            await it.ask_aloud(recording())

    assert caught.value.code == "NO_ROUTER"


async def test_a_fleet_that_falls_silent_is_given_up(broker):
    async with conversation(broker, think_s=1000.0) as (it, _):
        with pytest.raises(SilenceError) as caught:
            await it.ask_aloud(recording())
        outcome = it.outcome(caught.value)

    assert outcome.transcript == "what's the weather"
    assert outcome.error is not None
    assert outcome.error.code == "NO_ANSWER"


async def test_a_listener_that_never_finds_an_end_is_given_up(broker):
    async with conversation(broker, silence_frames=10_000) as (it, _):
        with pytest.raises(SilenceError) as caught:
            await it.ask_aloud(recording())

    assert caught.value.code == "NO_TRANSCRIPT"


async def test_a_turn_whose_end_is_told_early_is_still_heard_to_its_end(broker):
    async with conversation(broker, waits=False, tone_s=2.0) as (it, fleet):
        begin = asyncio.get_running_loop().time()
        outcome = await it.ask_typed("What is the weather?")
        lasted = asyncio.get_running_loop().time() - begin

    assert outcome.error is None
    assert lasted >= 4.2
    assert fleet.playback[-1].event == "finished"
