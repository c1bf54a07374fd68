"""A database that Litestream copies while it is written: the copy and SQLite agree on each commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from config_manager.errors import CorruptedError
from config_manager.store import Store
from parlour_config.files import sync_file

COUNT = "SELECT count(*) FROM keysets"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config-manager" / "config.db"


@pytest.fixture
def watched(path: Path) -> Iterator[list[tuple[str, int]]]:
    """Which file was brought to the disk, and how many keysets others saw at that moment."""
    seen: list[tuple[str, int]] = []

    def sync(file: Path) -> None:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
            seen.append((file.name, other.execute(COUNT).fetchone()[0]))
        sync_file(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("config_manager.writer.sync_file", sync)
        yield seen


def add(db: sqlite3.Connection) -> None:
    number = db.execute(COUNT).fetchone()[0] + 1
    db.execute("INSERT INTO keysets VALUES (?, x'00', '2026-11-02T12:00:00.000000Z')", (number,))


async def level(store: Store) -> int:
    return await store.transact(lambda db: int(db.execute("PRAGMA synchronous").fetchone()[0]))


@pytest.mark.req("C074")
async def test_whoever_dies_while_a_copied_commit_goes_to_the_disk_has_committed_for_all(
    path: Path, watched: list[tuple[str, int]]
) -> None:
    store = Store(path, copied=True)
    await store.open()
    assert watched == [("config.db-wal", 0)]  # the form and the first epoch

    await store.transact(add)
    await store.transact(add)

    assert watched[1:] == [("config.db-wal", 1), ("config.db-wal", 2)]
    assert await level(store) == 1  # SQLite itself waits no more
    await store.close()


@pytest.mark.req("C065")
async def test_without_a_copier_sqlite_itself_brings_each_commit_to_the_disk(
    path: Path, watched: list[tuple[str, int]]
) -> None:
    store = Store(path)
    await store.open()
    await store.transact(add)

    assert not watched
    assert await level(store) == 2
    await store.close()


@pytest.mark.req("C060", "C065")
async def test_a_commit_that_does_not_reach_the_disk_is_not_told_as_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(path, copied=True)
    await store.open()

    def fail(_file: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("config_manager.writer.sync_file", fail)
    with pytest.raises(CorruptedError, match="does not reach the disk"):
        await store.transact(add)

    assert not store.condition.ok
    await store.close()
