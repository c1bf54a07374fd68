"""Reading: by many at once, beside a writer, among many settings, and far back."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from desk import Desk
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.fields import setting

DAY_S = 86_400


class Plain(ServiceConfigModel):
    """A few settings, for many services."""

    first: int = setting(1, "First", "The first number.")
    second: str = setting("two", "Second", "The second text.")


@pytest.mark.req("SC021")
async def test_readers_are_served_while_a_writer_holds_the_lock(desk: Desk) -> None:
    await desk.ask("patch", config={"volume_percent": 40})
    began, go_on = threading.Event(), threading.Event()

    def hold(db: sqlite3.Connection) -> None:
        db.execute("UPDATE service_configs SET version = 99")
        began.set()
        assert go_on.wait(30)

    writing = asyncio.ensure_future(desk.in_database(hold))
    await asyncio.get_running_loop().run_in_executor(None, began.wait)
    answers = await asyncio.gather(
        *(
            desk.ask(op, role="read", user=f"reader-{n}")
            for n in range(20)
            for op in ("get", "history")
        )
    )
    still_held = not writing.done()
    go_on.set()
    await writing

    assert still_held
    assert {answer.status for answer in answers} == {"accepted"}
    assert {a.data["metadata"]["version"] for a in answers if a.op == "get"} == {2}


@pytest.mark.req("SC010", "C082")
async def test_every_entry_of_thirty_days_is_found_by_time_and_by_turning_pages(desk: Desk) -> None:
    moments = []
    for day in range(30):
        for hour in range(5):
            answer = await desk.ask(
                "patch", config={"volume_percent": day * 5 + hour}, reason=f"day {day}"
            )
            moments.append(answer.issued_at)
            desk.clock.move(DAY_S / 5)
        await desk.commands.housekeeping()

    found = []
    for number, moment in enumerate(moments):
        page = await desk.ask(
            "history", role="read", key="volume_percent", start=moment, end=moment
        )
        found.append([row["new_value_json"] for row in page.data])
        assert page.data[0]["change_reason"] == f"day {number // 5}"
    turned, before = [], None
    while page := (
        await desk.ask(
            "history", role="read", key="volume_percent", limit=40,
            **({"before_id": before} if before else {}),
        )
    ).data:  # fmt: skip
        turned += [row["new_value_json"] for row in page]
        before = page[-1]["id"]

    values = [str(value) for value in range(150)]
    assert found == [[value] for value in values]
    assert turned[:-1] == values[::-1]  # the last one is the first start's


@pytest.mark.req("SC008", "C081")
async def test_one_setting_among_thousands_is_the_first_that_is_found(tmp_path: Path) -> None:
    desk = await Desk(tmp_path, models={f"s{n}": Plain for n in range(500)}).open()
    await desk.ask("patch", "s321", config={"second": "the one"})

    answer = await desk.ask("search", "_all", query="s321.second", role="read")
    await desk.close()

    assert answer.data["total"] == 1
    assert answer.data["results"][0]["value_json"] == '"the one"'
