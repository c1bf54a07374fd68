"""Going back to an older version: all of it or nothing, and the fleet hears of it (F10)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from parlour_config.update import read_update
from parlour_contracts.topics import CONFIG
from parlour_testkit import MemoryBroker
from running_manager import Person, manager

KEPT = (
    "service_configs", "service_config_snapshots", "config_items", "config_history", "outbox",
    "transactions", "clock_floor", "encrypted_secrets",
)  # fmt: skip


class Failing:
    """A connection whose n-th statement fails."""

    def __init__(self, db: sqlite3.Connection, left: int) -> None:
        self._db = db
        self._left = left

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if self._left == 0:
            raise sqlite3.OperationalError("a failure on purpose")
        self._left -= 1
        return self._db.execute(sql, *values)


def state(desk: Desk) -> list[Any]:
    return [desk.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in KEPT]


@pytest.mark.req("F10", "C065", "C082")
async def test_a_rollback_that_fails_at_any_statement_is_as_if_nobody_had_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (10, 20):
        await desk.ask("patch", config={"volume_percent": value, "speed": value / 10})
    real, before, woken = desk.store._writer.transact, state(desk), desk.woken
    failures = 0

    def failing(at: int) -> Callable[[Any], Any]:
        def transact(work: Any) -> Any:
            # The refusal is recorded after it.
            monkeypatch.setattr(desk.store._writer, "transact", real)
            return real(lambda db: work(Failing(db, at)))

        return transact

    for at in range(100):
        monkeypatch.setattr(desk.store._writer, "transact", failing(at))
        answer = await desk.ask("rollback", to_version=2, version=3, transaction="back")
        if answer.status == "accepted":
            break
        assert answer.code in (500, 503)
        assert state(desk) == before
        assert desk.woken == woken
        failures += 1

    assert failures > 15  # statements in one rollback
    assert answer.data["new_version"] == 4
    assert (await desk.config())["volume_percent"] == 10
    assert desk.woken == woken + 1
    assert (await desk.commands.verify_audit()).ok


@pytest.mark.req("F10", "C076", "C082")
async def test_a_rollback_is_published_and_renews_the_last_known_good_file(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        admin = await Person(broker).listen()
        first = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 50}})
        version = first["data"]["new_version"]
        body = {"to_version": version, "version": version + 1}
        back = await admin.ask("rollback", "tts-worker", body)
        await asyncio.sleep(6)
        update = read_update(broker.retained[CONFIG.topic(service="tts-worker")].payload)
        held = service._lkg.load()

    assert back["data"]["new_version"] == version + 2
    assert update.config["volume_percent"] == 40
    assert update.issued_at == back["issued_at"]
    assert held is not None
    assert held.payload["tts-worker"] == update.config
