"""Changes: one transaction each, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from config_manager.commands import RefusedError
from config_manager.tables import configs, snapshots, transactions
from desk import SIGNING, Desk
from parlour_config.canonical import canonical
from parlour_config.clock import parse_moment
from parlour_config.signing import TrustedKey
from parlour_config.update import check_update, read_update
from parlour_contracts.config import CONFIGS, RouterConfig, ServiceConfigModel
from parlour_contracts.config.fields import setting
from parlour_contracts.messages.configuration import ServiceConfig
from parlour_contracts.messages.signed import moment_text

TRUSTED = [TrustedKey.of(SIGNING.public)]


def newest_message(desk: Desk, service: str = "tts-worker") -> Any:
    """The last message for a service in the outbox, verified."""
    (payload,) = desk.rows(
        "SELECT payload FROM outbox WHERE topic = ? ORDER BY id DESC LIMIT 1",
        f"system/config/{service}",
    )[0]
    update = read_update(payload)
    assert check_update(update, TRUSTED, kid_hint=None) == SIGNING.kid
    return update


@pytest.mark.req("C050", "C065", "C076", "X2", "X26")
async def test_an_accepted_change_is_one_version_with_everything_that_belongs_to_it(
    desk: Desk,
) -> None:
    before = await desk.version()

    answer = await desk.ask(
        "patch", config={"volume_percent": 40}, transaction="t-1", reason="quiet"
    )

    assert (answer.status, answer.code, answer.error) == ("accepted", 200, None)
    assert answer.data == {"success": True, "new_version": before + 1, "error": None}
    row = desk.rows("SELECT * FROM service_configs WHERE service = 'tts-worker'")[0]
    config = json.loads(row[1])
    assert config["volume_percent"] == 40
    assert row[1].encode() == canonical(config)  # the settings alone, in their canonical text
    assert row[2:] == (before + 1, answer.config_epoch, answer.issued_at, "alice")
    assert desk.rows(
        "SELECT config_json, config_epoch, changed_by, change_reason, transaction_id, checksum "
        "FROM service_config_snapshots WHERE service = 'tts-worker' AND version = ?",
        before + 1,
    ) == [(row[1], row[3], "alice", "quiet", "t-1", hashlib.sha256(row[1].encode()).hexdigest())]
    assert desk.rows(
        "SELECT value_json, updated_by FROM config_items "
        "WHERE service = 'tts-worker' AND key = 'volume_percent'"
    ) == [("40", "alice")]
    assert desk.rows(
        "SELECT key, old_value_json, new_value_json, changed_by, change_reason "
        "FROM config_history ORDER BY id DESC LIMIT 1"
    ) == [("volume_percent", "100", "40", "alice", "quiet")]
    assert desk.rows(
        "SELECT user_id, action, service, key, success, reason FROM access_log "
        "ORDER BY id DESC LIMIT 1"
    ) == [("alice", "write", "tts-worker", "volume_percent", 1, "patch")]
    assert desk.rows("SELECT floor FROM clock_floor") == [(answer.issued_at,)]
    update = newest_message(desk)
    assert (update.config, update.issued_at) == (config, answer.issued_at)
    assert json.loads(update.raw)["version"] == 1  # of the format, never the row's
    assert desk.woken >= 1


@pytest.mark.req("C006")
async def test_a_row_is_s2s_service_config(desk: Desk) -> None:
    row = await desk.store.read(lambda db: configs.find(db, "router"))

    assert row is not None
    model = ServiceConfig(
        service=row.service,
        config=row.config,
        version=row.version,
        updated_at=parse_moment(row.updated_at),
        config_epoch=row.config_epoch,
    )
    assert RouterConfig.model_validate(model.config) == RouterConfig()
    assert moment_text(model.updated_at) == row.updated_at


@pytest.mark.req("C050")
async def test_a_change_that_changes_nothing_is_still_a_new_version(desk: Desk) -> None:
    history = desk.rows("SELECT count(*) FROM config_history")

    answers = [await desk.ask("patch", config={"volume_percent": 100}) for _ in range(2)]

    assert [a.data["new_version"] for a in answers] == [2, 3]
    assert desk.rows("SELECT count(*) FROM config_history") == history


@pytest.mark.req("C038", "C050")
async def test_set_replaces_everything_when_the_version_is_the_one_that_was_read(
    desk: Desk,
) -> None:
    config = await desk.config()

    answer = await desk.ask("set", config={**config, "speed": 1.5, "threads": 2}, version=1)
    late = await desk.ask("set", config=config, version=1)

    assert answer.status == "accepted"
    assert (await desk.config())["speed"] == 1.5
    assert (late.code, late.error, late.current_version) == (409, "VERSION_CONFLICT", 2)
    assert late.message == "expected version 1, current is 2"
    assert late.data == {"success": False, "new_version": None, "error": "VERSION_CONFLICT"}


async def test_a_patch_without_a_version_takes_the_newest_and_null_is_a_value(desk: Desk) -> None:
    url = "ws://recogniser:2700"
    await desk.ask("patch", "stt-worker", config={"stt_backend": "ws", "ws_url": url})

    refused = await desk.ask("patch", "stt-worker", config={"ws_url": None})
    answer = await desk.ask(
        "patch", "stt-worker", config={"stt_backend": "whisper", "ws_url": None}
    )

    assert refused.error == "VALIDATION_FAILED"  # a rule between two keys
    assert answer.status == "accepted"
    assert (await desk.config("stt-worker"))["ws_url"] is None


async def test_reset_brings_defaults_back_for_some_keys_or_for_all(desk: Desk) -> None:
    await desk.ask("patch", config={"volume_percent": 40, "speed": 2, "threads": 1})

    some = await desk.ask("reset", keys=["tts.volume_percent", "threads"])
    partly = await desk.config()
    everything = await desk.ask("reset")

    assert some.status == everything.status == "accepted"
    assert (partly["volume_percent"], partly["threads"], partly["speed"]) == (100, 0, 2)
    assert (await desk.config())["speed"] == 1
    assert await desk.version() == 4


@pytest.mark.req("C082")
async def test_rollback_is_a_new_version_with_old_contents_and_is_published(desk: Desk) -> None:
    await desk.ask("patch", config={"volume_percent": 40})
    await desk.ask("patch", config={"speed": 2})

    answer = await desk.ask("rollback", to_version=1, version=3)

    assert answer.data["new_version"] == 4
    config = await desk.config()
    assert (config["volume_percent"], config["speed"]) == (100, 1)
    assert newest_message(desk).config == config
    first, last = await desk.store.read(
        lambda db: [snapshots.find(db, "tts-worker", version) for version in (1, 4)]
    )
    assert first.checksum == last.checksum
    assert first.config_json == last.config_json
    assert last.change_reason == "rollback to version 1"


@pytest.mark.req("C050")
async def test_a_retry_gets_its_first_answer_and_is_not_carried_out_again(desk: Desk) -> None:
    first = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")
    again = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")
    by_rest = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1", via="rest")
    by_another = await desk.ask("patch", config={"speed": 2}, transaction="t-1", user="bob")

    assert not first.duplicate
    assert again == by_rest == first.model_copy(update={"duplicate": True})
    assert by_another.data["new_version"] == 3  # ids are each user's own
    assert await desk.version() == 3


@pytest.mark.threat(12)
async def test_an_id_for_another_request_is_refused(desk: Desk) -> None:
    await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")

    other_body = await desk.ask("patch", config={"volume_percent": 41}, transaction="t-1")
    other_op = await desk.ask("reset", transaction="t-1")

    assert other_body.error == other_op.error == "TRANSACTION_REUSED"
    assert other_body.code == 409
    assert await desk.version() == 2


async def test_a_refused_id_may_be_used_again(desk: Desk) -> None:
    refused = await desk.ask("patch", config={"volume_percent": 400}, transaction="t-1")
    answer = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")

    assert (refused.status, answer.status) == ("rejected", "accepted")


async def test_a_request_without_an_id_counts_as_a_repeat_for_thirty_seconds(desk: Desk) -> None:
    first = await desk.ask("patch", config={"volume_percent": 40}, derived=True)
    desk.clock.move(29)
    soon = await desk.ask("patch", config={"volume_percent": 40}, derived=True)
    desk.clock.move(2)
    later = await desk.ask("patch", config={"volume_percent": 40}, derived=True)

    assert (first.duplicate, soon.duplicate, later.duplicate) == (False, True, False)
    assert later.data["new_version"] == 3


async def test_the_same_line_typed_again_after_another_change_is_carried_out_again(
    desk: Desk,
) -> None:
    await desk.ask("patch", config={"volume_percent": 40}, derived=True)
    await desk.ask("patch", config={"volume_percent": 90}, derived=True)

    again = await desk.ask("patch", config={"volume_percent": 40}, derived=True)
    twice = await desk.ask("patch", config={"volume_percent": 40}, derived=True)

    assert (again.duplicate, again.data["new_version"]) == (False, 4)
    assert (twice.duplicate, twice.data["new_version"]) == (True, 4)


async def test_a_retry_is_answered_even_while_nothing_may_be_changed(desk: Desk) -> None:
    first = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")
    desk.gate = closed()

    again = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")
    other = await desk.ask("patch", config={"volume_percent": 41}, transaction="t-2")

    assert again == first.model_copy(update={"duplicate": True})
    assert (other.code, other.error) == (423, "READ_ONLY")


def closed() -> Any:
    return RefusedError("READ_ONLY", "another config-manager leads", hint="stop one of them")


async def test_a_dry_run_checks_everything_and_changes_nothing(desk: Desk) -> None:
    before = desk.rows("SELECT count(*) FROM audit_chain")

    good = await desk.ask("patch", config={"volume_percent": 40}, dry_run=True, transaction="t-1")

    assert good.status == "accepted"
    assert good.data == {"success": True, "new_version": None, "error": None}
    assert desk.rows("SELECT count(*) FROM audit_chain") == before
    assert await desk.version() == 1
    real = await desk.ask("patch", config={"volume_percent": 40}, transaction="t-1")
    assert not real.duplicate
    bad = await desk.ask("patch", config={"volume_percent": 400}, dry_run=True)
    assert bad.error == "VALIDATION_FAILED"


async def test_resend_signs_the_same_settings_anew(desk: Desk) -> None:
    before = newest_message(desk)

    person = await desk.ask("resend", role="read")
    instance = await desk.ask(
        "resend", user="tts-worker-2", role="instance", instance_of="tts-worker"
    )

    after = newest_message(desk)
    assert person.status == instance.status == "accepted"
    assert person.data == {}
    assert after.checksum == before.checksum
    assert before.issued_at < person.issued_at < instance.issued_at == after.issued_at
    assert await desk.version() == 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_logical_clock_only_grows_whatever_the_wall_clock_does(
    desk: Desk, trusted: bool
) -> None:
    desk.trusted = trusted
    moments = []
    for seconds in (0, -86_400, 2 * 86_400, -86_400 * 365 * 50, 86_400 * 365 * 12, -1):
        desk.clock.now += timedelta(seconds=seconds)
        moments.append((await desk.ask("patch", config={"volume_percent": 40})).issued_at)

    assert all(moments)
    assert moments == sorted(set(moments))


@pytest.mark.threat(15, 21)
async def test_a_clock_that_is_not_trusted_moves_the_floor_by_a_microsecond(desk: Desk) -> None:
    desk.trusted = False
    first = (await desk.ask("patch", config={"volume_percent": 40})).issued_at
    desk.clock.move(1000)
    second = (await desk.ask("patch", config={"volume_percent": 41})).issued_at

    assert first is not None
    assert second is not None
    assert int(second[-7:-1]) == int(first[-7:-1]) + 1


async def test_a_late_request_is_refused_if_the_clock_can_be_trusted(desk: Desk) -> None:
    limit = "2026-11-01T11:59:59.000000Z"

    late = await desk.ask("patch", config={"volume_percent": 40}, expires_at=limit)
    desk.trusted = False
    unknown = await desk.ask("patch", config={"volume_percent": 40}, expires_at=limit)

    assert (late.code, late.error) == (400, "EXPIRED")
    assert unknown.status == "accepted"


async def test_a_retry_that_came_too_late_still_gets_its_answer(desk: Desk) -> None:
    limit = "2026-11-01T12:01:00.000000Z"
    first = await desk.ask("patch", config={"speed": 2}, expires_at=limit, transaction="t-1")
    desk.clock.move(120)

    again = await desk.ask("patch", config={"speed": 2}, expires_at=limit, transaction="t-1")

    assert again == first.model_copy(update={"duplicate": True})


class Wide(ServiceConfigModel):
    """Settings that can be too large for a message."""

    one: str = setting("", "One", "A text.")
    two: str = setting("", "Two", "A text.")


async def test_a_message_that_would_be_too_large_changes_nothing(tmp_path: Path) -> None:
    desk = await Desk(tmp_path, models={"router": Wide}).open()
    await desk.ask("patch", "router", config={"one": "x" * 200_000}, via="rest")

    answer = await desk.ask("patch", "router", config={"two": "y" * 70_000}, via="rest")
    version = await desk.version("router")
    await desk.close()

    assert (answer.code, answer.error, version) == (413, "PAYLOAD_TOO_LARGE", 2)


async def test_ten_thousand_answers_are_kept_and_a_day_long(desk: Desk) -> None:
    for number in range(5):
        await desk.ask("patch", config={"volume_percent": number}, transaction=f"t-{number}")
        desk.clock.move(1)
    await desk.in_database(lambda db: transactions.prune(db, None, kept=3))
    kept = desk.rows("SELECT transaction_id FROM transactions ORDER BY created_at")
    desk.clock.move(86_401)
    await desk.commands.housekeeping()

    assert kept == [("t-2",), ("t-3",), ("t-4",)]
    assert desk.rows("SELECT count(*) FROM transactions") == [(0,)]


async def test_all_services_can_be_signed_anew(desk: Desk) -> None:
    before = {s: newest_message(desk, s) for s in ("router", "tts-worker")}

    assert await desk.commands.reissue() == len(CONFIGS)

    for service, old in before.items():
        new = newest_message(desk, service)
        assert (new.checksum, new.config_epoch) == (old.checksum, old.config_epoch)
        assert new.issued_at > old.issued_at
