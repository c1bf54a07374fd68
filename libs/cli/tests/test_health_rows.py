"""Unit: the health of the fleet as `parlour health` shows it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from parlour_cli.health.command import _view
from parlour_cli.health.rows import Fleet, summary_line
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import ConfigState, Health, HealthCheckResult, Load
from parlour_contracts.messages.llm import WireError
from parlour_kit.clock import utc_text
from parlour_kit.fleet import INTERVALS
from parlour_kit.ids import new_id
from rich.console import Console

BOOT = new_id()
WALL = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAMP = utc_text(WALL)
WORKERS = {"stt-worker": "audio", "llm-worker": "llm", "tts-worker": "tts"}


def health(service="router", status="healthy", *, config=None, **more):
    return Health(**{
        "service": service, "instance": service, "status": status, "ok": status == "healthy",
        "ready": True, "version": "1.0.0", "boot": BOOT, "conn": 1, "seq": 1, "interval_s": 30.0,
        "issued_at": STAMP, "event": "heartbeat", "config": config or ConfigState(),
        "load": Load(rss_bytes=2_000_000, cpu_percent=3.4), "components": {"system": True}, **more,
    })  # fmt: skip


def keeper(**more):
    return ConfigHealthPayload(
        **{
            "ok": True, "database_status": "healthy", "operational_mode": "normal",
            "config_epoch": "e", "schema_version": 2, "lkg_cache_valid": True,
            "litestream_status": "disabled", "event": f"heartbeat boot={BOOT} conn=1 seq=1",
            **more,
        }
    )  # fmt: skip


def fleet(*seen, now=0.0):
    """A whole fleet in order, and then what was seen."""
    found = Fleet()
    found.see(health(), 0.0)
    found.see_keeper(keeper(), 0.0)
    for service, component in WORKERS.items():
        found.see(health(service, components={component: True, "system": True}), 0.0)
    for message in seen:
        if isinstance(message, Health):
            found.see(message, now)
        else:
            found.see_keeper(message, now)
    return found


def row_of(found, instance, now=1.0):
    return next(row for row in found.rows(now) if row[0] == instance)


def test_a_row_says_how_an_instance_is_how_old_that_is_what_it_runs_with_and_what_is_wrong():
    err = WireError(code="X", message="no model", retryable=False, hint="pull one")
    config = ConfigState(source="lkg", stale=True, checksum="ab" * 32)
    found = fleet(health(status="unhealthy", err=err, config=config, throttle="hot", seq=2))

    assert row_of(found, "router") == (
        "router", "unhealthy", "1 s", "lkg, stale abababab", "2 MB", "3 %", "hot",
    )  # fmt: skip
    assert found.problems() == [("router", "no model", "pull one")]


def test_a_component_that_fails_its_check_is_shown_with_the_reason():
    detail = HealthCheckResult(
        component_name="llm", is_healthy=False, details="model: CHECK_TIMEOUT", timestamp=STAMP
    )
    found = fleet(health("llm-worker", "unhealthy", details=[detail], components={"llm": False},
                         seq=2))  # fmt: skip

    assert found.problems() == [("llm-worker", "llm: model: CHECK_TIMEOUT", "")]
    whole = found.whole(1.0, WALL)
    assert (whole.status, whole.components["llm"]) == ("unhealthy", False)
    assert summary_line(whole) == (
        "unhealthy: audio ok, llm down, tts ok, system ok (llm-worker is unhealthy)"
    )


def test_a_fleet_in_order_is_healthy_in_one_line():
    assert summary_line(fleet().whole(1.0, WALL)) == (
        "healthy: audio ok, llm ok, tts ok, system ok"
    )


def test_who_is_silent_for_three_intervals_is_stale_and_the_fleet_not_healthy():
    found = fleet()
    for service, component in WORKERS.items():
        found.see(health(service, seq=2, components={component: True, "system": True}), 60.0)
    found.see_keeper(keeper(event=f"heartbeat boot={BOOT} conn=1 seq=2"), 90.0)

    assert found.whole(INTERVALS * 30, WALL).status == "healthy"
    assert row_of(found, "router", INTERVALS * 30 + 1)[1] == "stale"
    assert found.whole(INTERVALS * 30 + 1, WALL).status == "unhealthy"


def test_a_fleet_of_nobody_is_not_healthy():
    assert Fleet().whole(0, WALL).status == "unhealthy"
    assert Fleet().rows(0) == []


@pytest.mark.parametrize(
    ("message", "condition", "whole"),
    [
        (keeper(), "healthy", "healthy"),
        (keeper(ok=False, err="x"), "unhealthy", "degraded"),
        (keeper(ok=False, event=f"lwt boot={BOOT} conn=1"), "dead", "degraded"),
        (keeper(event=f"stopping boot={BOOT} conn=1 seq=2"), "stopped", "healthy"),
        (keeper(event=f"birth boot={BOOT} conn=2 seq=2"), "healthy", "healthy"),
    ],
)
def test_config_manager_has_a_row_of_its_own(message, condition, whole):
    found = fleet(message)

    row = row_of(found, "config-manager")
    assert (row[1], row[3]) == (condition, "healthy, normal")
    assert found.whole(1.0, WALL).status == whole


def test_the_object_for_programs_says_the_same():
    found = fleet(health("llm-worker", event="lwt", status="offline", ready=False, seq=0))

    document = found.document(1.0, WALL)

    assert document["status"] == "unhealthy"
    assert document["components"] == {"audio": True, "llm": False, "tts": True, "system": True}
    dead = next(one for one in document["instances"] if one["instance"] == "llm-worker")
    assert (dead["status"], dead["age_s"], dead["throttle"]) == ("dead", 1.0, "none")


def test_what_a_process_says_cannot_colour_the_terminal():
    err = WireError(code="X", message="[red]no[/red] model", retryable=False, hint="")
    screen = Console(file=io.StringIO(), width=80)

    screen.print(_view(fleet(health(status="unhealthy", err=err, seq=2))))

    shown = screen.file.getvalue()
    assert "router: [red]no[/red] model" in shown
    assert "config-manager" in shown, "no name is cut off on a small terminal"
