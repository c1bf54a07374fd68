"""What a room answers by itself: no language model is asked, and every turn has its one end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmRequest
from parlour_contracts.messages.room import Say
from parlour_contracts.messages.turn import TurnAbort, TurnCommit
from router.commands import RULES

from .household import Household

LONG = (
    "The sun is a star, and it is very far away from us here. "
    "It gives light to all the planets that move around it. "
    "Without it there would be no life here at all."
)
ZONE = RouterConfig(time_zone="Europe/Berlin")


def answered(home: Household, question: str = "Sun?", text: str = LONG) -> None:
    """A turn that the language model answers, heard to its end."""
    before = len(home.sentences)
    home.ask(question)
    home.answer(text)
    home.hear_out(before)


@pytest.mark.req("R006")
@pytest.mark.parametrize(
    ("utterance", "answer"),
    [
        ("What time is it?", "It's 3:05 PM."),
        ("What's the date?", "Today is Tuesday, November 24, 2026."),
        ("Good morning!", "Good morning! What can I do for you?"),
        ("Good night.", "Good night."),
        ("Hello!", "Hello! What can I do for you?"),
        ("Thank you.", "You're welcome."),
        ("Say dinner is ready, all of you.", "dinner is ready, all of you."),
        ("Repeat after me: it's late", "it's late"),
        ("What did you say?", "There is nothing to repeat."),
        ("Set the volume to fifty.", "Volume 50 percent."),
        ("What timers are there?", "There is no timer."),
        ("Set a pasta timer for 65 minutes.", "A pasta timer is set for 1 hour and 5 minutes."),
    ],
)
def test_a_command_is_answered_without_a_language_model(utterance: str, answer: str) -> None:
    home = Household(ZONE)

    assert home.command(utterance) == answer
    assert home.of(LlmRequest) == []
    assert [(t.outcome, t.reply, t.error) for t in home.traces] == [("replied", answer, None)]
    assert home.traces[0].transcript == utterance
    assert [(c.turn_id, c.reason) for c in home.of(TurnCommit)] == [
        (home.traces[0].turn_id, "final")
    ]
    assert len(home.commands) == 1
    times = home.traces[0].timings
    assert (times.final_to_first_token_ms, times.first_token_to_first_sentence_ms) == (0, 0)


def test_a_command_goes_through_the_states_of_every_turn() -> None:
    home = Household()
    home.command("What time is it?")

    assert [(s.before, s.after) for s in home.steps] == [
        ("INITIALIZING", "LISTENING"), ("LISTENING", "THINKING"), ("THINKING", "RESPONDING"),
        ("RESPONDING", "LISTENING"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hour", "answer"),
    [(0, "It's 12:30 AM."), (9, "It's 9:30 AM."), (12, "It's 12:30 PM."), (23, "It's 11:30 PM.")],
)
def test_the_time_is_told_on_a_clock_of_twelve_hours(hour: int, answer: str) -> None:
    home = Household(RouterConfig(time_zone="UTC"))
    home.begin = home.begin.replace(hour=hour, minute=30)

    assert home.command("What time is it?") == answer


def test_a_full_hour_has_no_minutes() -> None:
    home = Household(RouterConfig(time_zone="UTC"))
    home.begin = home.begin.replace(hour=15, minute=0)

    assert home.command("What time is it?") == "It's 3 PM."


@pytest.mark.req("F21")
def test_whatever_is_no_command_is_for_the_model() -> None:
    home = Household()
    for question in ("What do you know?", "Where does the bus stop?", "What time is it in Tokyo?"):
        home.ask(question)
        home.take(home.room.cancel("person"))

    assert len(home.of(LlmRequest)) == 3
    assert home.commands == []


# Stop


def test_stop_is_answered_by_silence() -> None:
    home = Household()
    answered(home)
    before = len(home.sentences)
    home.hear("Stop.")
    home.wait(60)

    assert len(home.sentences) == before
    assert [(t.outcome, t.reply) for t in home.traces] == [("replied", LONG), ("replied", "")]
    assert home.state.state == "LISTENING"
    assert home.room.current is None


def test_stop_silences_a_running_reply() -> None:
    home = Household()
    first = home.ask("Sun?")
    home.answer(LONG)
    home.speech(home.sentences[0])
    home.hear("Stop!")
    home.wait(60)

    assert {t.turn_id: t.outcome for t in home.traces}[first] == "cancelled"
    assert len(home.traces) == 2
    assert home.cancels
    assert [(s.before, s.after) for s in home.steps][-4:] == [
        ("RESPONDING", "INTERRUPTED"), ("INTERRUPTED", "LISTENING"), ("LISTENING", "THINKING"),
        ("THINKING", "LISTENING"),
    ]  # fmt: skip


def test_a_stop_that_is_typed_does_not_wait_behind_the_reply() -> None:
    home = Household()
    first = home.ask("Sun?")
    home.answer(LONG)
    waits = home.ask("Moon?")
    home.take(home.room.say(Say(text="Dinner is ready.")))
    home.ask("never mind")
    home.wait(60)

    outcomes = {t.turn_id: t.outcome for t in home.traces}
    assert (outcomes[first], outcomes[waits]) == ("cancelled", "cancelled")
    assert "Dinner is ready." not in [r.text for r in home.sentences]


# Repeat and what is remembered


def test_the_last_answer_is_said_again() -> None:
    home = Household()
    answered(home)

    assert home.command("Say that again.") == LONG
    assert home.command("What did you say?") == LONG
    assert len(home.of(LlmRequest)) == 1


def test_an_answer_that_was_cut_is_repeated_as_a_whole() -> None:
    home = Household()
    home.ask("Sun?")
    home.answer(LONG)
    home.speech(home.sentences[0])
    home.take(home.room.cancel("person"))

    assert home.command("Repeat that.") == LONG


def test_the_time_that_was_told_is_what_is_repeated() -> None:
    home = Household(ZONE)
    home.command("What time is it?")
    home.command("Louder.")

    assert home.command("Repeat.") == "It's 3:05 PM."


@pytest.mark.req("R006")
def test_the_model_learns_of_answers_but_not_of_volume_repeats_and_stops() -> None:
    home = Household(ZONE)
    home.command("What time is it?")
    for aside in ("Louder.", "Repeat that.", "Stop.", "Set the volume to 30."):
        home.command(aside)
    home.ask("And now?")

    assert [(m.role, m.content) for m in home.requests[0].messages[1:]] == [
        ("user", "What time is it?"), ("assistant", "It's 3:05 PM."), ("user", "And now?"),
    ]  # fmt: skip


def test_nothing_of_an_ended_session_is_repeated() -> None:
    home = Household()
    answered(home)
    home.wait(2000)
    home.take(home.room.sweep())

    assert home.command("Say that again.") == "There is nothing to repeat."


# Volume


def test_a_room_is_spoken_to_as_loud_as_it_wants() -> None:
    home = Household()
    answered(home)
    assert {r.volume for r in home.sentences} == {None}

    assert home.command("Louder.") == "Volume 120 percent."
    answered(home)
    assert home.sentences[-1].volume == 120
    home.take(home.room.say(Say(text="Dinner is ready.")))
    assert home.sentences[-1].volume == 120
    home.hear_out(len(home.sentences) - 1)
    home.take(home.room.say(Say(text="Dinner is ready.", volume=10)))
    assert home.sentences[-1].volume == 10


def test_the_volume_stays_within_its_bounds() -> None:
    home = Household()
    loud = [home.command("Louder.") for _ in range(7)][-2:]
    quiet = [home.command("Quieter.") for _ in range(12)][-2:]

    assert loud == ["Volume 200 percent."] * 2
    assert quiet == ["Volume 0 percent."] * 2
    assert (
        home.command("Set the volume to 300 percent.") == "The volume goes from 0 to 200 percent."
    )
    assert home.room.desk.volume == 0


def test_the_volume_is_told() -> None:
    home = Household()
    home.command("Volume 70%")

    assert home.command("What is the volume?") == "Volume 70 percent."


def test_without_rules_everything_is_for_the_model() -> None:
    home = Household(RouterConfig(rule_intents=False))
    home.ask("What time is it?")
    home.ask("Stop.")

    assert len(home.of(LlmRequest)) == 1
    assert [w.text for w in home.room.waiting] == ["Stop."]


def test_a_command_that_cannot_be_spoken_fails_like_any_turn() -> None:
    home = Household()
    home.ask("What time is it?")
    home.speech(home.sentences[0], "failed")
    home.wait(200)

    assert [t.outcome for t in home.traces] == ["failed"]
    assert home.traces[0].error is not None
    assert home.state.state == "LISTENING"


UTTERANCES = st.sampled_from([e for rule in RULES for e in rule.examples])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["spoken", "typed"]), UTTERANCES),
        st.tuples(st.just("typed"), st.just("Sun?")),
        st.tuples(st.sampled_from(["speak", "fail", "answer", "cancel"]), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from(["0.5", "30", "700", "4000"])),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_turn_ends_once_and_the_room_comes_to_rest_whatever_is_said(
    steps: list[tuple[str, str]],
) -> None:
    home = Household()
    turns = []
    for kind, text in steps:
        match kind:
            case "spoken":
                turns.append(home.hear(text))
            case "typed":
                turns.append(home.ask(text))
            case "speak":
                for request in home.sentences[-3:]:
                    home.speech(request, "sentence" if request.text else "completed")
            case "fail":
                for request in home.sentences[-1:]:
                    home.speech(request, "failed")
            case "answer":
                if home.requests:
                    home.answer(LONG)
            case "cancel":
                home.take(home.room.cancel("person"))
            case "wait":
                home.voice_comes()
                home.wait(float(text))
    for _ in range(5):
        home.voice_comes()
        home.wait(10_000)

    ended = [t.turn_id for t in home.traces]
    assert sorted(ended) == sorted(turns)
    assert home.room.current is None
    assert not home.room.waiting
    assert len(home.room.desk.timers) == 0
    assert 0 <= home.room.desk.volume <= 200
    assert not [t for t in home.of(TurnAbort) if t.turn_id not in turns]


def test_a_repeat_that_goes_on_after_a_cough_is_not_remembered_either() -> None:
    home = Household()
    answered(home)
    assert home.room.session is not None
    before = list(home.room.session.messages)
    home.ask("Say that again.")
    home.speech(home.sentences[-1])
    home.barge_in(300)
    home.hear("", kind="empty")
    assert len({r.utterance_id for r in home.sentences}) == 3, "the rest is spoken"
    home.hear_out(len(home.sentences) - 1)
    home.wait(60)

    assert home.room.session.messages == before
    assert home.state.state == "LISTENING"
