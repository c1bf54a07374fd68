"""A conversation that takes too long, or is interrupted again and again, is told of once."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.messages.room import ConversationState
from parlour_kit.metrics import REGISTRY
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import Answer, ScriptedLlmWorker
from router.alerts import Alerts, Raised
from router.states import TRANSITIONS, Conversation, Transition

from .conftest import MakeHouse


def step(before: ConversationState, after: ConversationState) -> Transition:
    return Transition(before, after, 0.0)


THINKS = step("LISTENING", "THINKING")
SPEAKS = step("THINKING", "RESPONDING")
CUT = step("RESPONDING", "INTERRUPTED")


@pytest.mark.req("V045")
@pytest.mark.parametrize(
    ("begins", "alert", "limit"),
    [(THINKS, "thinking_long", 5.0), (SPEAKS, "responding_long", 15.0)],
)
def test_a_state_that_lasts_too_long_is_told_of_once(
    begins: Transition, alert: str, limit: float
) -> None:
    alerts = Alerts()
    alerts.on("kitchen", "s", begins, 100.0)

    assert alerts.deadline == 100.0 + limit
    assert alerts.tick(100.0 + limit - 0.1) == []
    assert [(r.alert, r.limit) for r in alerts.tick(100.0 + limit)] == [(alert, limit)]
    assert alerts.tick(200.0) == []
    assert alerts.deadline is None


def test_a_state_that_is_left_in_time_is_not_told_of() -> None:
    alerts = Alerts()
    alerts.on("kitchen", "s", THINKS, 0.0)
    alerts.on("kitchen", "s", SPEAKS, 4.9)
    alerts.on("kitchen", "s", step("RESPONDING", "LISTENING"), 19.8)

    assert alerts.deadline is None


@pytest.mark.req("V045")
def test_the_sixth_interruption_of_a_session_is_told_of() -> None:
    alerts = Alerts()
    raised = [alerts.on("kitchen", "s", CUT, float(n)) for n in range(8)]

    assert [bool(r) for r in raised] == [False] * 5 + [True] + [False] * 2
    assert raised[5] == [Raised("kitchen", "s", "interrupted_often", 5, 6)]
    assert [alerts.on("kitchen", "another", CUT, 9.0) for _ in range(5)] == [[]] * 5


def test_an_ended_session_is_forgotten() -> None:
    alerts = Alerts()
    alerts.on("kitchen", "s", THINKS, 0.0)
    alerts.on("kitchen", "s", step("THINKING", "ENDED"), 1.0)

    assert alerts.tick(100.0) == []


@given(st.lists(st.tuples(st.sampled_from(list(TRANSITIONS)), st.floats(0, 40)), max_size=60))
def test_no_alert_without_its_cause_whatever_happens(
    happenings: list[tuple[tuple[ConversationState, object], float]],
) -> None:
    """A model of it: the conversation itself, and how long it has been where it is."""
    alerts, now, since, cuts = Alerts(), 0.0, 0.0, 0
    conversation = Conversation(now)
    for (state, event), waits in happenings:
        if conversation.state != state:
            continue
        now += waits
        raised = alerts.tick(now)
        limits = {"THINKING": 5.0, "RESPONDING": 15.0}
        late = state in limits and now - since >= limits[state]
        assert len(raised) == late
        since = now
        made = conversation.on(event, now)  # type: ignore[arg-type]
        cuts += made.after == "INTERRUPTED"
        told = alerts.on("kitchen", "s", made, now)
        assert bool(told) == (made.after == "INTERRUPTED" and cuts == 6)


def count(alert: str) -> float:
    return REGISTRY.get_sample_value("parlour_alerts_total", {"alert": alert}) or 0.0


@pytest.mark.req("V045")
async def test_a_model_that_thinks_for_too_long_leaves_a_warning_and_a_count(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    before = count("thinking_long")
    slow = Answer.of("It is a star.", each_s=4.0)
    with structlog.testing.capture_logs() as logs:
        async with make_house(llm=ScriptedLlmWorker(broker, slow)) as h:
            await h.trace(await h.ask("What is the canary?"))
            await asyncio.sleep(20)

    told = [e for e in logs if e.get("event_type") == "thinking_long"]
    assert [(e["log_level"], e["site"], e["limit"]) for e in told] == [("warning", "kitchen", 5.0)]
    assert count("thinking_long") == before + 1
    assert "canary" not in repr(told)


@pytest.mark.req("R006")
async def test_commands_are_counted_by_what_was_wanted_and_nothing_that_was_said(
    make_house: MakeHouse,
) -> None:
    name = "parlour_commands_total"
    before = REGISTRY.get_sample_value(name, {"intent": "timer_set"}) or 0.0
    async with make_house() as h:
        await h.trace(await h.ask("Set a canary timer for one hour."))

    assert REGISTRY.get_sample_value(name, {"intent": "timer_set"}) == before + 1
    labels = [
        s.labels for m in REGISTRY.collect() if m.name == "parlour_commands" for s in m.samples
    ]
    assert "canary" not in repr(labels)
    assert {"intent": "stop"} in labels
