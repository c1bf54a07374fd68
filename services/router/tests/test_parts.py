"""States, session, workers and the order of deltas, each on its own."""

from itertools import pairwise, product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import LlmRequest
from parlour_contracts.messages.room import ConversationState
from parlour_contracts.topics import LLM_REQUEST
from parlour_kit.ids import new_id
from router.session import Session
from router.states import TRANSITIONS, Conversation, Event, InvalidTransition
from router.stream import DeltaStream, rest_after
from router.workers import Workers

CONFIG = RouterConfig()
STATES = get_args(ConversationState)


@pytest.mark.req("V012", "V044")
@pytest.mark.parametrize(("state", "event"), [*product(STATES, Event)])
def test_what_is_not_in_the_table_raises(state: ConversationState, event: Event) -> None:
    conversation = Conversation(0.0)
    conversation.state = state
    after = TRANSITIONS.get((state, event))
    if after is None:
        with pytest.raises(InvalidTransition):
            conversation.on(event, 1.0)
        assert conversation.state == state
    else:
        step = conversation.on(event, 1.5)
        assert (step.before, step.after, step.seconds) == (state, after, 1.5)


def test_nothing_leads_out_of_the_end() -> None:
    assert not [s for s, _ in TRANSITIONS if s == "ENDED"]
    assert {s for s, e in TRANSITIONS if e is Event.END} == set(STATES) - {"ENDED"}


def test_the_prompt_begins_with_the_same_bytes_and_ends_with_the_question() -> None:
    session = Session(new_id(), 0.0)
    prompts = []
    for n in range(8):
        prompts.append(session.prompt(CONFIG, f"Question {n}"))
        session.add("user", f"Question {n}", interrupted=False)
        session.add("assistant", f"Answer {n}", interrupted=False)

    assert {p[0].content for p in prompts} == {CONFIG.system_prompt}
    assert [p[-1].content for p in prompts] == [f"Question {n}" for n in range(8)]
    assert [len(p) for p in prompts] == [2, 4, 6, 8, 10, 12, 12, 12]
    assert [m.role for m in prompts[-1][1:]] == ["user", "assistant"] * 5 + ["user"]


def test_without_memory_the_model_sees_the_question_alone() -> None:
    session = Session(new_id(), 0.0)
    session.add("user", "Before", interrupted=False)
    prompt = session.prompt(RouterConfig(history_messages=0), "Now")

    assert [m.content for m in prompt] == [CONFIG.system_prompt, "Now"]


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=20))))
def test_roles_alternate_whatever_happened(history: list[tuple[str, str]]) -> None:
    session = Session(new_id(), 0.0)
    for role, text in history:
        session.add(role, text, interrupted=False)  # type: ignore[arg-type]
    roles = [m.role for m in session.prompt(CONFIG, "Question")]

    assert roles[:2] == ["system", "user"]
    assert roles[-1] == "user"
    assert all(a != b for a, b in pairwise(roles))


def test_the_longest_memory_fits_into_one_request() -> None:
    session = Session(new_id(), 0.0)
    for n in range(10):
        session.add("assistant" if n % 2 else "user", "\N{GRINNING FACE}" * 9000, interrupted=False)
    config = RouterConfig(system_prompt="\N{GRINNING FACE}" * 8000)
    request = LlmRequest(
        request_id=new_id(),
        session_id=session.id,
        turn_id=new_id(),
        messages=session.prompt(config, "\0" * 50_000),
        reply_topic="llm/reply/router",
    )

    assert len(request.encode()) <= LLM_REQUEST.max_bytes


def test_a_session_ends_by_silence_or_by_age() -> None:
    session = Session(new_id(), 0.0)
    assert not session.expired(CONFIG, 1799.0)
    assert session.expired(CONFIG, 1800.0)
    for now in range(0, 7200, 1000):
        session.touch(now)
    assert not session.expired(CONFIG, 7199.0)
    assert session.expired(CONFIG, 7200.0)


def health(instance: str = "llm-worker", **fields: object) -> Health:
    base = {
        "service": "llm-worker", "instance": instance, "status": "healthy", "ok": True,
        "ready": True, "version": "0.1.0", "boot": BOOT, "conn": 1, "seq": 1, "interval_s": 5.0,
        "issued_at": "2026-01-01T00:00:00.000000Z", "event": "heartbeat",
    }  # fmt: skip
    return Health.model_validate(base | fields)


EARLIER, BOOT, LATER = new_id(), new_id(), new_id()
GONE = {"status": "offline", "ok": False, "ready": False}


def test_a_will_ends_what_the_worker_had() -> None:
    workers = Workers(lambda: 0.0)
    assert workers.note(health()).up
    change = workers.note(health(event="lwt", seq=0, **GONE))

    assert (change.lost, change.up, workers.ready("llm-worker")) == (True, False, [])
    assert not workers.note(health(event="lwt", seq=0, **GONE)).lost


@pytest.mark.parametrize("old", [{"boot": EARLIER}, {"conn": 1}])
def test_a_will_of_an_earlier_life_is_ignored(old: dict[str, object]) -> None:
    workers = Workers(lambda: 0.0)
    workers.note(health(conn=2))

    assert not workers.note(health(event="lwt", seq=0, **GONE | old)).lost
    assert workers.ready("llm-worker") == ["llm-worker"]


def test_a_restart_without_a_will_ends_what_the_worker_had() -> None:
    workers = Workers(lambda: 0.0)
    workers.note(health(seq=9))
    change = workers.note(health(boot=LATER))

    assert (change.lost, change.up) == (True, True)


def test_a_worker_that_fell_silent_is_not_counted_on() -> None:
    now = 0.0
    workers = Workers(lambda: now)
    workers.note(health())
    now = 14.9
    assert workers.ready("llm-worker")
    now = 15.1
    assert not workers.ready("llm-worker")


def test_what_a_worker_said_before_is_ignored() -> None:
    workers = Workers(lambda: 0.0)
    workers.note(health(seq=5))

    assert not workers.note(health(seq=4, **GONE)).lost


def test_deltas_are_put_in_order() -> None:
    stream = DeltaStream()

    assert [stream.add(n, str(n)) for n in (1, 1, 0, 3, 0, 2)] == ["", "", "01", "", "", "23"]


def test_the_end_brings_what_was_lost_and_nothing_twice() -> None:
    stream = DeltaStream()
    stream.add(0, "Hello ")
    stream.add(2, "again")

    assert stream.finish("Hello you again") == "you again"
    assert stream.finish("Hello you again") == ""
    assert stream.add(1, "you ") == ""


def test_an_end_without_text_brings_what_waits() -> None:
    stream = DeltaStream()
    stream.add(0, "Hello ")
    stream.add(2, "again")
    stream.add(0, "Hello ")

    assert stream.finish(None) == "again"


def test_an_end_that_tells_another_story_is_not_believed() -> None:
    assert rest_after("Hello", "Good morning") is None
    assert rest_after(" Hello  you", "Hello you there") == " there"
