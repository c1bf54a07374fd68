"""What reading meets: a file that cannot be opened now, one that is gone, one that is another."""

from __future__ import annotations

import asyncio
import os
import queue
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from config_manager.condition import after
from config_manager.errors import CorruptedError, LockedError
from config_manager.readers import Readers
from config_manager.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config-manager" / "config.db"


async def opened(path: Path) -> Store:
    store = Store(path, busy_ms=50)
    await store.open()
    return store


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Whatever opens a file is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def remove(path: Path) -> None:
    path.unlink()


def epochs(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT config_epoch FROM epochs")]


async def test_a_look_that_finds_no_descriptor_calls_nothing_damaged_and_the_next_one_passes(
    path: Path,
) -> None:
    store = await opened(path)

    with no_descriptors():
        without = await store.look()
    later = await store.look()
    await store.close()

    assert (without.status, without.mode) == ("locked", "normal")
    assert without.error is not None
    assert "open files" in without.error.hint
    assert later.ok


async def test_a_lock_at_the_start_and_no_descriptor_after_it_pass_without_a_restart(
    path: Path,
) -> None:
    await (await opened(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        store = await opened(path)
        other.execute("ROLLBACK")
    with no_descriptors():
        without = await store.look()
    later = await store.look()
    await store.close()

    assert without.status == "locked"
    assert later.ok


async def test_a_read_that_finds_no_descriptor_can_be_asked_again(path: Path) -> None:
    store = await opened(path)

    with no_descriptors(), pytest.raises(LockedError) as refusal:
        await store.read(epochs)
    condition = store.condition
    found = await store.read(epochs)
    await store.close()

    assert refusal.value.retryable
    assert condition.ok
    assert found == [store.facts.config_epoch]


async def test_a_read_that_finds_no_file_tells_of_its_loss(path: Path) -> None:
    store = await opened(path)
    remove(path)

    with pytest.raises(CorruptedError):
        await store.read(epochs)
    await store.close()

    assert store.condition.status == "corrupted"


async def test_a_reader_that_comes_back_while_all_are_closed_is_not_used_for_the_next_database(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await opened(path)).close()
    readers = Readers(path, 50)

    class Late(queue.SimpleQueue[Any]):
        """A disconnect comes just before a connection is put back."""

        def put(self, item: Any, *args: Any, **more: Any) -> None:
            readers.disconnect()
            super().put(item, *args, **more)

    monkeypatch.setattr(readers, "_idle", Late())
    first = await readers.read(epochs)
    remove(path)
    await (await opened(path)).close()
    second = await readers.read(epochs)
    readers.close()

    assert first != second


async def test_a_reader_that_opens_while_files_change_places_is_not_used_for_the_new_one(
    path: Path,
) -> None:
    store = await opened(path)
    loop = asyncio.get_running_loop()
    used: list[sqlite3.Connection] = []

    def make(place: Path) -> None:
        asyncio.run_coroutine_threadsafe(store.read(used.append), loop).result(10)
        remove(place)

    store.condition = after(store.condition, CorruptedError("x"))
    await store.begin_rebuild(make)
    store.end_rebuild()
    await store.read(used.append)
    await store.close()

    before, later = used
    assert later is not before
