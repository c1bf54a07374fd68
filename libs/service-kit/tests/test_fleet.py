"""What a listener concludes from health messages: who lives, and how the whole is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health, HealthCheckResult
from parlour_contracts.messages.llm import WireError
from parlour_kit.clock import utc_text
from parlour_kit.fleet import COMPONENTS, INTERVALS, Roll, Sign, aggregate, sign_of, sign_of_keeper
from parlour_kit.ids import new_id

WALL = datetime(2026, 11, 24, 12, tzinfo=UTC)
FIRST_BOOT, SECOND_BOOT = new_id(), new_id()
WORKERS = {"audio": "stt-worker", "llm": "llm-worker", "tts": "tts-worker"}


def sign(instance="router", service=None, *, said="healthy", seq=1, **more) -> Sign:
    given = {
        "ready": True, "event": "heartbeat", "boot": FIRST_BOOT, "conn": 1, "interval_s": 5.0,
        "issued_at": utc_text(WALL), "components": {"system": True}, **more,
    }  # fmt: skip
    return Sign(service or instance, instance, said, seq=seq, **given)


def fleet(**works: bool) -> Roll:
    """Everybody healthy, but for the components that are named."""
    roll = Roll()
    system = works.pop("system", True)
    roll.see(sign(components={"system": system}), 0.0)
    roll.see(sign("config-manager", components={}), 0.0)
    for component, service in WORKERS.items():
        roll.see(sign(service, components={component: works.get(component, True)}), 0.0)
    return roll


def whole(roll: Roll, now: float = 1.0):
    return aggregate(roll.instances.values(), now, WALL)


@pytest.mark.req("R012", "H002")
def test_healthy_stale_dead_and_stopped_are_told_apart() -> None:
    roll = Roll()
    for name in ("a", "b", "c", "d"):
        roll.see(sign(name), 0.0, WALL)
    roll.see(sign("a", seq=2), 100.0)
    roll.see(sign("c", event="lwt", seq=0), 100.0)
    roll.see(sign("d", event="stopping", seq=2), 100.0)

    assert roll.conditions(101.0) == {"a": "healthy", "b": "stale", "c": "dead", "d": "stopped"}


@pytest.mark.req("R012")
def test_who_is_silent_for_three_intervals_is_stale() -> None:
    roll = Roll()
    roll.see(sign(), 0.0)

    assert roll.conditions(INTERVALS * 5.0) == {"router": "healthy"}
    assert roll.conditions(INTERVALS * 5.0 + 0.1) == {"router": "stale"}


def test_a_message_that_is_heard_again_is_no_sign_of_life() -> None:
    """A broker hands out the retained message anew on each connect."""
    roll = Roll()
    roll.see(sign(seq=7), 0.0)
    roll.see(sign(seq=7), 14.0)

    assert roll.conditions(16.0) == {"router": "stale"}
    roll.see(sign(seq=8), 16.0)
    assert roll.conditions(16.0) == {"router": "healthy"}


def test_a_message_that_was_retained_for_long_is_of_one_who_may_be_gone() -> None:
    roll = Roll()
    roll.see(sign(issued_at=utc_text(WALL - timedelta(minutes=1))), 0.0, WALL)
    assert roll.conditions(0.0) == {"router": "stale"}

    roll.see(sign(seq=2, issued_at=utc_text(WALL - timedelta(minutes=1))), 5.0, WALL)

    assert roll.conditions(5.0) == {"router": "healthy"}, "its clock is slow, but it lives"


def test_the_will_of_an_earlier_run_or_connection_says_nothing() -> None:
    roll = Roll()
    roll.see(sign(boot=SECOND_BOOT, conn=2), 0.0)

    assert not roll.see(sign(boot=SECOND_BOOT, conn=1, event="lwt"), 1.0)
    assert not roll.see(sign(boot=FIRST_BOOT, conn=9, event="lwt"), 1.0)
    assert roll.conditions(1.0) == {"router": "healthy"}
    assert roll.see(sign(boot=SECOND_BOOT, conn=2, event="lwt", seq=0), 1.0)
    assert roll.conditions(1.0) == {"router": "dead"}


@pytest.mark.req("H003", "F33")
@pytest.mark.parametrize("works", list(product((True, False), repeat=4)))
def test_each_of_the_16_combinations_has_its_status(works: tuple[bool, ...]) -> None:
    given = dict(zip(COMPONENTS, works, strict=True))

    found = whole(fleet(**given))

    assert found.components == given
    assert list(found.components) == ["audio", "llm", "tts", "system"]
    expected = "degraded"
    if all(works):
        expected = "healthy"
    elif not given["llm"] or not given["audio"]:
        expected = "unhealthy"
    assert found.status == expected
    assert {d.component_name for d in found.details} == {c for c, w in given.items() if not w}


def test_a_component_works_as_long_as_one_of_its_instances_does_and_the_fleet_is_degraded() -> None:
    roll = fleet(llm=False)
    roll.see(sign("llm-worker", said="unhealthy", seq=2, components={"llm": False}), 0.0)
    roll.see(sign("llm-worker-2", "llm-worker", components={"llm": True}), 0.0)

    found = whole(roll)

    assert (found.status, found.components["llm"]) == ("degraded", True)
    assert found.summary == "llm-worker is unhealthy"


@pytest.mark.parametrize("event", ["lwt", "stopping", "silence"])
def test_a_component_whose_only_instance_is_gone_does_not_work(event: str) -> None:
    roll = fleet()
    for name in roll.instances:
        if name != "tts-worker":
            roll.see(sign(name, seq=9, components=roll.instances[name].sign.components), 90.0)
    if event != "silence":
        roll.see(sign("tts-worker", event=event, seq=9), 90.0)

    found = whole(roll, 91.0)

    assert (found.status, found.components["tts"]) == ("degraded", False)
    assert found.details[0].details == "nobody says that it works"


def test_a_redundant_instance_that_said_goodbye_is_not_missed() -> None:
    roll = fleet()
    roll.see(sign("llm-worker-2", "llm-worker", event="stopping"), 0.0)
    assert whole(roll).status == "healthy"

    roll.see(sign("llm-worker-3", "llm-worker", event="lwt"), 0.0)

    assert (whole(roll).status, whole(roll).summary) == ("degraded", "llm-worker-3 is dead")


def test_without_a_router_nothing_works_whatever_the_components_say() -> None:
    roll = fleet()
    roll.see(sign("router", event="stopping", seq=2), 0.0)

    assert (whole(roll).status, whole(roll).summary) == ("unhealthy", "there is no router")
    assert whole(Roll()).status == "unhealthy"


def test_what_an_instance_says_is_wrong_is_told_of_the_whole() -> None:
    detail = HealthCheckResult(
        component_name="tts", is_healthy=False, details="model: VOICE_BROKEN",
        timestamp=utc_text(WALL),
    )  # fmt: skip
    roll = fleet(tts=False)
    roll.see(sign("tts-worker", seq=2, components={"tts": False}, details=(detail,)), 0.0)

    assert whole(roll).details == (detail,)


def test_both_forms_of_a_health_message_give_a_sign() -> None:
    health = Health(
        service="llm-worker", instance="llm-worker-2", status="unhealthy", ok=False, ready=True,
        version="1.0.0", boot=FIRST_BOOT, conn=3, seq=4, interval_s=5.0, issued_at=utc_text(WALL),
        event="change", components={"llm": False}, throttle="hot",
        err=WireError(code="X", message="no model", retryable=False, hint="pull one"),
    )  # fmt: skip
    found = sign_of(health)
    assert (found.said, found.seq, found.throttle, found.problem, found.hint) == (
        "unhealthy", 4, "hot", "no model", "pull one",
    )  # fmt: skip

    keeper = ConfigHealthPayload(
        ok=False, database_status="locked", operational_mode="normal", config_epoch="e",
        schema_version=2, lkg_cache_valid=True, litestream_status="disabled", err="LOCKED: busy",
        event=f"heartbeat boot={FIRST_BOOT} conn=2 seq=5 every=0.5 at={utc_text(WALL)} outbox=0",
    )  # fmt: skip
    told = sign_of_keeper(keeper)
    assert (told.said, told.boot, told.conn, told.seq, told.interval_s, told.problem) == (
        "unhealthy", FIRST_BOOT, 2, 5, 0.5, "LOCKED: busy",
    )  # fmt: skip


@pytest.mark.parametrize("event", [None, "", "lwt", "birth seq=x every=nan", "x every=-1 seq=²"])
def test_an_event_of_config_manager_that_lacks_something_is_still_a_sign(event) -> None:
    keeper = ConfigHealthPayload(
        ok=True, database_status="healthy", operational_mode="normal", config_epoch="e",
        schema_version=2, lkg_cache_valid=True, litestream_status="disabled", event=event,
    )  # fmt: skip

    assert sign_of_keeper(keeper).interval_s == 10.0
