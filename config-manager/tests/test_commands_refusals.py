"""Every mistake gets its own code, a sentence and a hint, and changes nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from config_manager.commands import Caller, RefusedError, Request, SyncState, body_digest
from config_manager.errors import StorageFullError
from desk import Desk
from parlour_contracts.messages.requests import STATUS_OF, ConfigRequest

CANARY = "nobody-may-see-this"


def everything(desk: Desk) -> list[Any]:
    """What a refusal must leave as it was."""
    return [
        desk.rows(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("service_configs", "service_config_snapshots", "config_items",
                      "config_history", "encrypted_secrets", "outbox", "transactions",
                      "clock_floor", "epochs")
    ]  # fmt: skip


MISTAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "an op that does not exist": ("UNKNOWN_OP", {"op": "ptch", "service": "tts-worker"}),
    "a service that does not exist": (
        "UNKNOWN_SERVICE", {"op": "patch", "service": "toaster", "config": {"heat": 3}}),
    "a service in place of all": ("INVALID_REQUEST", {"op": "list", "service": "tts-worker"}),
    "all in place of a service": ("INVALID_REQUEST", {"op": "get", "service": "_all"}),
    "another service in the body": (
        "INVALID_REQUEST",
        {"op": "patch", "service": "tts-worker", "body_service": "router", "config": {"speed": 2}},
    ),
    "a field of another op": (
        "INVALID_REQUEST", {"op": "patch", "config": {"speed": 2}, "to_version": 1}),
    "a patch without settings": ("INVALID_REQUEST", {"op": "patch"}),
    "a set without a version": ("INVALID_REQUEST", {"op": "set", "config": {"speed": 2}}),
    "a rollback without a version": ("INVALID_REQUEST", {"op": "rollback", "to_version": 1}),
    "an incomplete set": ("VALIDATION_FAILED", {"op": "set", "config": {"speed": 2}, "version": 1}),
    "a key that does not exist": ("UNKNOWN_KEY", {"op": "patch", "config": {"volume": CANARY}}),
    "a key to reset that does not exist": ("UNKNOWN_KEY", {"op": "reset", "keys": ["volume"]}),
    "a text for a number": (
        "VALIDATION_FAILED", {"op": "patch", "config": {"volume_percent": CANARY}}),
    "true for an integer": ("VALIDATION_FAILED", {"op": "patch", "config": {"volume_percent": True}}),
    "a fraction for an integer": (
        "VALIDATION_FAILED", {"op": "patch", "config": {"volume_percent": 0.5}}),
    "a number that is too large": (
        "VALIDATION_FAILED", {"op": "patch", "config": {"volume_percent": 201}}),
    "a name that is kept for secrets": (
        "VALIDATION_FAILED", {"op": "patch", "config": {"piper_voice": {"$secret": {}}}}),
    "a mask where there is no secret": (
        "VALIDATION_FAILED", {"op": "patch", "config": {"piper_voice": {"$masked": True}}}),
    "a minimum above the maximum": (
        "VALIDATION_FAILED",
        {"op": "patch", "service": "router", "config": {"router_stream_min_chars": 300}}),
    "a server without its address": (
        "VALIDATION_FAILED",
        {"op": "patch", "service": "stt-worker", "config": {"stt_backend": "ws"}}),
    "an expression that does not compile": (
        "VALIDATION_FAILED",
        {"op": "patch", "service": "router", "config": {"router_stream_boundary_regex": "("}}),
    "a secret over MQTT": (
        "SECRET_OVER_MQTT",
        {"op": "patch", "service": "llm-worker", "config": {"api_key": CANARY}}),
    "a secret among settings over REST": (
        "VALIDATION_FAILED",
        {"op": "patch", "service": "llm-worker", "config": {"api_key": CANARY}, "via": "rest"}),
    "an old version": (
        "VERSION_CONFLICT", {"op": "patch", "config": {"speed": 2}, "version": 7}),
    "another epoch": (
        "EPOCH_CONFLICT",
        {"op": "patch", "config": {"speed": 2},
         "config_epoch": "550e8400-e29b-41d4-a716-446655440000"}),
    "a version that never was": (
        "UNKNOWN_VERSION", {"op": "rollback", "to_version": 9, "version": 1}),
    "a reader who writes": ("FORBIDDEN", {"op": "patch", "config": {"speed": 2}, "role": "read"}),
    "a service that writes": (
        "FORBIDDEN",
        {"op": "patch", "config": {"speed": 2}, "role": "instance", "instance_of": "tts-worker"}),
    "a service that asks for another's settings": (
        "FORBIDDEN",
        {"op": "resend", "service": "router", "role": "instance", "instance_of": "tts-worker"}),
    "a service that reads": (
        "FORBIDDEN", {"op": "get", "role": "instance", "instance_of": "tts-worker"}),
}  # fmt: skip


@pytest.mark.req("C048", "C049", "C075", "C077", "F16")
@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_named_explained_recorded_and_changes_nothing(
    desk: Desk, mistake: str
) -> None:
    code, request = MISTAKES[mistake]
    request = dict(request)
    if "body_service" in request:
        request["service_in_body"] = request.pop("body_service")
    before, woken = everything(desk), desk.woken

    answer = await ask(desk, request)

    assert (answer.status, answer.error) == ("rejected", code)
    assert answer.code == STATUS_OF[code]  # type: ignore[index]
    assert answer.message
    assert len(answer.message) > 15
    assert answer.hint
    text = answer.model_dump_json()
    assert CANARY not in text
    assert everything(desk) == before
    assert desk.woken == woken
    action, success, reason = desk.rows(
        "SELECT action, success, reason FROM access_log ORDER BY id DESC LIMIT 1"
    )[0]
    assert success == 0
    assert code in reason
    denied = code in ("FORBIDDEN", "SECRET_OVER_MQTT")
    assert (action == "unauthorized") is denied
    assert CANARY not in json.dumps(desk.rows("SELECT * FROM access_log"))
    assert (await desk.commands.verify_audit()).ok


async def ask(desk: Desk, request: dict[str, Any]) -> Any:
    fields = dict(request)
    other = fields.pop("service_in_body", None)
    if other is None:
        return await desk.ask(fields.pop("op"), fields.pop("service", "tts-worker"), **fields)
    body = ConfigRequest(service=other, config=fields["config"])
    return await desk.commands.execute(
        Request(
            Caller("alice", "write"), fields["op"], fields["service"], body,
            body_digest(fields["op"], fields["service"], body), "t-1", False, "mqtt",
        )
    )  # fmt: skip


async def test_an_unknown_setting_is_answered_with_the_nearest_name(desk: Desk) -> None:
    answer = await desk.ask("patch", config={"volum_percent": 3, "sped": 1})

    assert answer.details is not None
    assert {problem.key: problem.problem for problem in answer.details} == {
        "volum_percent": "unknown setting; did you mean volume_percent?",
        "sped": "unknown setting; did you mean speed?",
    }


async def test_all_problems_of_a_change_are_named_at_once_with_what_is_allowed(desk: Desk) -> None:
    answer = await desk.ask("patch", config={"volume_percent": 900, "speed": 9, "threads": -1})

    assert answer.details is not None
    assert {p.key: p.allowed for p in answer.details} == {
        "volume_percent": "0 to 200", "speed": "0.25 to 4", "threads": "0 to 64",
    }  # fmt: skip


@pytest.mark.req("C077")
async def test_a_flood_of_denials_is_one_row_a_second_with_a_count(desk: Desk) -> None:
    for _ in range(50):
        await desk.ask("patch", config={"speed": 2}, role="read")
    desk.clock.move(1)
    await desk.ask("patch", config={"speed": 2}, role="read")
    for _ in range(3):
        await desk.ask("patch", config={"speed": 2}, role="read")
    await desk.commands.housekeeping()

    rows = desk.rows("SELECT reason FROM access_log WHERE action = 'unauthorized' ORDER BY id")
    assert rows == [
        ("patch: FORBIDDEN",),
        ("patch: FORBIDDEN; 49 more before it",),
        ("3 more denials",),
    ]


async def test_a_bug_is_answered_without_its_text(desk: Desk, monkeypatch: Any) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("config_manager.commands.commands.carry_out", broken)

    answer = await desk.ask("patch", config={"speed": 2})

    assert (answer.code, answer.error) == (500, "INTERNAL")
    assert CANARY not in answer.model_dump_json()


async def test_a_locked_database_is_unavailable_and_the_request_may_be_repeated(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = await desk.ask("patch", config={"speed": 2}, transaction="t-1")
        other.execute("ROLLBACK")
    again = await desk.ask("patch", config={"speed": 2}, transaction="t-1")

    assert (locked.code, locked.error) == (503, "DB_UNAVAILABLE")
    assert locked.retry_after_s
    assert (again.status, again.duplicate) == ("accepted", False)


@pytest.mark.threat(19)
async def test_a_full_disk_is_507_and_the_refusal_is_recorded_in_the_reserve(desk: Desk) -> None:
    reserve = desk.path.with_name("reserve.bin")
    held = reserve.stat().st_size
    pages = desk.rows("PRAGMA page_count")[0][0]

    def limit(db: sqlite3.Connection, pages: int) -> None:
        db.execute(f"PRAGMA max_page_count = {pages}")

    def small(db: sqlite3.Connection) -> None:
        limit(db, pages)

    await desk.in_database(small)
    full = None
    for number in range(200):
        answer = await desk.ask(
            "patch", "router", config={"system_prompt": f"{number} " + "x" * 4000}
        )
        if answer.status == "rejected":
            full = answer
            break

    assert held == 4 * 1024 * 1024
    assert full is not None
    assert (full.code, full.error) == (507, "STORAGE_FULL")
    assert not reserve.exists()
    assert isinstance(desk.store.condition.error, StorageFullError)
    assert desk.store.condition.mode == "read-only-fallback"
    await desk.in_database(lambda db: limit(db, 1_000_000))
    assert (await desk.store.look()).ok
    assert reserve.stat().st_size == held
    assert (await desk.ask("patch", config={"speed": 2})).status == "accepted"
    assert (await desk.commands.verify_audit()).ok


async def test_too_many_waiting_changes_are_busy(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("config_manager.store.WAITING_CHANGES", 0)

    answer = await desk.ask("patch", config={"speed": 2})

    assert (answer.code, answer.error) == (503, "BUSY")
    assert answer.retry_after_s


@pytest.mark.req("X9")
async def test_a_key_from_the_environment_is_read_only(tmp_path: Path) -> None:
    desk = await Desk(tmp_path, read_only={"llm-worker": frozenset({"api_key"})}).open()

    config = await desk.config("llm-worker")
    got = await desk.ask("get", "llm-worker", role="read")
    answer = await desk.ask("patch", "llm-worker", config={"api_key": None})
    whole = await desk.ask("set", "llm-worker", config=config, version=1)
    await desk.close()

    assert "api_key" not in config
    assert got.data["metadata"]["sources"]["api_key"] == "env"
    assert (answer.code, answer.error) == (422, "READ_ONLY_KEY")
    assert whole.status == "accepted"


async def test_what_closes_the_gate_is_told_to_writers_and_not_to_readers(desk: Desk) -> None:
    desk.gate = RefusedError("READ_ONLY", "the epoch is in conflict", hint="run takeover")
    desk.sync = SyncState(in_sync=False, lagging=("tts-worker-2",))

    write = await desk.ask("patch", config={"speed": 2})
    resend = await desk.ask("resend")
    read = await desk.ask("get", role="read")

    assert write.code == resend.code == 423
    assert write.message == "the epoch is in conflict"
    assert read.status == "accepted"
    assert read.data["metadata"]["lagging"] == ["tts-worker-2"]
