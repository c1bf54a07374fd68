"""Unit: the health of the fleet as `parlour health` shows it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from parlour_cli.health.heard import INTERVALS
from parlour_cli.health.rows import KEEPER_INTERVAL_S, Fleet
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import ConfigState, Health, Load
from parlour_contracts.messages.llm import WireError
from parlour_kit.clock import utc_text
from parlour_kit.ids import new_id

FIRST_BOOT, SECOND_BOOT = new_id(), new_id()


def health(status="healthy", boot=FIRST_BOOT, conn=1, err=None, config=None, event="heartbeat"):
    return Health(
        service="router", instance="router", status=status, ok=status == "healthy", ready=True,
        version="1.0.0", boot=boot, conn=conn, seq=1, interval_s=30,
        issued_at=utc_text(datetime.now(UTC)), event=event, config=config or ConfigState(),
        load=Load(rss_bytes=2_000_000, cpu_percent=3.4), err=err,
    )  # fmt: skip


def keeper(**more):
    return ConfigHealthPayload(
        **{
            "ok": True, "database_status": "healthy", "operational_mode": "normal",
            "config_epoch": "e", "schema_version": 2, "lkg_cache_valid": True,
            "litestream_status": "disabled", **more,
        }
    )  # fmt: skip


def fleet(*seen, now=0.0):
    found = Fleet()
    for message in seen:
        found.see(message, now)
    return found


def test_a_row_says_how_an_instance_is_what_it_runs_with_and_what_is_wrong():
    err = WireError(code="X", message="no model", retryable=False, hint="")
    config = ConfigState(source="lkg", stale=True, checksum="ab" * 32)
    (row,) = fleet(health("unhealthy", err=err, config=config)).rows(1.0)
    assert row == ("router", "unhealthy", "lkg, stale abababab", "2 MB", "3 %", "no model")


def test_who_is_silent_for_three_intervals_is_unknown_and_the_fleet_not_healthy():
    found = fleet(health())
    assert found.healthy(INTERVALS * 30)
    assert found.rows(INTERVALS * 30 + 1)[0][1] == "unknown"
    assert not found.healthy(INTERVALS * 30 + 1)
    assert fleet(health("offline")).rows(1e6)[0][1] == "offline"


def test_a_fleet_of_nobody_is_not_healthy():
    assert not Fleet().healthy(0)


def test_the_will_of_an_earlier_connection_says_nothing():
    found = fleet(health(boot=SECOND_BOOT, conn=2))
    found.see(health("offline", boot=SECOND_BOOT, conn=1, event="lwt"), 1)
    found.see(health("offline", boot=FIRST_BOOT, conn=9, event="lwt"), 1)
    assert found.rows(1)[0][1] == "healthy"
    found.see(health("offline", boot=SECOND_BOOT, conn=2, event="lwt"), 1)
    assert found.rows(1)[0][1] == "offline"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (keeper(), "healthy"),
        (keeper(ok=False, err="x"), "unhealthy"),
        (keeper(ok=False, event="lwt boot=1"), "offline"),
        (keeper(event="stopping boot=1"), "offline"),
        (keeper(event="birth boot=1"), "healthy"),
    ],
)
def test_config_manager_has_a_row_of_its_own(message, status):
    found = fleet(health())
    found.see_keeper(message, 0.0)
    row = found.rows(1.0)[0]
    assert row[:3] == ("config-manager", status, "healthy, normal")
    assert found.healthy(1.0) is (status == "healthy")


def test_a_silent_config_manager_is_unknown():
    found = fleet(health())
    found.see_keeper(keeper(), 0.0)
    assert found.rows(INTERVALS * KEEPER_INTERVAL_S + 1)[0][1] == "unknown"
