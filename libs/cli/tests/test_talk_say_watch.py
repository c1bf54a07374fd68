"""Announcements, the fleet's own voice, and watching a room."""

import asyncio
import json

import pytest
from parlour_cli.talk.errors import SilenceError
from parlour_cli.talk.saying import Announcement, SpeechFailedError, say
from parlour_cli.talk.voicing import voice
from parlour_cli.talk.watching import TOPICS, Watcher
from parlour_cli.talk.watching_shell import watch_rooms
from parlour_contracts.acl import person_rules
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.room import Ask, RoomState, Say, TurnTimings, TurnTrace
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import SttTimings, Transcript
from parlour_contracts.topics import ASK, SPEECH
from parlour_kit.clock import LoopClock
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger
from parlour_testkit.scripted_fleet import ScriptedFleet

TURN, SESSION = new_id(), new_id()


def person(broker):
    return Messenger(broker.client("person"), "person", LoopClock())


def speech(event, utterance, turn=None, **more):
    return Speech(event=event, utterance_id=utterance, turn_id=turn, instance="tts-worker", seq=0,
                  **more)  # fmt: skip


async def test_what_is_said_is_followed_to_its_end(broker):
    fleet = await ScriptedFleet(broker).start()
    messenger, told = person(broker), []
    found = await say(messenger, "kitchen", Say(text="Dinner is ready."), told.append)

    assert told == ["Dinner is ready."]
    assert found.duration_ms == 500
    await messenger.close()
    await fleet.stop()


async def test_a_room_that_stays_silent_is_an_error(broker):
    messenger = person(broker)
    with pytest.raises(SilenceError):
        await say(messenger, "kitchen", Say(text="Dinner."), lambda _: None)


async def test_an_announcement_that_fails_says_why(broker):
    messenger, other = person(broker), person(broker)

    async def fail():
        await asyncio.sleep(1)
        error = WireError(code="VOICE_BROKEN", message="the voice is broken", hint="mend it")
        await other.send(SPEECH, speech("failed", new_id(), error=error), site="kitchen")

    task = asyncio.create_task(fail())
    with pytest.raises(SpeechFailedError, match="the voice is broken") as caught:
        await say(messenger, "kitchen", Say(text="Dinner."), lambda _: None)
    await task

    assert (caught.value.code, caught.value.hint) == ("VOICE_BROKEN", "mend it")


def test_a_reply_that_is_running_is_not_taken_for_the_announcement():
    it, reply, own = Announcement(), new_id(), new_id()
    for event in ("started", "sentence", "completed"):
        it.see(speech(event, reply, TURN, text="It is noon."))
    assert it.utterance_id is None
    assert it.see(speech("started", own, text="Dinner.")) == "Dinner."
    it.see(speech("completed", new_id()))
    assert not it.over
    it.see(speech("completed", own))

    assert it.over


async def test_a_text_can_be_had_in_the_fleets_voice(broker):
    fleet = await ScriptedFleet(broker).start()
    messenger = person(broker)
    sound, rate = await voice(messenger, "demo-voice", "What is the time?")

    assert (len(sound), rate) == (8000, 16_000)
    await messenger.close()
    await fleet.stop()


def health(status, *, ready=True, err=None):
    return Health(
        service="llm-worker", instance="llm-worker", status=status, ok=ready, ready=ready,
        version="0.1.0", boot=new_id(), conn=1, seq=1, interval_s=5.0, event="heartbeat",
        issued_at="2026-01-01T00:00:00.000000Z", err=err,
    )  # fmt: skip


def test_each_event_is_a_line_and_what_is_no_news_is_none():
    watcher, site = Watcher(), {"site": "kitchen"}
    state = RoomState(status="active", state="THINKING", since="2026-01-01T00:00:00.000000Z")
    final = Transcript(kind="final", turn_id=TURN, text="what's the time",
                       timings=SttTimings(endpoint_wait_ms=500, transcribe_ms=220))  # fmt: skip
    trace = TurnTrace(turn_id=TURN, session_id=SESSION, outcome="replied",
                      timings=TurnTimings(transcribe_ms=220, final_to_first_token_ms=90))  # fmt: skip
    error = WireError(code="MODEL_MISSING", message="no model", hint="parlour models pull")

    assert watcher.line(final, site) == (
        "heard: what's the time  [end of speech seen after 500 ms, recognised in 220 ms]"
    )
    assert [watcher.line(state, site) for _ in range(2)] == ["is thinking", None]
    assert watcher.line(state, {"site": "office"}) == "is thinking"
    assert watcher.line(speech("started", new_id(), text="Noon."), site) == "says: Noon."
    assert watcher.line(trace, site) == "turn replied: transcribed 220 ms, first token 90 ms"
    assert watcher.line(health("healthy"), {}) == "healthy"
    assert watcher.line(health("healthy"), {}) is None
    assert watcher.line(health("unhealthy", ready=False, err=error), {}) == (
        "unhealthy, not ready: no model [MODEL_MISSING] (parlour models pull)"
    )
    assert watcher.line(health("offline", ready=False), {}) == "offline"


def test_a_person_may_read_all_that_is_watched_and_takes_no_work_away():
    readable = {topic for verb, topic in person_rules() if "read" in verb}

    for topic in TOPICS:
        assert topic.shared is None
        assert topic.filter() in readable


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_conversation_is_printed_as_it_happens(broker, capsys, as_json):
    fleet = await ScriptedFleet(broker, waits=False).start()
    messenger = person(broker)
    task = asyncio.create_task(watch_rooms(messenger, "kitchen", as_json=as_json))
    await asyncio.sleep(0.1)
    await messenger.send(ASK, Ask(text="What is the time?", turn_id=TURN), site="kitchen")
    await messenger.send(ASK, Ask(text="What is the time?"), site="office")
    await asyncio.sleep(5)
    task.cancel()
    lines = capsys.readouterr().out.splitlines()

    assert any("It is sunny." in line for line in lines)
    assert not any("office" in line for line in lines)
    if as_json:
        events = [json.loads(line) for line in lines]
        assert {"at", "topic", "message"} <= events[0].keys()
        assert [e["topic"] for e in events][-1] == "turn_trace"
    else:
        assert "turn replied: first token 120 ms" in lines[-1]
    await messenger.close()
    await fleet.stop()
