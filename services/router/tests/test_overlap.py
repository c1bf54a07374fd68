"""Speech over a reply: it stops, and goes on when nobody meant it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say
from parlour_contracts.messages.tts import TtsCancel, Word
from parlour_contracts.messages.turn import TurnAbort, TurnCommit
from router.echo import is_echo, is_nod, words_of
from router.session import Remark

from .pure import Bench

FIRST = "The sun is a star that is very far away from us here."
SECOND = "It gives light to the planets that move around it."
TEXT = f"{FIRST} {SECOND}"


def replying(**config: Any) -> Bench:
    """A room in which a reply of two sentences, a second each, sounds; all of it is out."""
    bench = Bench(RouterConfig(router_stream_min_chars=40, **config))
    bench.hear("Tell me about the sun.")
    bench.answer(TEXT)
    assert [s.text for s in bench.sentences if s.text] == [FIRST, SECOND]
    bench.speak_all()
    bench.played("started", 0.0)
    return bench


def last(bench: Bench) -> Remark:
    assert bench.room.session is not None
    return bench.room.session.messages[-1]


def since(bench: Bench, before: int) -> list[str]:
    return [s.text for s in bench.sentences[before:] if s.text]


@pytest.mark.req("V041", "V042")
def test_speech_over_a_reply_silences_it_and_the_history_keeps_what_was_heard() -> None:
    bench = replying()
    spoken = bench.sentences[-1].utterance_id

    bench.barge_in(1000.0)

    assert {a.turn_id for a in bench.of(TurnAbort)} == {bench.traces[0].turn_id}
    assert {c.utterance_id for c in bench.of(TtsCancel)} == {spoken}
    assert [s.after for s in bench.steps[-2:]] == ["INTERRUPTED", "LISTENING"]
    assert bench.state.state == "LISTENING"
    assert (last(bench).text, last(bench).interrupted) == (FIRST, True)


@pytest.mark.req("V042")
def test_the_words_own_times_tell_what_was_heard() -> None:
    bench = Bench(RouterConfig(router_stream_min_chars=40))
    bench.ask()
    bench.answer(TEXT)
    ends = (200.0, 500.0, 600.0)
    words = [
        Word(text=w, start_ms=0, end_ms=e) for w, e in zip(FIRST.split()[:3], ends, strict=True)
    ]
    bench.speech(bench.sentences[0], words=words)
    bench.played("position", 500.0)

    bench.barge_in(500.0)

    assert last(bench).text == "The sun"


@pytest.mark.req("V042")
def test_an_interruption_while_the_model_thinks_on_stops_it_too() -> None:
    bench = Bench(RouterConfig(router_stream_min_chars=40))
    bench.ask()
    bench.reply("claimed")
    bench.reply("delta", seq=0, delta=FIRST + " It gives ")
    bench.speech(bench.sentences[0])

    bench.barge_in(300.0)

    assert len(bench.cancels) == 2
    assert [t.outcome for t in bench.traces] == ["cancelled"]
    assert len(bench.of(TurnAbort)) == 1


@pytest.mark.req("V041")
@pytest.mark.parametrize(
    "weak",
    [{"confidence": 0.7}, {"speech_ms": 199.0}, {"utterance_id": "01999999-9999-7999-8999-999999999999"}],
)  # fmt: skip
def test_what_is_too_weak_too_short_or_of_another_utterance_stops_nothing(
    weak: dict[str, Any],
) -> None:
    bench = replying()

    bench.barge_in(500.0, **weak)

    assert bench.state.state == "RESPONDING"
    assert bench.of(TurnAbort) == []


def test_the_next_question_is_asked_with_what_was_heard_of_the_answer() -> None:
    bench = replying()
    turn = bench.claim()
    bench.barge_in(1000.0)

    bench.hear("And the moon?", turn)

    said = [(m.role, m.content) for m in bench.requests[-1].messages]
    assert said[-2:] == [("assistant", FIRST), ("user", "And the moon?")]
    bench.wait(30.0)
    assert SECOND not in since(bench, 3), "the rest is forgotten"


@pytest.mark.parametrize("what", ["no words", "a nod", "nobody listens"])
def test_a_reply_that_was_interrupted_for_nothing_goes_on_where_it_was_cut(what: str) -> None:
    bench = replying()
    before = len(bench.sentences)
    bench.barge_in(1000.0)
    if what == "no words":
        bench.hear("", kind="empty")
    elif what == "a nod":
        bench.hear("Uh-huh, okay.")
    else:
        bench.wait(3.0)

    assert since(bench, before) == [SECOND]
    assert bench.state.state == "RESPONDING"
    assert bench.sentences[-1].revision == 2, "the first one is void"
    assert [(c.turn_id, c.revision) for c in bench.of(TurnCommit)][-1][1] == 2
    bench.speak_all()
    bench.played("finished", 1000.0)
    assert bench.state.state == "LISTENING"
    assert (last(bench).text, last(bench).interrupted) == (TEXT, False)
    assert len([t for t in bench.traces if t.transcript.startswith("Tell")]) == 1


def test_a_reply_that_goes_on_can_be_interrupted_again_and_goes_on_again() -> None:
    bench = replying()
    bench.barge_in(0.0)
    bench.hear("", kind="empty")
    assert len(bench.requests) == 1
    for sentence in bench.sentences[3:]:
        bench.speech(sentence, "sentence" if sentence.text else "completed")
    bench.barge_in(1000.0)
    assert (last(bench).text, last(bench).interrupted) == (FIRST, True)

    before = len(bench.sentences)
    bench.hear("", kind="empty")

    assert since(bench, before) == [SECOND]
    assert bench.sentences[-1].revision == 3


def test_a_nod_over_a_reply_does_not_stop_it() -> None:
    bench = replying()

    turn = bench.hear("Mhm.")

    assert bench.state.state == "RESPONDING"
    assert len(bench.requests) == 1
    assert [t.turn_id for t in bench.traces if t.outcome == "cancelled"] == [turn]


def test_yes_is_an_answer_when_the_reply_asked_something() -> None:
    bench = Bench(RouterConfig(router_stream_min_chars=40))
    bench.hear("Dim the light.")
    bench.answer("Shall I dim the light in the kitchen now?")
    bench.speak_all()
    bench.played("position", 1000.0)

    bench.hear("Yes.")

    assert bench.requests[-1].messages[-1].content == "Yes."


@pytest.mark.req("R016")
def test_the_assistants_own_voice_is_no_turn() -> None:
    bench = replying()

    turn = bench.hear("the son is a star that is very far away from us")

    assert bench.state.state == "RESPONDING"
    assert len(bench.requests) == 1
    (trace,) = [t for t in bench.traces if t.turn_id == turn]
    assert trace.outcome == "cancelled"


@pytest.mark.req("R016")
def test_who_repeats_the_assistants_words_once_it_is_silent_is_heard() -> None:
    bench = replying()
    bench.played("finished", 2000.0)
    bench.wait(1.5)

    bench.hear("The sun is a star that is very far away from us here.")

    assert len(bench.requests) == 2


@pytest.mark.req("R016")
def test_an_echo_whose_transcript_comes_after_the_reply_is_known_by_when_it_began() -> None:
    bench = replying()
    turn = bench.claim()
    bench.played("finished", 2000.0)
    bench.wait(5.0)

    bench.hear("it gives light to the planets that move around it", turn)

    assert len(bench.requests) == 1


def test_an_announcement_that_was_interrupted_for_nothing_goes_on_too() -> None:
    bench = Bench(RouterConfig(router_stream_min_chars=40))
    bench.take(bench.room.say(Say(text=TEXT, volume=40)))
    bench.speak_all()
    before = len(bench.sentences)

    bench.barge_in(1000.0)
    bench.hear("", kind="empty")

    assert since(bench, before) == [SECOND]
    assert bench.sentences[-1].volume == 40


def test_what_waits_does_not_speak_into_an_interruption() -> None:
    bench = replying()
    bench.take(bench.room.say(Say(text="Dinner is ready.")))
    turn = bench.claim()
    before = len(bench.sentences)

    bench.barge_in(1000.0)
    assert since(bench, before) == []
    bench.hear("", turn, kind="failed")

    assert since(bench, before)[0] == "Dinner is ready."


def test_a_person_who_cancels_does_not_hear_the_rest() -> None:
    bench = replying()
    bench.barge_in(1000.0)
    before = len(bench.sentences)

    bench.take(bench.room.cancel("person"))
    bench.hear("", kind="empty")
    bench.wait(10.0)

    assert SECOND not in since(bench, before)


@pytest.mark.parametrize("text", ["Mhm", "yes", "Okay.", "uh huh", "Oh, I see.", "right right"])
def test_a_nod_is_known(text: str) -> None:
    assert is_nod(text)


@pytest.mark.parametrize("text", ["", "no", "stop", "yes turn it off", "okay but why", "go away"])
def test_what_says_something_is_no_nod(text: str) -> None:
    assert not is_nod(text)


TOKENS = st.lists(st.sampled_from(sorted(set(words_of(TEXT)))), max_size=40)


@given(TOKENS, st.integers(0, 40), st.integers(3, 12))
def test_every_part_of_what_was_said_is_an_echo(spoken: list[str], at: int, size: int) -> None:
    part = spoken[at : at + size]

    assert is_echo(" ".join(part), [" ".join(spoken)], 1.0) == (len(part) >= 3)


@given(TOKENS)
def test_other_words_are_no_echo(spoken: list[str]) -> None:
    assert not is_echo("turn down every lamp upstairs", [" ".join(spoken)], 0.85)
    assert words_of("It's FINE, really!") == ["its", "fine", "really"]
