"""A database that cannot be used is set aside and made anew, where the operator allowed it."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from config_manager.errors import BusyError, LockedError, StoreError
from config_manager.lineage import begin_epoch, note_predecessor
from config_manager.rebuild import Rebuilt, Sources, is_sound, rebuild
from desk import Desk
from parlour_config.errors import StorageError
from parlour_contracts.config import CONFIGS
from parlour_testkit import MemoryBroker
from running_manager import Person, manager, told

KNOWN = "2026-11-01T12:00:09.000000Z"
NOW = "2026-11-02T12:00:00.000000Z"
SHOWN = "2026-11-03T08:00:00.000000Z"


async def damaged(tmp_path: Path) -> tuple[Desk, Path, Mapping[str, Any]]:
    """A running database that was damaged, its backup, and what was last known to be good."""
    desk = await Desk(tmp_path).open()
    await desk.ask("patch", config={"volume_percent": 40})
    backup = tmp_path / "backup.db"
    await desk.store.backup(backup)
    await desk.ask("patch", config={"volume_percent": 50})
    lkg = {
        service: json.loads(text)
        for service, text in desk.rows("SELECT service, config_json FROM service_configs")
    }
    await desk.close()
    desk.path.write_bytes(b"no database at all" * 500)
    again = Desk(tmp_path)
    condition = await again.store.open()
    assert (condition.status, condition.mode) == ("corrupted", "read-only-fallback")
    return again, backup, lkg


@pytest.mark.req("C056", "C061", "C073", "SC015")
@pytest.mark.parametrize(
    ("origin", "volume", "version"),
    [("backup", 40, 1002), ("last-known-good", 50, 1001), ("defaults", 100, 1001)],
)
async def test_a_rebuild_takes_the_best_that_is_left(
    tmp_path: Path, origin: str, volume: int, version: int
) -> None:
    desk, backup, lkg = await damaged(tmp_path)
    sources = Sources(
        backups=[tmp_path / "missing.db", backup] if origin == "backup" else [],
        settings=lkg if origin != "defaults" else None,
        floor=KNOWN,
    )

    done = await rebuild(desk.store, desk.commands, sources, by="root", why="damaged", now=NOW)

    assert done.origin == origin
    assert desk.store.condition.ok
    assert desk.store.facts.config_epoch == done.epoch
    assert (await desk.config())["volume_percent"] == volume
    assert await desk.version() == version
    assert desk.rows("SELECT reason FROM epochs WHERE active = 1") == [("rebuilt",)]
    assert (await desk.ask("patch", config={"volume_percent": 60})).status == "accepted"
    assert (
        await desk.ask("rollback", to_version=version, version=version + 1)
    ).status == "accepted"
    assert KNOWN < desk.rows("SELECT floor FROM clock_floor")[0][0] < NOW
    told = json.loads(desk.path.with_name("rebuild.info").read_text())
    assert (told["origin"], told["by"], told["config_epoch"]) == (origin, "root", done.epoch)
    for name in done.aside:
        assert desk.path.with_name(name).exists()
    assert (await desk.commands.verify_audit()).ok
    await desk.close()


async def test_a_damaged_backup_is_passed_over(tmp_path: Path) -> None:
    desk, backup, _ = await damaged(tmp_path)
    data = bytearray(backup.read_bytes())
    data[4096:8192] = os.urandom(4096)
    backup.write_bytes(data)

    done = await rebuild(
        desk.store, desk.commands, Sources(backups=[backup]), by="root", why="damaged", now=NOW
    )
    await desk.close()

    assert not is_sound(backup, CONFIGS)
    assert done.origin == "defaults"


async def test_a_rebuild_that_fails_goes_back_to_the_fallback(tmp_path: Path) -> None:
    desk, _, _ = await damaged(tmp_path)

    async def broken(*_args: object, **_more: object) -> None:
        assert desk.store.condition.mode == "rebuilding"
        raise StoreError("no")

    desk.commands.seed = broken  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await rebuild(desk.store, desk.commands, Sources(), by="root", why="damaged", now=NOW)
    await desk.close()

    assert fallen_back(desk)


def fallen_back(desk: Desk) -> bool:
    condition = desk.store.condition
    return (condition.status, condition.mode) == ("corrupted", "read-only-fallback")


def files(desk: Desk) -> dict[str, bytes]:
    """The database with what lies beside it under its name, but for the lock."""
    found = {path.name: path.read_bytes() for path in desk.path.parent.glob("config.db*")}
    return {name: data for name, data in found.items() if not name.endswith(".lock")}


def full(*_args: object, **_more: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failing", ["copy", "sync", "open", "epoch", "seed"])
async def test_a_rebuild_that_fails_leaves_the_old_files_in_their_place_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    desk, backup, _ = await damaged(tmp_path)
    sources = Sources(backups=[backup], floor=KNOWN)
    before, facts = files(desk), desk.store.facts

    def locked(*_args: object, **_more: object) -> None:
        raise LockedError("no")

    with monkeypatch.context() as patched:
        match failing:
            case "copy":
                patched.setattr(shutil, "copyfile", full)
            case "sync":
                patched.setattr(os, "fsync", full)
            case "open":
                patched.setattr("config_manager.writer.fill", locked)
            case "epoch":
                patched.setattr("config_manager.rebuild.begin_epoch", locked)
            case "seed":
                patched.setattr(desk.commands, "seed", locked)
        with pytest.raises(StoreError) as refusal:
            await rebuild(desk.store, desk.commands, sources, by="root", why="damaged", now=NOW)
    left, known, safe = files(desk), desk.store.facts, fallen_back(desk)
    done = await rebuild(desk.store, desk.commands, sources, by="root", why="damaged", now=NOW)
    volume = (await desk.config())["volume_percent"]
    await desk.close()

    assert refusal.value.code == ("STORAGE_FULL" if failing in ("copy", "sync") else "DB_LOCKED")
    assert left == before
    assert known == facts
    assert safe
    assert (done.origin, volume) == ("backup", 40)


async def test_a_rebuild_is_done_although_no_word_of_it_can_be_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, backup, _ = await damaged(tmp_path)

    def refused(*_args: object, **_more: object) -> None:
        raise StorageError("no")

    monkeypatch.setattr("config_manager.rebuild.replace_file", refused)
    done = await rebuild(
        desk.store, desk.commands, Sources(backups=[backup]), by="root", why="damaged", now=NOW
    )
    await desk.close()

    assert (done.origin, done.noted) == ("backup", False)
    assert desk.store.condition.ok


async def test_one_rebuild_is_under_way_at_a_time_and_none_of_a_sound_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, backup, _ = await damaged(tmp_path)
    sources = Sources(backups=[backup])
    threads = set()

    def looked_at(*_args: object) -> bool:
        threads.add(threading.current_thread())
        return True

    def again() -> Coroutine[Any, Any, Rebuilt]:
        return rebuild(desk.store, desk.commands, sources, by="root", why="damaged", now=NOW)

    monkeypatch.setattr("config_manager.rebuild.is_sound", looked_at)
    done, refused = await asyncio.gather(again(), again(), return_exceptions=True)
    with pytest.raises(StoreError, match="nothing is known to be wrong"):
        await again()
    await desk.close()

    assert isinstance(done, Rebuilt)
    assert isinstance(refused, BusyError)
    assert desk.store.condition.ok
    assert threading.main_thread() not in threads  # the loop goes on meanwhile


def spoil_setting(db: sqlite3.Connection) -> None:
    db.execute(
        "UPDATE service_configs SET config_json = replace(config_json, ':40', ':41') "
        "WHERE service = 'tts-worker'"
    )


def outgrow_bounds(db: sqlite3.Connection) -> None:
    (text,) = db.execute(
        "SELECT replace(config_json, ':40', ':40000') FROM service_configs "
        "WHERE service = 'tts-worker'"
    ).fetchone()
    db.execute("UPDATE service_configs SET config_json = ? WHERE service = 'tts-worker'", (text,))
    db.execute(
        "UPDATE service_config_snapshots SET checksum = ? WHERE service = 'tts-worker' "
        "AND version = 2",
        (hashlib.sha256(text.encode()).hexdigest(),),
    )


def end_epoch(db: sqlite3.Connection) -> None:
    db.execute("UPDATE epochs SET active = 0")


def forget_form(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA user_version = 0")
    db.execute("UPDATE schema_version SET version = 0")


@pytest.mark.parametrize("spoil", [spoil_setting, outgrow_bounds, end_epoch, forget_form])
async def test_a_backup_that_could_not_be_opened_is_passed_over(
    tmp_path: Path, spoil: Callable[[sqlite3.Connection], None]
) -> None:
    desk, backup, lkg = await damaged(tmp_path)
    assert is_sound(backup, CONFIGS)
    with closing(sqlite3.connect(backup, isolation_level=None)) as db:
        spoil(db)

    done = await rebuild(
        desk.store, desk.commands, Sources(backups=[backup], settings=lkg),
        by="root", why="damaged", now=NOW,
    )  # fmt: skip
    volume = (await desk.config())["volume_percent"]
    await desk.close()

    assert (done.origin, volume) == ("last-known-good", 50)


async def test_a_rebuild_that_finds_no_room_at_a_start_leaves_a_manager_that_answers(
    broker: MemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with manager(broker, tmp_path) as service:
        await asyncio.sleep(75)  # a backup was made
        database, backup = service._settings.database, service._settings.backup
    bad = b"no database at all " * 500
    database.write_bytes(bad)
    monkeypatch.setattr(shutil, "copyfile", full)

    async with manager(broker, tmp_path, wait_s=10, config_auto_rebuild=True):
        health = told(broker)
        answer = await (await Person(broker).listen()).ask("get", "tts-worker")

    assert backup.exists()
    assert (health.database_status, health.operational_mode) == ("corrupted", "read-only-fallback")
    assert answer["status"] == "accepted"
    assert database.read_bytes() == bad


@pytest.mark.req("C009")
async def test_a_new_epoch_raises_versions_and_keeps_them_for_a_rollback(desk: Desk) -> None:
    old = desk.store.facts.config_epoch
    await desk.ask("patch", config={"volume_percent": 40})

    new = await desk.in_database(
        lambda db: begin_epoch(
            db, "takeover", NOW, at=SHOWN, by="root", why="the other one is gone"
        )
    )
    await desk.commands.reissue()

    assert desk.rows("SELECT DISTINCT config_epoch FROM service_configs") == [(new,)]
    assert await desk.version() == 1002
    answer = await desk.ask("patch", config={"speed": 2}, config_epoch=old)
    assert answer.error == "EPOCH_CONFLICT"
    assert (await desk.ask("rollback", to_version=2, version=1002)).status == "accepted"
    assert (await desk.ask("rollback", to_version=1002, version=1003)).status == "accepted"
    assert desk.rows("SELECT minted_floor, created_at FROM epochs WHERE active = 1") == [
        (NOW, SHOWN)
    ]
    assert (await desk.commands.verify_audit()).ok


async def test_a_predecessor_is_recorded_once_and_raises_the_floor(desk: Desk) -> None:
    epoch = "550e8400-e29b-41d4-a716-446655440000"

    await desk.in_database(
        lambda db: note_predecessor(db, epoch, NOW, at=SHOWN, by="system:reconcile")
    )

    assert desk.rows(
        "SELECT active, reason, created_at FROM epochs WHERE config_epoch = ?", epoch
    ) == [(0, "predecessor", SHOWN)]
    assert desk.rows("SELECT floor FROM clock_floor") == [(NOW,)]
