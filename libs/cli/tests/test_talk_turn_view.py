"""What a turn looks like from outside."""

import pytest
from parlour_cli.talk.turn_view import Note, TurnView
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.room import RoomState, TurnTrace
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import Transcript
from parlour_kit.ids import new_id

TURN, SESSION, UTTERANCE = new_id(), new_id(), new_id()


def transcript(kind="final", text="what's the time", turn=TURN, attempt=1, **more):
    return Transcript(kind=kind, turn_id=turn, text=text, attempt=attempt, **more)


def speech(event, seq=0, text="", utterance=UTTERANCE, turn=TURN, **more):
    return Speech(event=event, utterance_id=utterance, turn_id=turn, instance="tts-worker",
                  seq=seq, text=text, **more)  # fmt: skip


def trace(outcome="replied", **more):
    return TurnTrace(turn_id=TURN, session_id=SESSION, outcome=outcome, **more)


def state(kind="THINKING", turn=TURN):
    return RoomState(session_id=SESSION, status="active", state=kind, turn_id=turn,
                     since="2026-01-01T00:00:00.000000Z")  # fmt: skip


def test_a_turn_is_told_from_its_messages():
    view = TurnView(TURN)
    notes = [
        view.see(m, float(n))
        for n, m in enumerate(
            [
                transcript("partial", "what's"), transcript(), state(),
                speech("started", 0, "It is noon."), speech("started", 1, "Time to eat."),
                speech("sentence", 1, "Time to eat."), speech("sentence", 0, "It is noon."),
                speech("completed", 1), trace(),
            ]
        )
    ]  # fmt: skip

    assert [n for found in notes for n in found] == [
        Note("partial", "what's"), Note("heard", "what's the time"), Note("thinking"),
        Note("sentence", "It is noon."), Note("sentence", "Time to eat."),
    ]  # fmt: skip
    assert (view.transcript, view.reply) == ("what's the time", "It is noon. Time to eat.")
    assert (view.session_id, view.final_at, view.trace_at) == (SESSION, 1.0, 8.0)
    assert view.error(audible=True) is None


def test_what_belongs_to_another_turn_changes_nothing():
    view, other = TurnView(TURN), new_id()
    for message in (transcript(turn=other), speech("sentence", 0, "No.", turn=other),
                    state(turn=other), speech("sentence", 0, "No.", turn=None)):  # fmt: skip
        assert view.see(message, 1.0) == []

    assert (view.transcript, view.reply, view.session_id) == ("", "", None)
    assert view.last_news_at is None


def test_a_failure_of_an_attempt_that_was_given_up_is_no_news():
    view = TurnView(TURN, attempt=2)
    view.see(transcript("failed", "", attempt=1), 1.0)
    assert view.heard is None
    view.see(transcript(attempt=1), 2.0)

    assert view.transcript == "what's the time"


def test_only_the_first_end_of_hearing_counts():
    view = TurnView(TURN)
    view.see(transcript(), 1.0)
    view.see(transcript("failed", ""), 2.0)
    view.see(transcript(text="something else"), 3.0)

    assert (view.transcript, view.final_at) == ("what's the time", 1.0)


def test_a_sentence_told_twice_is_in_the_reply_once():
    view = TurnView(TURN)
    for _ in range(2):
        view.see(speech("sentence", 0, "It is noon."), 1.0)

    assert view.reply == "It is noon."


FAILURE = WireError(code="LLM_FAILED", message="the model failed", hint="restart it")


@pytest.mark.parametrize(
    ("messages", "audible", "code"),
    [
        ([trace("empty")], True, "EMPTY"),
        ([transcript("empty", "")], True, "EMPTY"),
        ([transcript("failed", "", reason="no model")], False, "HEARING_FAILED"),
        ([transcript()], True, "TURN_UNFINISHED"),
        ([], False, "TURN_UNFINISHED"),
        ([trace("cancelled")], True, "CANCELLED"),
        ([trace("failed", error=FAILURE)], True, "LLM_FAILED"),
        ([trace("failed")], True, "REPLY_FAILED"),
        ([trace("replied", sentences=1)], False, "SILENT_REPLY"),
        ([speech("failed", error=FAILURE), trace("replied")], False, "LLM_FAILED"),
    ],
)
def test_whatever_is_no_answered_question_has_a_code(messages, audible, code):
    view = TurnView(TURN)
    for message in messages:
        view.see(message, 1.0)
    error = view.error(audible=audible)

    assert error is not None
    assert error.code == code
    assert error.message


def test_who_only_wanted_silence_has_been_answered():
    view = TurnView(TURN)
    for message in (transcript(text="Stop."), trace("replied", transcript="Stop.")):
        view.see(message, 1.0)

    assert view.error(audible=False) is None
