"""Unit: when the processes of a fleet start, start again, and what people are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_cli.up.members import MEMBERS
from parlour_cli.up.policy import (
    BACKOFF_CAP_S,
    BACKOFF_FIRST_S,
    HEALTHY_S,
    PATIENCE_S,
    Action,
    End,
    Fleet,
    FleetReady,
    NotReady,
    Report,
    Say,
    Start,
)

READY = Report(ready=True)
WORKERS = ["stt-worker", "llm-worker", "tts-worker"]


def starts(actions: list[Action]) -> list[str]:
    return [action.name for action in actions if isinstance(action, Start)]


def ready_fleet(now: float = 0.0) -> Fleet:
    fleet = Fleet(MEMBERS, now)
    for _ in range(4):
        for name in starts(fleet.tick(now)):
            fleet.heard(name, READY, now)
    assert [a for a in fleet.tick(now) if isinstance(a, Start)] == []
    return fleet


def test_processes_start_in_order_of_readiness() -> None:
    fleet = Fleet(MEMBERS, 0.0)
    assert starts(fleet.tick(0.0)) == ["broker"]
    assert starts(fleet.tick(1.0)) == []
    fleet.heard("broker", READY, 1.0)
    assert starts(fleet.tick(1.0)) == ["config-manager"]
    fleet.heard("config-manager", READY, 2.0)
    assert starts(fleet.tick(2.0)) == WORKERS
    for worker in WORKERS:
        assert starts(fleet.tick(3.0)) == []
        fleet.heard(worker, READY, 3.0)
    assert starts(fleet.tick(3.0)) == ["router"]
    fleet.heard("router", READY, 4.5)
    assert fleet.tick(4.5) == [FleetReady(4.5)]
    assert fleet.tick(5.0) == [], "the ready line is printed once"


def test_a_worker_without_its_model_is_named_and_the_rest_comes_up() -> None:
    fleet = Fleet(MEMBERS, 0.0)
    fleet.tick(0)
    fleet.heard("broker", READY, 0)
    fleet.tick(0)
    fleet.heard("config-manager", READY, 0)
    fleet.tick(0)
    missing = Report(
        ready=False,
        problem="the model base is not here",
        hint="parlour models pull base",
        code="MODEL_MISSING",
    )
    fleet.heard("stt-worker", missing, 1)
    fleet.heard("llm-worker", READY, 1)
    fleet.heard("tts-worker", READY, 1)
    assert starts(fleet.tick(1)) == ["router"]
    fleet.heard("router", READY, 2)
    assert fleet.tick(2) == [NotReady((("stt-worker", missing),))]
    assert fleet.tick(3) == [], "said once, not every second"
    fleet.heard("stt-worker", READY, 60)
    assert fleet.tick(60) == [FleetReady(60)]


def test_nobody_waits_for_ever_for_a_worker_that_says_nothing() -> None:
    fleet = Fleet(MEMBERS, 0.0)
    fleet.tick(0)
    fleet.heard("broker", READY, 0)
    fleet.tick(0)
    fleet.heard("config-manager", READY, 0)
    fleet.tick(0)
    fleet.heard("llm-worker", READY, 0)
    fleet.heard("tts-worker", READY, 0)
    assert starts(fleet.tick(PATIENCE_S - 1)) == []
    assert starts(fleet.tick(PATIENCE_S)) == ["router"]


def test_the_wait_doubles_up_to_its_cap_and_is_forgotten_after_a_healthy_minute() -> None:
    fleet = ready_fleet()
    now, waits = 0.0, []
    for _ in range(9):
        fleet.exited("router", -9, now)
        begin = now
        while "router" not in starts(fleet.tick(now)):
            now += 0.25
        waits.append(now - begin)
        fleet.heard("router", READY, now)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    fleet.tick(now + HEALTHY_S)
    said = fleet.exited("router", 1, now + HEALTHY_S)
    assert said == [Say("router ended with code 1; starting it again in 0.5 s", "warning")]


def test_a_crash_loop_is_not_forgotten_before_the_minute_is_over() -> None:
    fleet = ready_fleet()
    fleet.exited("router", 1, 0)
    fleet.tick(0.5)
    fleet.heard("router", READY, 0.5)
    fleet.tick(0.5 + HEALTHY_S - 1)
    assert "in 1 s" in fleet.exited("router", 1, 0.5 + HEALTHY_S - 1)[0].text  # type: ignore[union-attr]


def test_who_crashed_how_and_that_it_is_back_is_said() -> None:
    fleet = ready_fleet()
    assert "llm-worker was killed by signal 9" in str(fleet.exited("llm-worker", -9, 10))
    assert starts(fleet.tick(10.4)) == []
    assert starts(fleet.tick(10.5)) == ["llm-worker"]
    assert fleet.heard("llm-worker", READY, 12) == [Say("llm-worker is ready again")]
    assert fleet.tick(12) == []


def test_a_bad_configuration_ends_the_fleet_with_78() -> None:
    fleet = ready_fleet()
    actions = fleet.exited("tts-worker", 78, 5)
    assert actions[-1] == End(78)
    assert "tts-worker" in str(actions[0])


def test_a_broker_that_cannot_start_ends_the_fleet() -> None:
    fleet = Fleet(MEMBERS, 0.0)
    fleet.tick(0)
    assert fleet.exited("broker", 1, 0.1)[-1] == End(1)


def test_a_broker_that_crashes_later_is_started_again_and_nobody_else() -> None:
    fleet = ready_fleet()
    assert End(1) not in fleet.exited("broker", -11, 5)
    assert starts(fleet.tick(5.5)) == ["broker"]


def test_the_will_of_an_earlier_run_changes_nothing() -> None:
    fleet = ready_fleet()
    fleet.heard("router", Report(ready=True, boot="new"), 1)
    fleet.heard("router", Report(ready=False, boot="old", will=True), 2)
    assert not fleet.busy
    fleet.heard("router", Report(ready=False, boot="new", will=True), 3)
    assert fleet.busy


def test_what_is_still_loading_is_said_every_few_seconds_until_ready() -> None:
    fleet = Fleet(MEMBERS, 0.0)
    fleet.tick(0)
    fleet.heard("broker", READY, 0)
    fleet.tick(0)
    fleet.heard("config-manager", READY, 0)
    fleet.tick(0)
    said = [a.text for t in range(1, 11) for a in fleet.tick(t) if isinstance(a, Say)]
    assert len(said) == 3
    assert "stt-worker loading Whisper (3 s)" in said[0]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ready", "unready", "exit", "tick"]),
        st.sampled_from([m.name for m in MEMBERS]),
        st.floats(0, 100),
        st.sampled_from([-9, 0, 1]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("failing", [True, False])
@given(events=EVENTS)
def test_no_process_runs_twice_and_every_crash_is_answered_by_one_start(
    failing: bool, events: list[tuple[str, str, float, int]]
) -> None:
    fleet = Fleet(MEMBERS, 0.0)
    running: set[str] = set()
    now = 0.0

    def take(actions: list[Action]) -> None:
        for name in starts(actions):
            assert name not in running
            running.add(name)

    take(fleet.tick(now))
    take(fleet.heard("broker", READY, now))
    for kind, name, wait, code in events:
        now += wait
        if kind == "exit" and name in running:
            running.discard(name)
            actions = fleet.exited(name, code, now)
            assert not any(isinstance(a, End) for a in actions) or name == "broker"
            take(fleet.tick(now))
            assert name not in running, "never before its wait is over"
            take(fleet.tick(now + BACKOFF_FIRST_S / 2))
            assert name not in running
        elif kind in ("ready", "unready") and failing:
            take(
                fleet.heard(
                    name, Report(ready=kind == "ready", problem="x" * (kind != "ready")), now
                )
            )
        take(fleet.tick(now))
    gone = {m.name for m in MEMBERS} - running
    before = set(running)
    take(fleet.tick(now + BACKOFF_CAP_S + 1))
    assert "broker" in running
    assert running >= before
    assert gone >= running - before
