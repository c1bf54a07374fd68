"""Whatever happens in whatever order: the rules hold, and no room stays deaf."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parlour_testkit.fakes_room import spoken, wake_word
from satellite.mouth import Report
from satellite.room import Open
from satellite.virtual import VirtualRoom

ACTS = [
    "wake", "speak", "cough", "answer", "announce", "final", "empty", "failed", "cancel",
    "cancelled", "worker dies", "worker lives", "nobody claims", "claims", "mute", "unmute",
    "live", "off", "wake only", "time",
]  # fmt: skip


def act(s, name: str, answers: list[str]) -> None:  # noqa: PLR0912  # one for each act
    match name:
        case "wake":
            s.walls.say(wake_word())
        case "speak":
            s.walls.say(spoken(800, 0.5))
        case "cough":
            s.walls.say(spoken(150, 0.5))
        case "answer" | "announce":
            answers.append(s.answer(3, turn=name == "answer"))
        case "final" | "empty" | "failed":
            if s.room.hearing is not None:
                s.transcript(name)
        case "cancel":
            s.room.cancelled(s.now)
        case "cancelled":
            if answers:
                s.speech("cancelled", answers[-1], s.room._turn_of.get(answers[-1]))
        case "worker dies":
            s.health("lwt")
        case "worker lives":
            s.health()
        case "nobody claims" | "claims":
            s.claims = name == "claims"
        case "mute" | "unmute":
            s.use(muted=name == "mute")
        case "live":
            s.use(live_mode=not s.room.config.live_mode)
        case "off" | "wake only":
            s.use(interruption="off" if name == "off" else "wake")
        case "time":
            s.run(3)
    s.run(0.5)


@pytest.mark.req("R018", "R021")
@given(acts=st.lists(st.sampled_from(ACTS), max_size=14), echo=st.sampled_from([-60.0, -12.0]))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_rules_hold_whatever_happens_and_the_room_wakes_at_the_end(scene, acts, echo) -> None:
    s = scene(VirtualRoom(echo_db=echo), pre_roll_ms=300)
    answers: list[str] = []
    for name in acts:
        before = len(s.opened)
        act(s, name, answers)
        if s.room.config.muted:
            assert len(s.opened) == before or s.opened[-1].attempt != 1, "a muted room opens none"

    _attempts_count_up(s.opened)
    _each_utterance_is_told_in_its_order([c for _, c in s.told if isinstance(c, Report)])

    # Now the house is quiet and well again.
    s.claims = True
    s.health()
    s.use(muted=False, live_mode=False)
    s.room.cancelled(s.now)
    if s.room.hearing is not None:
        s.transcript("empty")
    s.run(4)
    opened = len(s.opened)
    s.walls.say(wake_word())
    s.run(1.5)
    assert len(s.opened) == opened + 1
    assert s.room.hearing is not None
    assert s.room.hearing.claim is not None


def _attempts_count_up(opened: list[Open]) -> None:
    turns: dict[str, int] = {}
    for one in opened:
        assert one.attempt == turns.get(one.turn_id, 0) + 1
        assert one.attempt == 1 or one.turn_id == list(turns)[-1], "an old turn never comes back"
        turns[one.turn_id] = one.attempt


def _each_utterance_is_told_in_its_order(reports: list[Report]) -> None:
    told: dict[str, list[Report]] = {}
    for report in reports:
        told.setdefault(report.utterance_id, []).append(report)
    for of_one in told.values():
        assert of_one[0].event == "started"
        assert all(r.event == "position" for r in of_one[1:-1])
        played = [r.played_ms for r in of_one]
        assert played == sorted(played)
