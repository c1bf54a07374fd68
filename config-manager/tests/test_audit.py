"""The audit chain: whatever is altered afterwards, it shows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from config_manager.audit import START, Chain, verify
from config_manager.tables.access import AccessRow
from desk import Desk
from parlour_config.canonical import canonical
from parlour_contracts.messages.signed import moment_text

DAY_S = 86_400
AT = "2026-11-01T12:00:00.000000Z"


async def filled(desk: Desk) -> None:
    for value in (10, 20, 30):
        await desk.ask("patch", config={"volume_percent": value}, reason="because")
    await desk.ask("patch", config={"volume_percent": 300})
    await desk.in_database(
        lambda db: Chain(db).lifecycle("takeover", AT, "alice", reason="a test", above=None)
    )


@pytest.mark.req("C077")
async def test_every_row_of_history_and_access_is_in_the_chain(desk: Desk) -> None:
    await filled(desk)

    report = await desk.commands.verify_audit()

    assert report.ok
    assert (
        report.rows
        == desk.rows(
            "SELECT (SELECT count(*) FROM config_history) + (SELECT count(*) FROM access_log) + 1"
        )[0][0]
    )
    assert [(report.head,)] == desk.rows("SELECT head FROM audit_chain ORDER BY seq DESC LIMIT 1")


async def test_the_heads_are_made_as_the_protocol_says(desk: Desk) -> None:
    assert hashlib.sha256(b"parlour/audit/v1").hexdigest() == START
    row = desk.rows("SELECT * FROM config_history ORDER BY id LIMIT 1")[0]
    names = ("id", "service", "key", "old_value_json", "new_value_json", "changed_at",
             "changed_by", "change_reason")  # fmt: skip
    body = {"source": "config_history", **dict(zip(names, row, strict=True))}

    expected = hashlib.sha256(bytes.fromhex(START) + canonical(body)).hexdigest()

    assert desk.rows("SELECT head FROM audit_chain WHERE seq = 1") == [(expected,)]


FORGERIES = {
    "a changed value": "UPDATE config_history SET new_value_json = '99' WHERE id = 52",
    "a changed user": "UPDATE config_history SET changed_by = 'mallory' WHERE id = 51",
    "a changed time": "UPDATE config_history SET changed_at = '2020' WHERE id = 51",
    "a removed change": "DELETE FROM config_history WHERE id = 52",
    "a removed request": "DELETE FROM access_log WHERE id = 6",
    "a refusal that became a success": "UPDATE access_log SET success = 1 WHERE success = 0",
    "a change that nobody made": "INSERT INTO config_history (service, key, new_value_json, "
    "changed_at) VALUES ('router', 'threads', '1', 'now')",
    "a request that nobody made": "INSERT INTO access_log (action, success, timestamp) "
    "VALUES ('read', 1, 'now')",
    "a changed event": "UPDATE audit_chain SET row_json = replace(row_json, 'alice', 'bob') "
    "WHERE source = 'lifecycle'",
    "a removed row of the chain": "DELETE FROM audit_chain WHERE seq = 50",
    "a changed head": "UPDATE audit_chain SET head = replace(head, 'a', 'b') WHERE seq = 50",
    "two rows that changed places": "UPDATE audit_chain SET row_id = CASE row_id WHEN 51 THEN 52 "
    "ELSE 51 END WHERE source = 'config_history' AND row_id IN (51, 52)",
}


@pytest.mark.threat(27)
@pytest.mark.req("C077")
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_shows(desk: Desk, forgery: str) -> None:
    await filled(desk)
    desk.write(FORGERIES[forgery])

    report = await desk.commands.verify_audit()

    assert not report.ok
    assert report.problem
    assert report.first_bad is not None


@pytest.mark.threat(27)
async def test_a_chain_that_was_cut_short_shows_by_its_head(desk: Desk) -> None:
    await filled(desk)
    head = (await desk.commands.verify_audit()).head
    desk.write("DELETE FROM audit_chain WHERE source = 'lifecycle'")

    report = await desk.store.read(verify)

    assert report.ok  # the rest is whole; only the head that a heartbeat told tells more
    assert report.head != head


@pytest.mark.req("C046", "C077")
async def test_old_requests_are_pruned_without_a_gap_in_the_chain(desk: Desk) -> None:
    await filled(desk)
    old = desk.rows("SELECT count(*) FROM access_log")[0][0]
    desk.clock.move(91 * 86_400)
    await desk.ask("patch", config={"volume_percent": 50})

    await desk.commands.housekeeping()
    await desk.commands.housekeeping()

    assert desk.rows("SELECT count(*) FROM access_log") == [(1,)]
    anchors = desk.rows("SELECT row_json FROM audit_chain WHERE source = 'anchor'")
    assert len(anchors) == 1
    assert json.loads(anchors[0][0])["access_up_to"] == old
    report = await desk.commands.verify_audit()
    assert report.ok
    await desk.ask("patch", config={"volume_percent": 51})
    assert (await desk.commands.verify_audit()).ok


@pytest.mark.req("C046")
async def test_the_chain_is_anchored_once_a_day_while_requests_grow_old_by_the_hour(
    desk: Desk,
) -> None:
    start = desk.clock.now

    def ask_hourly(db: sqlite3.Connection) -> None:
        chain = Chain(db)
        for hour in range(5 * 24):
            at = moment_text(start + timedelta(hours=hour))
            chain.access(AccessRow("bob", "read", "router", None, True, "1 get", at))

    await desk.in_database(ask_hourly)
    desk.clock.move(90 * DAY_S)
    oldest = []
    for _ in range(5 * 24):
        await desk.commands.housekeeping()
        oldest.append(desk.rows("SELECT min(timestamp) FROM access_log")[0][0])
        desk.clock.move(DAY_S / 24)

    anchors = desk.rows("SELECT count(*) FROM audit_chain WHERE source = 'anchor'")[0][0]
    assert 3 <= anchors <= 5
    assert all(
        at is None or moment_text(start + timedelta(days=hour / 24 - 1.1)) < at
        for hour, at in enumerate(oldest)
    )
    assert (await desk.commands.verify_audit()).ok


async def test_one_request_with_a_wrong_old_time_has_the_chain_anchored_no_more_often(
    desk: Desk,
) -> None:
    start = desk.clock.now

    def ask(db: sqlite3.Connection) -> None:
        chain = Chain(db)
        for at in (start, *(start + timedelta(hours=n) for n in range(24)), start - timedelta(30)):
            row = AccessRow("bob", "read", "router", None, True, "1 get", moment_text(at))
            chain.access(row)

    await desk.in_database(ask)
    desk.clock.move(90 * DAY_S)
    for _ in range(24):
        await desk.commands.housekeeping()
        desk.clock.move(DAY_S / 24)

    assert desk.rows("SELECT count(*) FROM audit_chain WHERE source = 'anchor'") == [(0,)]


async def test_without_a_trusted_clock_nothing_is_pruned(desk: Desk) -> None:
    await filled(desk)
    desk.trusted = False
    desk.clock.move(10_000 * 86_400)

    await desk.commands.housekeeping()

    assert desk.rows("SELECT count(*) FROM audit_chain WHERE source = 'anchor'") == [(0,)]
    assert desk.rows("SELECT count(*) FROM transactions") == [(3,)]


PRUNED_FORGERIES = {
    "a change before the anchor": "UPDATE config_history SET changed_by = 'eve' WHERE id = 3",
    "a head before the anchor": "UPDATE audit_chain SET head = replace(head, '0', '1') "
    "WHERE source = 'access_log' AND seq < 60",
    "the anchor": "UPDATE audit_chain SET row_json = replace(row_json, '\"access_up_to\":', "
    "'\"access_up_to\":1') WHERE source = 'anchor'",
    "a request after the anchor": "DELETE FROM access_log",
}


@pytest.mark.parametrize("forgery", PRUNED_FORGERIES)
async def test_a_forgery_beside_pruned_rows_shows(desk: Desk, forgery: str) -> None:
    await filled(desk)
    desk.clock.move(91 * 86_400)
    await desk.ask("patch", config={"volume_percent": 50})
    await desk.commands.housekeeping()
    desk.write(PRUNED_FORGERIES[forgery])

    assert not (await desk.store.read(verify)).ok


async def test_rewriting_every_head_before_an_anchor_shows_too(desk: Desk) -> None:
    await filled(desk)
    desk.clock.move(91 * 86_400)
    await desk.commands.housekeeping()
    # Mallory changes the first row and makes a new head for it, up to the first pruned row.
    desk.write("UPDATE config_history SET changed_by = 'mallory' WHERE id = 1")
    row = desk.rows("SELECT * FROM config_history ORDER BY id LIMIT 1")[0]
    names = ("id", "service", "key", "old_value_json", "new_value_json", "changed_at",
             "changed_by", "change_reason")  # fmt: skip
    body = {"source": "config_history", **dict(zip(names, row, strict=True))}
    forged = hashlib.sha256(bytes.fromhex(START) + canonical(body)).hexdigest()
    desk.write("UPDATE audit_chain SET head = ? WHERE seq = 1", forged)

    report = await desk.store.read(verify)

    assert not report.ok


@pytest.mark.threat(27)
async def test_a_change_whose_audit_fails_is_not_made(desk: Desk, tmp_path: Path) -> None:
    desk.write(
        "CREATE TRIGGER no_audit BEFORE INSERT ON audit_chain BEGIN SELECT RAISE(ABORT, 'no'); END"
    )

    answer = await desk.ask("patch", config={"volume_percent": 1})

    assert answer.status == "rejected"
    assert desk.rows("SELECT version FROM service_configs WHERE service = 'tts-worker'") == [(1,)]
