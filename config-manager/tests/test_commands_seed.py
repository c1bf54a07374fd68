"""The first rows of a database, and what a newer release adds to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pytest
from config_manager.model_hash import model_hash
from config_manager.store import Store
from desk import Desk
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.fields import setting
from parlour_contracts.config.marks import SecretSetting
from pydantic import Field


class Old(ServiceConfigModel):
    """The settings of a release."""

    speed: int = setting(1, "Speed", "How fast.", ge=0, le=10)
    gone: bool = setting(True, "Gone", "Not in the next release.")
    api_key: SecretSetting | None = setting(None, "Key", "A secret.")


class Newer(ServiceConfigModel):
    """The settings of the next one."""

    speed: int = setting(3, "Speed", "How fast it speaks.", ge=0, le=10)
    word: str = setting("hello", "Word", "What it says.")
    api_key: SecretSetting | None = setting(None, "Key", "A secret.")


class Narrower(ServiceConfigModel):
    """Settings that an old value does not fit."""

    speed: Annotated[int, Field(le=4)] = setting(3, "Speed", "How fast.")


def history(desk: Desk) -> list[tuple[object, ...]]:
    return desk.rows(
        "SELECT key, old_value_json, new_value_json, changed_by, change_reason "
        "FROM config_history ORDER BY id"
    )


async def test_a_first_start_writes_defaults_that_history_shows(tmp_path: Path) -> None:
    desk = await Desk(tmp_path, models={"robot": Old}).open()
    again = await desk.commands.seed()

    assert await desk.config("robot") == {"speed": 1, "gone": True, "api_key": None}
    assert history(desk) == [
        ("speed", None, "1", "system:seed", None),
        ("gone", None, "true", "system:seed", None),
        ("api_key", None, "null", "system:seed", None),
    ]
    assert (again.created, again.upgraded, again.problems) == ([], [], [])
    assert await desk.version("robot") == 1
    assert desk.rows("SELECT count(*) FROM outbox") == [(1,)]
    assert (await desk.commands.verify_audit()).ok
    await desk.close()


async def test_what_differs_from_the_defaults_is_taken_where_it_fits(tmp_path: Path) -> None:
    desk = Desk(tmp_path, models={"robot": Old})
    await desk.store.open()

    report = await desk.commands.seed(
        {
            "robot": {"speed": 5, "gone": "yes", "unknown": 1, "api_key": "sk-0123456789"},
            "toaster": {"heat": 3},
        },
        {"robot": "from robot.json"},
    )

    assert await desk.config("robot") == {"speed": 5, "gone": True, "api_key": {"$masked": True}}
    assert {(service, p.key) for service, p in report.problems} == {
        ("robot", "gone"), ("robot", "unknown"), ("toaster", ""),
    }  # fmt: skip
    assert report.created == ["robot"]
    assert history(desk)[0] == ("speed", None, "5", "system:seed", "from robot.json")
    assert b"sk-0123456789" not in desk.path.read_bytes()
    await desk.close()


@pytest.mark.req("C052", "C066", "X27", "X28")
async def test_a_newer_release_adds_its_defaults_and_ends_what_it_no_longer_knows(
    tmp_path: Path,
) -> None:
    desk = await Desk(tmp_path, models={"robot": Old}).open()
    await desk.ask("patch", "robot", config={"speed": 7})
    await desk.close()

    desk = Desk(tmp_path, models={"robot": Newer})
    condition = await desk.store.open()
    before = desk.rows("SELECT model_hash FROM schema_version")
    report = await desk.commands.seed()

    assert condition.ok
    assert report.upgraded == ["robot"]
    assert await desk.config("robot") == {"speed": 7, "word": "hello", "api_key": None}
    assert sorted(history(desk)[-2:]) == [
        ("gone", "true", "null", "system:upgrade", "deleted"),
        ("word", None, '"hello"', "system:upgrade", "settings of this release"),
    ]
    assert desk.rows("SELECT description FROM config_items WHERE key = 'speed'") == [
        ("How fast it speaks.",)
    ]
    assert desk.rows("SELECT key FROM config_items WHERE key = 'gone'") == []
    assert before == [(model_hash({"robot": Old}),)]
    assert desk.rows("SELECT model_hash FROM schema_version") == [(model_hash({"robot": Newer}),)]
    assert (await desk.commands.seed()).upgraded == []
    assert (await desk.ask("rollback", "robot", to_version=1, version=3)).status == "accepted"
    assert await desk.config("robot") == {"speed": 1, "word": "hello", "api_key": None}
    await desk.close()


@pytest.mark.req("C055", "C066")
async def test_settings_that_no_longer_fit_are_a_mismatch_and_are_left_alone(
    tmp_path: Path,
) -> None:
    desk = await Desk(tmp_path, models={"robot": Old}).open()
    await desk.ask("patch", "robot", config={"speed": 7})
    await desk.close()
    before = desk.rows("SELECT * FROM service_configs"), desk.rows("SELECT * FROM schema_version")

    store = Store(desk.path, busy_ms=50, models={"robot": Narrower})
    condition = await store.open()
    await store.close()

    assert (condition.status, condition.mode) == ("schema-mismatch", "read-only-fallback")
    assert condition.error is not None
    assert "robot" in str(condition.error)
    assert "7" not in str(condition.error)
    after = desk.rows("SELECT * FROM service_configs"), desk.rows("SELECT * FROM schema_version")
    assert after == before


async def test_an_older_release_can_take_over_again(tmp_path: Path) -> None:
    for models in ({"robot": Old}, {"robot": Newer}, {"robot": Old}):
        desk = await Desk(tmp_path, models=models).open()
        assert desk.store.condition.ok
        config = await desk.config("robot")
        await desk.close()

    assert config == {"speed": 1, "gone": True, "api_key": None}


async def test_a_thousand_services_are_seeded_a_hundred_at_a_time(tmp_path: Path) -> None:
    models = {f"s{number:04}": Old for number in range(1000)}
    desk = await Desk(tmp_path, models=models).open()

    assert desk.rows("SELECT count(*) FROM service_configs") == [(1000,)]
    assert await desk.commands.reissue() == 1000
    moments = [
        json.loads(row[0])["issued_at"]
        for row in desk.rows("SELECT payload FROM outbox ORDER BY id")
    ]
    assert moments == sorted(set(moments))
    assert json.loads(desk.rows("SELECT payload FROM outbox LIMIT 1")[0][0])["service"] == "s0000"
    await desk.close()
