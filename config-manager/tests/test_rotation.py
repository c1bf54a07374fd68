"""Rotation of the three keys, killed at every step, under load, in a house with services."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from config_manager.commands import Commands, SyncState
from config_manager.rotation import KeyRotations
from config_manager.rotation.shelf import Shelf
from config_manager.store import Store
from config_manager.tables.secrets import count_by_key
from parlour_contracts.config import LLMWorkerConfig
from rotation_house import NAMES, SECRET, House, Killed, ids, random_life

# The whole way.


@pytest.mark.req("C071")
@pytest.mark.parametrize("name", NAMES)
async def test_a_rotation_ends_with_another_key_and_nothing_refused(house, name):
    before = ids(house)
    await house.rotations.start(name, by="admin", reason="a year has passed")
    await house.until_rest(name)

    after = ids(house)
    assert after[name] != before[name]
    assert {key: after[key] for key in NAMES if key != name} == {
        key: before[key] for key in NAMES if key != name
    }
    assert house.refused == []
    assert house.services["llm-worker"].running["api_key"] == SECRET


async def _played(tmp_path: Path, name: str, kill_at: int) -> House:
    house = House(tmp_path)
    await house.open()
    house.kill_at = kill_at
    started = False
    for _ in range(3):
        try:
            if not started:
                await house.rotations.start(name, by="admin", reason="killed on the way")
            started = True
            await house.until_rest(name)
            break
        except Killed:
            house.boot()
            report = await house.rotations.report()
            key = next(key for key in report.keys if key.name == name)
            started = key.state != "idle" or key.completed_at is not None
    return house


@pytest.mark.req("C071")
@pytest.mark.parametrize("name", NAMES)
async def test_a_rotation_that_is_killed_at_any_step_goes_on_and_loses_nothing(tmp_path, name):
    whole = await _played(tmp_path / "whole", name, kill_at=-1)
    await whole.store.close()
    assert len(whole.steps) >= 5

    for number, step in enumerate(whole.steps):
        house = await _played(tmp_path / str(number), name, kill_at=number)
        report = await house.rotations.report()
        key = next(key for key in report.keys if key.name == name)

        assert house.refused == [], step
        assert (key.state, key.previous, key.next) == ("idle", [], None), step
        assert key.completed_at is not None, step
        assert house.services["llm-worker"].running["api_key"] == SECRET, step
        assert (await house.commands.verify_audit()).ok, step
        assert await house.commands.unreadable_secrets() == [], step
        await house.store.close()


@pytest.mark.req("SC034", "C071")
async def test_a_thousand_secrets_are_sealed_anew_within_thirty_seconds(tmp_path):
    models = {f"service-{number}": LLMWorkerConfig for number in range(1000)}
    house = House(tmp_path)
    house.services = {}
    house.commands = Commands(
        Store(tmp_path / "many" / "config.db", models=models), house._signer, models, house.clock,
        gate=lambda: None, wake=lambda: None, status=lambda _service: SyncState(),
    )  # fmt: skip
    house.store = house.commands._store
    house.rotations = KeyRotations(
        house.keyfile, house.folder, house.commands,
        Shelf(house.store, house.clock.wall, lambda: None), house, house.clock,
    )  # fmt: skip
    await house.store.open()
    await house.commands.seed({name: {"api_key": f"{SECRET}-{name}"} for name in models})
    old = house.keyfile.current().master.id
    assert await house.store.read(count_by_key) == {old: 1000}

    began = time.monotonic()
    await house.rotations.start("master", by="admin", reason="a year has passed")
    while await house.rotations.step():
        pass
    took = time.monotonic() - began
    report = await house.rotations.report()
    new = house.keyfile.current().master.id
    counts = await house.store.read(count_by_key)
    unreadable = await house.commands.unreadable_secrets()
    await house.store.close()

    assert (report.keys[2].state, report.keys[2].remaining) == ("grace", 0)
    assert counts == {new: 1000}
    assert unreadable == []
    assert took <= 30.0, f"{took:.1f} s"


@pytest.mark.req("C071", "SC035")
@pytest.mark.parametrize("seed", range(3))
async def test_rotations_one_after_another_under_load_and_kills_refuse_nothing_valid(
    tmp_path, seed
):
    house, killed = await random_life(tmp_path, seed, rotations=6)

    assert killed > 0
    assert house.refused == []
    assert house.services["llm-worker"].running["api_key"] == SECRET
