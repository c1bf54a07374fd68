"""A database that cannot be used is set aside and made anew, where the operator allowed it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from config_manager.errors import StoreError
from config_manager.lineage import begin_epoch, note_predecessor
from config_manager.rebuild import Sources, is_sound, rebuild
from desk import Desk

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

    assert not is_sound(backup)
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

    assert (desk.store.condition.status, desk.store.condition.mode) == (
        "corrupted", "read-only-fallback",
    )  # fmt: skip


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
