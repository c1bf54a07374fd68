"""A failure at any point of a change leaves the old state whole (T2, T11, T12)."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from desk import Desk

TABLES = (
    "service_configs", "service_config_snapshots", "config_items", "config_history", "outbox",
    "transactions", "clock_floor", "encrypted_secrets",
)  # fmt: skip


class Failing:
    """A connection whose n-th statement fails."""

    def __init__(self, db: sqlite3.Connection, at: int) -> None:
        self._db = db
        self.left = at

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if self.left == 0:
            raise sqlite3.OperationalError("a failure on purpose")
        self.left -= 1
        return self._db.execute(sql, *values)


def state(desk: Desk) -> list[Any]:
    return [desk.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES]


@pytest.mark.req("C065")
async def test_whatever_statement_of_a_change_fails_nothing_of_it_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = desk.store._writer.transact
    before = state(desk)
    failed_at: list[int] = []

    def failing(at: int) -> Callable[[Any], Any]:
        def transact(work: Any) -> Any:
            # The refusal is recorded after it.
            monkeypatch.setattr(desk.store._writer, "transact", real)
            return real(lambda db: work(Failing(db, at)))

        return transact

    for at in range(100):
        monkeypatch.setattr(desk.store._writer, "transact", failing(at))
        answer = await desk.ask("patch", config={"volume_percent": 40, "speed": 2}, transaction="t")
        if answer.status == "accepted":
            break
        assert desk.store.condition.ok  # a statement that fails is no damage
        failed_at.append(at)
        assert state(desk) == before

    assert len(failed_at) > 15  # statements in one change
    assert answer.data["new_version"] == 2
    assert not answer.duplicate
    assert (await desk.commands.verify_audit()).ok


@pytest.mark.threat(19)
@pytest.mark.req("C065")
async def test_wherever_the_disk_runs_full_a_change_is_made_whole_or_refused(desk: Desk) -> None:
    def limit(pages: int) -> Callable[[sqlite3.Connection], None]:
        return lambda db: db.execute(f"PRAGMA max_page_count = {pages}").close()

    outcomes = set()
    for point in range(60):
        text = f"{point} " + "x" * 3000
        pages = desk.rows("PRAGMA page_count")[0][0]
        version, before = await desk.version("router"), state(desk)
        await desk.in_database(limit(pages + point % 12))
        answer = await desk.ask("patch", "router", config={"system_prompt": text})
        await desk.in_database(limit(1_000_000))
        assert (await desk.store.look()).ok
        outcomes.add(answer.code)
        if answer.status == "accepted":
            assert await desk.version("router") == version + 1
        else:
            assert answer.error == "STORAGE_FULL"
            assert state(desk) == before
        again = await desk.ask("patch", "router", config={"system_prompt": text})
        assert again.status == "accepted"

    assert outcomes == {200, 507}
    await desk.store.check(full=True)
    assert (await desk.commands.verify_audit()).ok


async def test_a_clock_that_jumps_never_turns_the_logical_clock_back(desk: Desk) -> None:
    chance = random.Random(11)
    moments = []
    for _ in range(50):
        desk.trusted = chance.random() < 0.5
        desk.clock.now += timedelta(days=chance.choice((-20_000, -1, 0, 1, 4_000)))
        desk.clock.now = max(desk.clock.now, desk.clock.now.replace(year=1970, month=1, day=1))
        if desk.clock.now.year > 2100:
            desk.clock.now = desk.clock.now.replace(year=2038)
        answer = await desk.ask("patch", config={"volume_percent": chance.randrange(200)})
        assert answer.status == "accepted"
        moments.append(str(answer.issued_at))

    assert moments == sorted(set(moments))
    shown = desk.rows("SELECT version, changed_at FROM service_config_snapshots "
                      "WHERE service = 'tts-worker' ORDER BY version")  # fmt: skip
    assert [row[1] for row in shown] == sorted({row[1] for row in shown})
