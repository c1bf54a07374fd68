"""The keys of secrets and of last-known-good files, and what is told of all three."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from config_manager.commands import Commands, RefusedError, SyncState
from config_manager.rotation import Grace
from config_manager.rotation.journal import Entry, Journal
from config_manager.tables.secrets import count_by_key
from parlour_config.keyfiles import KeyFile
from parlour_config.signing import SigningKey
from parlour_contracts.config import LLMWorkerConfig
from rotation_house import NAMES, SECRET, ids

# The other two.


async def test_the_manager_reads_old_and_new_last_known_good_files_within_the_grace(house):
    old = house.keyfile.current().lkg_keys("router")
    await house.rotations.start("hmac", by="admin", reason="six months")
    now = house.keyfile.current().lkg_keys("router")

    assert now[1:] == old
    assert now[0] not in old


@pytest.mark.req("C071", "SC035")
async def test_both_master_keys_open_secrets_within_the_grace_of_an_hour(house):
    await house.rotations.start("master", by="admin", reason="a year")
    while await house.rotations.step():
        pass
    key = (await house.rotations.report()).keys[2]

    assert (key.state, key.remaining) == ("grace", 0)
    assert key.grace_until == house.clock.wall() + timedelta(minutes=60)
    assert len(house.keyfile.current().keyring) == 2


@pytest.mark.req("C062")
async def test_a_rotation_is_completed_only_when_every_secret_was_opened_once(house, monkeypatch):
    async def one_is_broken() -> list[tuple[str, str]]:
        return [("llm-worker", "api_key")]

    monkeypatch.setattr(house.commands, "unreadable_secrets", one_is_broken)
    await house.rotations.start("master", by="admin", reason="a year")
    await house.rotations.step()
    await house.rotations.step()
    house.clock.pass_time(timedelta(days=1))
    await house.rotations.step()
    report = await house.rotations.report()

    assert house.state(report, "master") == "blocked"
    assert report.encryption.rotation_status == "in-progress"
    assert len(house.keyfile.current().keyring) == 2

    monkeypatch.undo()
    while await house.rotations.step():
        pass
    house.clock.pass_time(timedelta(hours=1))
    await house.rotations.step()

    assert (await house.rotations.report()).encryption.rotation_status == "completed"


@pytest.mark.req("C071")
async def test_a_service_that_was_dropped_holds_up_no_rotation_of_the_master_key(house):
    earlier = Commands(
        house.store, house._signer, {"lamp": LLMWorkerConfig}, house.clock,
        gate=lambda: None, wake=lambda: None, status=lambda _service: SyncState(),
    )  # fmt: skip
    await earlier.seed({"lamp": {"api_key": SECRET}})
    before = ids(house)["master"]

    await house.rotations.start("master", by="admin", reason="a year")
    await house.until_rest("master")

    assert list(await house.store.read(count_by_key)) == [ids(house)["master"]] != [before]
    assert await house.commands.unreadable_secrets() == []


async def test_a_retired_master_key_is_kept_for_old_backups(house):
    old = house.keyfile.current().master
    await house.rotations.start("master", by="admin", reason="a year")
    await house.until_rest("master")

    assert base64.b64encode(old.raw).decode() in (house.folder / "retired-master.keys").read_text()
    assert old.id not in house.keyfile.current().keyring


async def test_rewrapping_is_recorded_as_the_systems_own_change(house):
    await house.rotations.start("master", by="admin", reason="a year")
    while await house.rotations.step():
        pass
    by = await house.store.read(
        lambda db: db.execute(
            "SELECT updated_by FROM service_configs WHERE service = 'llm-worker'"
        ).fetchone()[0]
    )

    assert by == "system:rewrap"


@pytest.mark.parametrize("name", ["hmac", "master"])
async def test_a_clock_that_cannot_be_trusted_ends_no_grace_early(house, name):
    house.trusted = False
    await house.rotations.start(name, by="admin", reason="x")
    while await house.rotations.step():
        pass
    house.clock.date += timedelta(days=4000)
    await house.rotations.step()

    assert house.state(await house.rotations.report(), name) == "grace"

    house.trusted = True
    await house.rotations.step()

    assert house.state(await house.rotations.report(), name) == "grace"

    house.clock.now += Grace().of(name).total_seconds()
    await house.rotations.step()

    assert house.state(await house.rotations.report(), name) == "idle"


# What is told and what is not.


@pytest.mark.req("C062")
@pytest.mark.parametrize("name", NAMES)
async def test_the_report_shows_public_keys_and_ids_and_never_a_private_one(house, name):
    async def private() -> list[str]:
        shown = []
        for line in (house.folder / "config-manager.env").read_text().splitlines():
            key, _, value = line.partition("=")
            if "PRIVATE_KEY" in key or "MASTER" in key or "HMAC" in key:
                shown += [] if key.endswith("_ID") else value.split(",")
        return [text for text in shown if text]

    texts = [(await house.rotations.report()).model_dump_json()]
    secret = await private()
    await house.rotations.start(name, by="admin", reason="look")
    for _ in range(4):
        await house.deliver()
        await house.rotations.step()
        texts.append((await house.rotations.report()).model_dump_json())
        secret += await private()
    keys = house.keyfile.current()

    assert len(set(secret)) >= 4
    assert not [text for text in texts for value in secret if value in text]
    assert base64.b64encode(keys.signing.public).decode() in texts[-1]
    assert keys.master.id in texts[-1]


async def test_a_second_start_leaves_the_rotation_where_it_is(house):
    await house.rotations.start("master", by="admin", reason="once")
    one = ids(house)
    await house.rotations.start("master", by="admin", reason="twice")

    assert ids(house) == one


async def test_keys_from_the_environment_are_not_rotated_here(house, monkeypatch):
    other = SigningKey(bytes(range(32)))
    env = {"CONFIG_SIGNATURE_PRIVATE_KEY": base64.b64encode(bytes(range(32))).decode()}
    house.rotations._keys = KeyFile.of_manager(house.folder / "config-manager.env", env)
    assert house.rotations._keys.current().signing.kid == other.kid

    with pytest.raises(RefusedError, match="environment"):
        await house.rotations.start("signing", by="admin", reason="x")


async def test_a_manager_that_may_change_nothing_rotates_nothing(house):
    house.rotations._gate = lambda: RefusedError("READ_ONLY", "standing by")

    with pytest.raises(RefusedError, match="standing by"):
        await house.rotations.start("hmac", by="admin", reason="x")
    with pytest.raises(RefusedError, match="standing by"):
        await house.rotations.accept_keyset(b"{}", by="admin", reason="x")
    assert house.steps == []


async def test_one_key_that_does_not_go_on_holds_up_no_other(house, monkeypatch):
    async def broken() -> int:
        raise RefusedError("STORAGE_FULL", "no room")

    monkeypatch.setattr(house.commands, "reissue", broken)
    await house.rotations.start("hmac", by="admin", reason="x")
    await house.rotations.start("master", by="admin", reason="x")
    while (await house.rotations.report()).keys[2].state == "in-progress":
        await house.rotations.step()
    report = await house.rotations.report()

    assert (report.keys[1].state, report.keys[1].problem) == ("blocked", "STORAGE_FULL")
    assert report.keys[2].state == "grace"


def test_a_journal_that_cannot_be_read_counts_as_empty(tmp_path):
    (tmp_path / "rotation.json").write_text('{"entries": 7}')

    assert Journal(tmp_path).entry("hmac", "abc") == Entry(key_id="abc")


def test_what_a_journal_knows_of_an_earlier_key_does_not_count_for_this_one(tmp_path):
    journal = Journal(tmp_path)
    journal.put("hmac", Entry(key_id="old", spread=True, grace_until="2026-01-01T00:00:00.000000Z"))

    assert Journal(tmp_path).entry("hmac", "old").spread
    assert not Journal(tmp_path).entry("hmac", "new").spread
