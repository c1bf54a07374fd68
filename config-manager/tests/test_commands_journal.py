"""What the access log is told in batches: counted on the loop, written beside it, never lost."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from config_manager.errors import StoreError
from desk import Desk


def reads(desk: Desk) -> list[tuple[Any, ...]]:
    """Who read what, as it is recorded."""
    return desk.rows("SELECT user_id, reason FROM access_log WHERE action = 'read' ORDER BY id")


@asynccontextmanager
async def busy_writer(desk: Desk) -> AsyncIterator[None]:
    """The writer thread has something else to do for a while."""
    began, go_on = threading.Event(), threading.Event()

    def hold(_db: sqlite3.Connection) -> None:
        began.set()
        assert go_on.wait(30)

    holding = asyncio.ensure_future(desk.in_database(hold))
    await asyncio.to_thread(began.wait)
    try:
        yield
    finally:
        go_on.set()
        await holding


async def test_what_is_read_while_the_writer_is_busy_counts_for_the_next_time(desk: Desk) -> None:
    await desk.ask("get", role="read")
    async with busy_writer(desk):
        tidying = asyncio.ensure_future(desk.commands.housekeeping())
        await asyncio.sleep(0)
        await desk.ask("get", role="read")
        await desk.ask("get", role="read")
    await tidying
    first = reads(desk)
    await desk.commands.housekeeping()

    assert first == [("alice", "1 get")]
    assert reads(desk) == [("alice", "1 get"), ("alice", "2 get")]


@pytest.mark.req("C046", "C077")
async def test_what_cannot_be_recorded_fails_no_read_and_is_recorded_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config_manager.commands.journal.MOST_READS", 2)
    for _ in range(3):
        await desk.ask("patch", config={"speed": 2}, role="read", user="eve")
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = [await desk.ask("get", role="read", user=f"u{n}") for n in range(3)]
        with pytest.raises(StoreError):
            await desk.commands.housekeeping()
        other.execute("ROLLBACK")
    await desk.commands.housekeeping()

    assert {answer.status for answer in answers} == {"accepted"}
    assert reads(desk) == [(f"u{n}", "1 get") for n in range(3)]
    assert desk.rows("SELECT reason FROM access_log WHERE action = 'unauthorized'") == [
        ("patch: FORBIDDEN",), ("2 more denials",),
    ]  # fmt: skip
    assert (await desk.commands.verify_audit()).ok


async def test_a_database_that_takes_nothing_is_not_asked_again_at_every_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config_manager.commands.journal.MOST_READS", 4)
    tried = 0

    async def full(_work: object) -> None:
        nonlocal tried
        tried += 1
        raise StoreError("no")

    with monkeypatch.context() as broken:
        broken.setattr(desk.store, "transact", full)
        for number in range(12):
            await desk.ask("get", role="read", user=f"u{number:02d}")
    await desk.commands.housekeeping()

    assert tried == 3
    assert reads(desk) == [(f"u{number:02d}", "1 get") for number in range(12)]


async def test_what_was_counted_is_recorded_once_when_whoever_had_it_written_is_gone(
    desk: Desk,
) -> None:
    await desk.ask("get", role="read")
    async with busy_writer(desk):
        tidying = asyncio.ensure_future(desk.commands.housekeeping())
        await asyncio.sleep(0)
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)
    await desk.commands.housekeeping()

    assert tidying.cancelled()
    assert reads(desk) == [("alice", "1 get")]
