"""Secrets: in through one door, out through another, in clear nowhere else."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from config_manager.commands import Caller, RefusedError, SecretChange
from desk import MASTER, START, Desk, DeskClock
from parlour_config.sealing import MASKED, open_sealed, service_key
from parlour_contracts.config import CONFIGS, LLMWorkerConfig
from parlour_contracts.messages.requests import ConfigAnswer

SECRET = "sk-canary-0123456789"
OTHER = "sk-other-9876543210"
ADMIN = Caller("root", "admin")
WRITER = Caller("alice", "write")


async def put(
    desk: Desk, value: str, version: int, *, transaction: str | None = None, key: str = "api_key"
) -> ConfigAnswer:
    """Set the one secret that there is."""
    return await desk.commands.set_secret(
        SecretChange(WRITER, "llm-worker", key, value, version, transaction)
    )


async def with_secret(desk: Desk) -> None:
    answer = await put(desk, SECRET, 1)
    assert answer.status == "accepted"


def sealed(desk: Desk) -> Any:
    config = json.loads(
        desk.rows("SELECT config_json FROM service_configs WHERE service = 'llm-worker'")[0][0]
    )
    return config["api_key"]


@pytest.mark.threat(16)
@pytest.mark.req("C045", "C068")
async def test_a_secret_is_ciphertext_wherever_it_lies(desk: Desk) -> None:
    await with_secret(desk)
    await put(desk, OTHER, 2)

    everything = b"".join(
        path.read_bytes()
        for path in desk.path.parent.iterdir()
        if path.name.startswith("config.db")
    )
    assert SECRET.encode() not in everything
    assert OTHER.encode() not in everything
    box = sealed(desk)
    assert (
        open_sealed(
            box, {"m1": service_key(MASTER, "llm-worker")}, service="llm-worker", name="api_key"
        )
        == OTHER
    )
    ((encrypted, key_id),) = desk.rows("SELECT encrypted_value, key_id FROM encrypted_secrets")
    assert key_id == "m1"
    assert encrypted.startswith("v1:")
    assert desk.rows("SELECT value_json, is_secret FROM config_items WHERE key = 'api_key'") == [
        ('{"$masked":true}', 1)
    ]


@pytest.mark.threat(16)
@pytest.mark.req("C044", "C068")
async def test_answers_and_history_show_a_mask(desk: Desk) -> None:
    await with_secret(desk)
    await put(desk, OTHER, 2)
    await put(desk, SECRET, 3)

    got = await desk.ask("get", "llm-worker", role="read")
    history = await desk.ask("history", "llm-worker", key="api_key", role="read")
    found = await desk.ask("search", "_all", query="api_key", role="read")

    assert got.data["config"]["api_key"] == MASKED
    assert found.data["results"][0]["value_json"] == '{"$masked":true}'
    tags = [json.loads(row["new_value_json"]).get("tag") for row in history.data[:3]]
    assert tags[0] == tags[2] != tags[1]  # the same secret has the same tag
    assert len(tags[0]) == 16
    assert SECRET not in json.dumps([got.data, history.data, found.data])


async def test_a_mask_that_is_sent_back_leaves_the_secret_as_it_is(desk: Desk) -> None:
    await with_secret(desk)
    before = sealed(desk)
    config = await desk.config("llm-worker")

    whole = await desk.ask("set", "llm-worker", config={**config, "max_tokens": 99}, version=2)
    part = await desk.ask("patch", "llm-worker", config={"api_key": {"$masked": True}})

    assert whole.status == part.status == "accepted"
    assert sealed(desk) == before


@pytest.mark.parametrize(
    "value",
    [{"$masked": False}, {"$masked": True, "tag": "00"}, {"$secret": {}}, {"a": [{"$b": 1}]}],
)
async def test_no_other_object_with_a_dollar_is_taken(desk: Desk, value: Any) -> None:
    await with_secret(desk)

    answer = await desk.ask("patch", "llm-worker", config={"api_key": value})

    assert answer.error == "VALIDATION_FAILED"


@pytest.mark.parametrize("ending", ["null", "reset"])
async def test_a_secret_can_be_taken_away(desk: Desk, ending: str) -> None:
    await with_secret(desk)

    if ending == "null":
        answer = await desk.ask("patch", "llm-worker", config={"api_key": None})
    else:
        answer = await desk.ask("reset", "llm-worker", keys=["api_key"])

    assert answer.status == "accepted"
    assert sealed(desk) is None
    assert desk.rows("SELECT * FROM encrypted_secrets") == []


async def test_a_rollback_brings_the_secret_of_that_version_back(desk: Desk) -> None:
    await with_secret(desk)
    await put(desk, OTHER, 2)

    await desk.ask("rollback", "llm-worker", to_version=2, version=3)

    assert await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "test") == SECRET


@pytest.mark.parametrize(
    ("caller", "service", "key", "value", "version", "code"),
    [
        (Caller("eve", "read"), "llm-worker", "api_key", SECRET, 1, "FORBIDDEN"),
        (WRITER, "toaster", "api_key", SECRET, 1, "UNKNOWN_SERVICE"),
        (WRITER, "llm-worker", "api_kee", SECRET, 1, "UNKNOWN_KEY"),
        (WRITER, "llm-worker", "max_tokens", SECRET, 1, "VALIDATION_FAILED"),
        (WRITER, "llm-worker", "api_key", "tiny!", 1, "VALIDATION_FAILED"),
        (WRITER, "llm-worker", "api_key", SECRET, 9, "VERSION_CONFLICT"),
    ],
)
async def test_a_mistake_with_a_secret_changes_nothing(
    desk: Desk, caller: Caller, service: str, key: str, value: str, version: int, code: str
) -> None:
    answer = await desk.commands.set_secret(SecretChange(caller, service, key, value, version))

    assert answer.error == code
    assert value not in answer.model_dump_json()
    assert desk.rows("SELECT * FROM encrypted_secrets") == []


async def test_a_transaction_with_another_secret_is_refused_and_with_the_same_answered_again(
    desk: Desk,
) -> None:
    first = await put(desk, SECRET, 1, transaction="t-1")
    again = await put(desk, SECRET, 1, transaction="t-1")
    full_name = await put(desk, SECRET, 1, transaction="t-1", key="llm.api_key")
    other = await put(desk, OTHER, 1, transaction="t-1")

    assert (first.status, first.duplicate) == ("accepted", False)
    assert (again.data, again.duplicate) == (first.data, True)
    assert (full_name.data, full_name.duplicate) == (first.data, True)
    assert (other.code, other.error) == (409, "TRANSACTION_REUSED")
    assert OTHER not in other.model_dump_json()
    assert await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "test") == SECRET


async def test_two_secrets_of_one_moment_are_two_requests(tmp_path: Path) -> None:
    class Still(DeskClock):
        def wall(self) -> datetime:
            return START

    desk = await Desk(tmp_path, clock=Still()).open()
    await put(desk, SECRET, 1)

    other = await put(desk, OTHER, 2)
    seen = await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "test")
    await desk.close()

    assert (other.status, other.duplicate) == ("accepted", False)
    assert seen == OTHER


async def test_while_nothing_may_be_changed_a_retry_of_a_secret_gets_its_answer(desk: Desk) -> None:
    first = await put(desk, SECRET, 1, transaction="t-1")
    desk.gate, woken = RefusedError("READ_ONLY", "standing by"), desk.woken

    again = await put(desk, SECRET, 1, transaction="t-1")
    other = await put(desk, OTHER, 1, transaction="t-1")
    new = await put(desk, OTHER, 2, transaction="t-2")

    assert (again.data, again.duplicate) == (first.data, True)
    assert [other.error, new.error] == ["TRANSACTION_REUSED", "READ_ONLY"]
    assert desk.woken == woken


async def test_a_bug_with_a_secret_is_answered_and_shown_nowhere(
    desk: Desk, monkeypatch: Any, capsys: Any, caplog: Any
) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("config_manager.commands.commands.carry_out", broken)

    answer = await put(desk, SECRET, 1)

    assert (answer.code, answer.error) == (500, "INTERNAL")
    told = capsys.readouterr()
    assert "a request failed" in told.out + told.err + caplog.text
    assert SECRET not in answer.model_dump_json() + told.out + told.err + caplog.text


def test_the_text_of_a_change_does_not_show_the_secret() -> None:
    assert SECRET not in repr(SecretChange(WRITER, "llm-worker", "api_key", SECRET, 1))


@pytest.mark.req("C077")
async def test_revealing_is_recorded_before_it_happens(desk: Desk) -> None:
    await with_secret(desk)

    assert await desk.commands.reveal(ADMIN, "llm-worker", "llm.api_key", "server moved") == SECRET

    assert desk.rows(
        "SELECT user_id, action, service, key, success, reason FROM access_log "
        "ORDER BY id DESC LIMIT 1"
    ) == [("root", "reveal_secret", "llm-worker", "llm.api_key", 1, "server moved")]
    assert (await desk.commands.verify_audit()).ok


async def test_nothing_is_revealed_when_it_cannot_be_recorded(desk: Desk, monkeypatch: Any) -> None:
    await with_secret(desk)
    monkeypatch.setattr("config_manager.store.WAITING_CHANGES", 0)

    with pytest.raises(RefusedError) as refused:
        await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "server moved")

    assert refused.value.code == "BUSY"


@pytest.mark.parametrize(
    ("caller", "key", "reason", "code"),
    [
        (WRITER, "api_key", "curious", "FORBIDDEN"),
        (ADMIN, "api_key", " ", "INVALID_REQUEST"),
        (ADMIN, "max_tokens", "curious", "VALIDATION_FAILED"),
        (ADMIN, "nothing", "curious", "UNKNOWN_KEY"),
    ],
)
async def test_who_may_not_see_a_secret_is_told_and_recorded(
    desk: Desk, caller: Caller, key: str, reason: str, code: str
) -> None:
    await with_secret(desk)

    with pytest.raises(RefusedError) as refused:
        await desk.commands.reveal(caller, "llm-worker", key, reason)

    assert refused.value.code == code
    assert desk.rows("SELECT success, reason FROM access_log ORDER BY id DESC LIMIT 1") == [
        (0, code)
    ]


async def test_a_secret_that_was_never_set_is_not_found(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="is not set"):
        await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "test")


@pytest.mark.req("C071")
async def test_secrets_move_to_another_master_key_as_new_versions(desk: Desk) -> None:
    await with_secret(desk)
    new = hashlib.sha256(b"new master").digest()
    desk.use_master("m2", {"m1": MASTER, "m2": new})

    done = [await desk.commands.rewrap(), await desk.commands.rewrap()]

    assert done == [1, 0]
    assert sealed(desk)["$secret"]["kid"] == "m2"
    assert desk.rows("SELECT key_id FROM encrypted_secrets") == [("m2",)]
    assert desk.rows("SELECT version, updated_by FROM service_configs WHERE version = 3") == [
        (3, "system:rewrap")
    ]
    desk.use_master("m2", {"m2": new})
    assert await desk.commands.unreadable_secrets() == []
    assert await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "test") == SECRET


async def test_secrets_of_a_service_that_this_release_dropped_move_as_well(tmp_path: Path) -> None:
    earlier = await Desk(tmp_path, models={**CONFIGS, "lamp": LLMWorkerConfig}).open()
    await earlier.commands.set_secret(SecretChange(WRITER, "lamp", "api_key", OTHER, 1))
    await earlier.close()
    desk = await Desk(tmp_path).open()
    await with_secret(desk)
    new = hashlib.sha256(b"new master").digest()
    desk.use_master("m2", {"m1": MASTER, "m2": new})
    described = desk.rows("SELECT * FROM config_items WHERE service = 'lamp' ORDER BY key")

    done = [await desk.commands.rewrap(), await desk.commands.rewrap()]
    desk.use_master("m2", {"m2": new})
    unreadable = await desk.commands.unreadable_secrets()
    audit = await desk.commands.verify_audit()
    await desk.close()

    assert (done, unreadable, audit.ok) == ([2, 0], [], True)
    assert desk.rows("SELECT service, key_id FROM encrypted_secrets ORDER BY service") == [
        ("lamp", "m2"), ("llm-worker", "m2"),
    ]  # fmt: skip
    assert desk.rows(
        "SELECT max(version) FROM service_config_snapshots WHERE service = 'lamp'"
    ) == [(3,)]
    assert desk.rows("SELECT * FROM config_items WHERE service = 'lamp' ORDER BY key") == described


async def test_a_secret_of_a_retired_key_cannot_be_rolled_back_to(desk: Desk) -> None:
    await with_secret(desk)
    new = hashlib.sha256(b"new master").digest()
    desk.use_master("m2", {"m1": MASTER, "m2": new})
    await desk.commands.rewrap()
    kept = await desk.ask("rollback", "llm-worker", to_version=2, version=3)
    desk.use_master("m2", {"m2": new})

    refused = await desk.ask("rollback", "llm-worker", to_version=2, version=4)

    assert kept.status == "accepted"
    assert sealed(desk)["$secret"]["kid"] == "m2"
    assert refused.error == "VALIDATION_FAILED"
    assert refused.message is not None
    assert "master key was retired" in refused.message


@pytest.mark.threat(17)
async def test_a_ciphertext_that_was_moved_does_not_open(desk: Desk, tmp_path: Path) -> None:
    await with_secret(desk)
    desk.write("UPDATE encrypted_secrets SET key_id = 'm2'")
    desk.use_master("m1", {"m1": MASTER, "m2": MASTER})

    assert await desk.commands.unreadable_secrets() == [("llm-worker", "api_key")]
    with pytest.raises(RefusedError, match="does not open"):
        await desk.commands.reveal(ADMIN, "llm-worker", "api_key", "test")
