"""The turn as a pure machine: whatever happens to its messages, it ends once."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_contracts.messages.llm import LlmRequest
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.messages.turn import TurnClaimed
from parlour_kit.ids import new_id

from .pure import Bench

TEXT = (
    "The sun is a star, about 150 million km away. It gives light to the planets that move "
    "around it. Dr. Smith says that 3.14 is pi! Is that not wonderful? That was all of it."
)


def squeeze(text: str) -> str:
    return "".join(text.split())


def said(bench: Bench) -> str:
    return squeeze("".join(r.text for r in bench.sentences))


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[str, list[tuple[str, int]], list[str]]:
    """A text, its pieces, and the order in which they come: lost, doubled and late."""
    text = draw(st.sampled_from([TEXT, "Yes.", "One, two. " * 20, "word " * 60]))
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=25, unique=True).map(sorted))
    at = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(at)]
    numbers = list(range(len(pieces)))
    kept = draw(st.lists(st.sampled_from(numbers), max_size=40))
    order: list[tuple[str, int]] = [("delta", n) for n in kept]
    if draw(st.booleans()):
        order = [("delta", n) for n in numbers]
    end = draw(st.integers(0, len(order)))
    order.insert(end, ("done", 0))
    if draw(st.booleans()):
        order.append(("done", 0))
    order.insert(draw(st.integers(0, len(order))), ("claimed", 0))
    return text, order, pieces


def deliver(bench: Bench, text: str, step: tuple[str, int], pieces: list[str]) -> None:
    kind, number = step
    if kind == "delta":
        bench.reply("delta", seq=number, delta=pieces[number])
    elif kind == "done":
        bench.reply("done", text=text, finish_reason="stop", seq=len(pieces))
    else:
        bench.reply("claimed")


@pytest.mark.req("F23")
@settings(max_examples=150, deadline=None)
@given(deliveries())
def test_each_sentence_is_spoken_once_whatever_becomes_of_the_stream(
    delivery: tuple[str, list[tuple[str, int]], list[str]],
) -> None:
    text, order, pieces = delivery
    bench = Bench()
    bench.ask()
    for step in order:
        deliver(bench, text, step, pieces)
    bench.speak_all()
    bench.wait(200)

    assert said(bench) == squeeze(text)
    assert [r.seq for r in bench.sentences] == list(range(len(bench.sentences)))
    assert [r.last for r in bench.sentences].count(True) == 1
    assert bench.sentences[-1].last
    assert [t.outcome for t in bench.traces] == ["replied"]
    assert squeeze(bench.traces[0].reply) == squeeze(text)
    assert bench.state.state == "LISTENING"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("delta"), st.integers(0, 12)),
        st.tuples(st.sampled_from(["claimed", "done", "failed", "retryable"]), st.just(0)),
        st.tuples(st.sampled_from(["sentence", "completed", "tts failed"]), st.integers(0, 8)),
        st.tuples(st.sampled_from(["cancel", "lost", "lost tts", "unsent"]), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
    ),
    max_size=40,
)


def happen(bench: Bench, step: tuple[str, int]) -> None:
    kind, number = step
    words = [f"word{n}, and. So" for n in range(13)]
    match kind:
        case "delta":
            bench.reply("delta", seq=number, delta=words[number])
        case "claimed":
            bench.reply("claimed")
        case "done":
            bench.reply("done", text="".join(words), finish_reason="stop")
        case "failed" | "retryable":
            error = {"code": "BROKEN", "message": "scripted", "retryable": kind == "retryable"}
            bench.reply("failed", error=error)
        case "sentence" | "completed" | "tts failed":
            for request in [r for r in bench.sentences if r.seq == number]:
                bench.speech(request, kind.removeprefix("tts "))
        case "cancel":
            bench.take(bench.room.cancel("person"))
        case "lost" | "lost tts":
            name = "llm-worker" if kind == "lost" else "tts-worker"
            bench.take(bench.room.lost(name))
        case "unsent":
            work = [m for m in bench.sent if isinstance(m, LlmRequest | TtsRequest)]
            bench.take(bench.room.unsent(work[-1]))
        case "wait":
            bench.wait(number / 2)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_a_turn_ends_exactly_once_whatever_happens(steps: list[tuple[str, int]]) -> None:
    bench = Bench()
    turn_id = bench.ask()
    for step in steps:
        happen(bench, step)
    bench.wait(300)

    assert [t.turn_id for t in bench.traces] == [turn_id]
    assert bench.room.current is None
    assert bench.state.state == "LISTENING"
    assert bench.room.deadline is None
    numbers: dict[str, list[int]] = {}
    for request in bench.sentences:
        numbers.setdefault(request.utterance_id, []).append(request.seq)
    assert all(n == list(range(len(n))) for n in numbers.values())
    trace = bench.traces[0]
    assert (trace.error is not None) or trace.outcome in ("replied", "cancelled")


@settings(max_examples=150, deadline=None)
@given(STEPS, STEPS)
def test_nothing_is_asked_or_said_after_a_cancel(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    bench = Bench()
    bench.ask()
    for step in before:
        happen(bench, step)
    bench.take(bench.room.cancel("person"))
    work = len(bench.requests) + len(bench.sentences)
    for step in after:
        happen(bench, step)
    bench.wait(300)

    assert len(bench.requests) + len(bench.sentences) == work
    assert len(bench.traces) == 1


def test_the_end_of_speech_does_not_wait_for_the_loudspeaker() -> None:
    bench = Bench()
    bench.ask()
    bench.answer(TEXT)
    bench.speak_all()

    assert [t.outcome for t in bench.traces] == ["replied"]
    assert bench.state.state == "RESPONDING"
    bench.wait(1.0 * (len(bench.sentences) - 1) - 0.1)
    assert bench.state.state == "RESPONDING"
    bench.wait(1.2)
    assert bench.state.state == "LISTENING"


def test_what_was_cut_stays_in_the_history_as_interrupted() -> None:
    bench = Bench()
    bench.ask()
    bench.answer(TEXT)
    first, second, *_ = bench.sentences
    bench.speech(first)
    bench.speech(second)
    bench.wait(0.5)
    bench.take(bench.room.cancel("person"))

    assert bench.room.session is not None
    last = bench.room.session.messages[-1]
    assert (last.role, last.text, last.interrupted) == ("assistant", "The sun", True)


def test_a_reply_cut_while_it_sounds_keeps_what_was_heard() -> None:
    bench = Bench()
    bench.ask()
    bench.answer(TEXT)
    bench.speak_all()
    bench.wait(1.5)
    bench.take(bench.room.cancel("person"))

    assert bench.room.session is not None
    last = bench.room.session.messages[-1]
    first, second, *_ = bench.sentences
    assert last.text.startswith(first.text)
    assert first.text < last.text < f"{first.text} {second.text}"
    assert last.interrupted
    assert [t.outcome for t in bench.traces] == ["replied"]


def test_an_answer_to_an_earlier_attempt_is_not_spoken() -> None:
    bench = Bench()
    bench.ask()
    bench.wait(2.5)
    first, second = bench.requests
    bench.reply("claimed", first, instance="llm-worker-2")
    bench.reply("delta", first, seq=0, delta=TEXT)
    assert [c.request_id for c in bench.cancels] == [first.request_id]
    bench.answer("It is the second attempt.")

    assert said(bench) == "Itisthesecondattempt."
    assert second.attempt == 2


def test_a_second_worker_does_not_speak_into_the_answer_of_the_first() -> None:
    bench = Bench()
    bench.ask()
    bench.reply("claimed")
    bench.reply("delta", seq=0, delta="Intruder. ", instance="llm-worker-2")
    bench.answer("It is the first worker.")

    assert said(bench) == "Itisthefirstworker."


def test_more_questions_than_can_wait_are_refused_with_an_end() -> None:
    bench = Bench()
    turns = [bench.ask(f"Question {n}?") for n in range(12)]

    assert [t.turn_id for t in bench.traces] == [turns[11]]
    assert bench.traces[0].outcome == "cancelled"


def test_a_turn_that_is_claimed_and_forgotten_fails_in_the_end() -> None:
    bench = Bench()
    claim = TurnClaimed(
        turn_id=new_id(), attempt=1, instance="stt-worker", audio_topic="stt/x", lease_ms=5000
    )
    bench.take(bench.room.claimed(claim))
    assert bench.state.turn_id == claim.turn_id
    bench.wait(300)

    assert [(t.outcome, t.error and t.error.code) for t in bench.traces] == [("failed", "STT_LOST")]
