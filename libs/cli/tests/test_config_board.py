"""Unit: desired against applied, as `parlour config watch` shows it."""

from __future__ import annotations

from io import StringIO

from parlour_cli.config.board import HEAD, Board
from parlour_cli.config.watching import table_of
from parlour_contracts.messages.requests import ConfigApplied
from rich.console import Console

WANTED, OTHER = "a" * 64, "b" * 64
AT = "2026-01-02T03:04:05.000006Z"


def applied(instance, checksum=WANTED, status="applied", error=None, source="mqtt"):
    return ConfigApplied.model_validate({
        "service": "router", "instance": instance, "boot_id": "b", "config_epoch": None,
        "issued_at": AT if checksum else None, "checksum": checksum, "keyset_version": 1,
        "status": status, "source": source, "error": error, "applied_at": AT, "lkg_age_s": None,
    })  # fmt: skip


def board(*reports):
    found = Board()
    found.want("router", WANTED)
    for report in reports:
        found.report(report)
    return found


def statuses(*reports):
    return {row[1]: row[2] for row in board(*reports).rows()}


def test_an_instance_runs_with_what_is_wanted_or_is_waiting_for_it():
    assert statuses(applied("router"), applied("router-2", OTHER)) == {
        "router": "applied",
        "router-2": "waiting",
    }


def test_a_refusal_shows_its_code_and_a_restart_that_is_due_shows_as_such():
    found = statuses(
        applied("a", OTHER, "rejected", "SCHEMA_INVALID"), applied("b", OTHER, "pending_restart")
    )
    assert found == {"a": "rejected: SCHEMA_INVALID", "b": "pending_restart"}


def test_the_newest_report_of_an_instance_counts():
    assert statuses(applied("a", OTHER), applied("a", WANTED)) == {"a": "applied"}


def test_before_config_manager_said_what_is_wanted_nobody_is_late():
    found = Board()
    found.report(applied("router", OTHER))
    assert found.rows()[0][2] == "applied"


def test_an_instance_on_defaults_has_neither_checksum_nor_time():
    (row,) = board(applied("router", None, source="default")).rows()
    assert row == ("router", "router", "waiting", "-", "default", "-")


def test_the_table_has_a_row_for_each_instance():
    text = StringIO()
    Console(file=text, width=120).print(
        table_of(board(applied("a"), applied("b", OTHER, "stale", "STALE")))
    )
    lines = text.getvalue().splitlines()
    assert lines[0].split() == list(HEAD)
    assert lines[1].split() == ["router", "a", "applied", "a" * 12, "mqtt", AT]
    assert lines[2].split()[1:4] == ["b", "stale:", "STALE"]
