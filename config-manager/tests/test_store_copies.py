"""Copies of the database: for their owner alone, and on the disk before anybody relies on them."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from config_manager.errors import StorageFullError
from config_manager.exchange import Exchange
from config_manager.migrate import Step, shipped_steps
from config_manager.store import Store

NOW = "2026-11-02T12:00:00.000000Z"
LATER = Step(len(shipped_steps()) + 1, "CREATE TABLE later (a INTEGER);\n")
OLD_FORM = f"config.db.v{len(shipped_steps())}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config-manager" / "config.db"


async def opened(path: Path, *more: Step) -> Store:
    store = Store(path, busy_ms=50, steps=(*shipped_steps(), *more))
    await store.open()
    return store


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk, by name, and what took another's name."""
    seen: list[str] = []
    real_fsync, real_replace, real_rename = os.fsync, Path.replace, Path.rename

    def fsync(handle: int) -> None:
        seen.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        real_fsync(handle)

    def replace(self: Path, target: Path) -> Path:
        seen.append(f"name {target.name}")
        return real_replace(self, target)

    def rename(self: Path, target: Path) -> Path:
        seen.append(f"name {target.name}")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "rename", rename)
    return seen


def private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o600


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {row[0] for row in db.execute("SELECT name FROM sqlite_schema")}


async def test_a_backup_has_its_name_for_good_when_it_is_told_of(
    path: Path, order: list[str]
) -> None:
    store = await opened(path)
    order.clear()

    await store.backup(path.with_name("copy.db"))
    await store.close()

    assert order == ["sync copy.db.part", "name copy.db", "sync config-manager"]
    assert private(path.with_name("copy.db"))


async def test_the_old_form_is_kept_for_good_before_the_first_step_is_taken(
    path: Path, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await opened(path)).close()
    order.clear()
    monkeypatch.setattr(
        "config_manager.migrate._statements",
        lambda sql: order.append("step") or iter([sql]),
    )

    store = await opened(path, LATER)
    await store.close()

    assert store.condition.ok
    assert order == [f"sync {OLD_FORM}", "sync config-manager", "step"]
    assert private(path.with_name(OLD_FORM))
    assert "later" not in tables(path.with_name(OLD_FORM))


async def test_an_old_form_that_does_not_reach_the_disk_is_not_changed_until_it_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await opened(path)).close()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        store = await opened(path, LATER)
        condition = store.condition
        unchanged = tables(path)
    again = await store.look()
    await store.close()

    assert (condition.status, condition.mode) == ("healthy", "read-only-fallback")
    assert "later" not in unchanged
    assert again.ok
    assert "later" in tables(path)


async def test_a_backup_that_does_not_reach_the_disk_leaves_the_one_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(path)
    copy = path.with_name("copy.db")
    await store.backup(copy)
    before = content(copy)

    def broken(_handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    await store.transact(lambda db: db.execute("INSERT INTO keysets VALUES (1, x'00', 'now')"))
    with pytest.raises(StorageFullError, match="cannot be written"):
        await store.backup(copy)
    await store.close()

    assert content(copy) == before
    assert names(path.parent, "copy.db*") == ["copy.db"]


@pytest.mark.parametrize("parts", [("", "-wal", "-shm"), ("",), ("-wal", "-shm")])
def test_wherever_an_exchange_of_files_fails_the_old_ones_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...]
) -> None:
    path, backup = tmp_path / "config.db", tmp_path / "backup.db"
    backup.write_bytes(b"new")
    before = {f"config.db{part}": f"old{part}".encode() for part in parts}
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)

    def found() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in tmp_path.glob("config.db*")}

    exchange, real = Exchange(NOW), Path.rename
    for fatal in range(len(parts) + 1):
        left = fatal

        def rename(self: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left -= 1
            return real(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", rename)
            with pytest.raises(StorageFullError):
                exchange.make(path, backup)
        assert found() == before

    exchange.make(path, backup)
    (tmp_path / "config.db-wal").write_bytes(b"of the new one")
    assert path.read_bytes() == b"new"
    assert len(exchange.aside) == len(parts)
    exchange.undo(path)
    exchange.undo(path)
    assert found() == before


def test_what_takes_a_bad_databases_place_is_on_the_disk_before_that_one_goes(
    tmp_path: Path, order: list[str]
) -> None:
    path, backup = tmp_path / "config.db", tmp_path / "backup.db"
    path.write_bytes(b"old")
    backup.write_bytes(b"new")
    exchange = Exchange(NOW)

    exchange.make(path, backup)

    folder, (aside,) = f"sync {tmp_path.name}", exchange.aside
    assert order == ["sync config.db.part", f"name {aside}", folder, "name config.db", folder]
    assert private(path)
    assert content(tmp_path / aside) == b"old"


def content(path: Path) -> bytes:
    return path.read_bytes()


def names(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]
