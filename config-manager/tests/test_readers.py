"""What reading meets: a file that cannot be opened now, one that is gone, one that is another."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from config_manager.errors import CorruptedError, LockedError
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
    after = await store.look()
    await store.close()

    assert (without.status, without.mode) == ("locked", "normal")
    assert without.error is not None
    assert "open files" in without.error.hint
    assert after.ok


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
    after = await store.look()
    await store.close()

    assert without.status == "locked"
    assert after.ok


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
