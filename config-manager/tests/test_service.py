"""config-manager as the fleet sees it: its health, on the memory bus and in virtual time."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from config_manager.store import Store
from parlour_config.update import check_update, read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.topics import CONFIG, CONFIG_HEALTH
from parlour_kit.errors import StartupError
from parlour_testkit import MemoryBroker
from running_manager import manager, tokens, told


def database(data_dir: Path) -> Path:
    return data_dir / "config-manager" / "config.db"


@pytest.mark.req("C036", "C069", "F17")
async def test_a_first_start_makes_keys_and_settings_and_sends_them_signed(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        health = told(broker)
        keys = service._keys.current()

    assert health.ok, health.err
    assert (health.database_status, health.operational_mode) == ("healthy", "normal")
    assert health.litestream_status == "disabled"
    assert health.err is None
    for name in CONFIGS:
        update = read_update(broker.retained[CONFIG.topic(service=name)].payload)
        assert check_update(update, keys.trusted) == keys.signing.kid
        assert update.config_epoch == health.config_epoch
    with closing(sqlite3.connect(database(tmp_path))) as db:
        assert db.execute("SELECT config_epoch, reason, active FROM epochs").fetchall() == [
            (health.config_epoch, "created", 1)
        ]
        assert db.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


async def test_the_epoch_outlives_restarts_and_nothing_is_sent_twice(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    epochs = set()
    for _ in range(3):
        async with manager(broker, tmp_path):
            epochs.add(told(broker).config_epoch)

    assert len(epochs) == 1
    sent = [m.topic for m in broker.log if m.topic.startswith("system/config/")]
    assert sorted(sent) == sorted(CONFIG.topic(service=name) for name in CONFIGS)


@pytest.mark.req("C074")
async def test_a_restore_that_was_cut_off_is_not_taken_for_a_house_without_settings(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        pass
    database(tmp_path).unlink()
    (tmp_path / "config-manager" / "restore.marker").touch()

    with pytest.raises(StartupError, match="a restore was cut off"):
        async with manager(broker, tmp_path):
            pass
    assert not database(tmp_path).exists()


@pytest.mark.req("R012")
async def test_events_follow_the_grammar_and_beat_every_ten_seconds(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        start = len(broker.log)
        await asyncio.sleep(35)
        beats = [
            tokens(ConfigHealthPayload.decode(m.payload))
            for m in broker.log[start:]
            if m.topic == CONFIG_HEALTH.topic()
        ]
    every = [
        tokens(ConfigHealthPayload.decode(m.payload))
        for m in broker.log
        if m.topic == CONFIG_HEALTH.topic()
    ]

    words = [word for word, _ in every]
    assert words[0] == "birth"
    assert words[-1] == "stopping"
    assert set(words[1:-1]) == {"heartbeat"}
    assert 3 <= len(beats) <= 4
    assert [int(t["seq"]) for _, t in every] == list(range(1, len(every) + 1))
    assert {t["every"] for _, t in every} == {"10"}
    assert len({t["boot"] for _, t in every}) == 1
    assert all(t["conn"] == "1" and t["at"].endswith("Z") for _, t in every)
    assert all(len(t["head"]) == 16 for _, t in beats)
    assert not ConfigHealthPayload.decode(broker.log[-1].payload).ok


@pytest.mark.req("C036")
async def test_the_will_is_the_full_model_with_ok_false(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        assert service.health is not None
        will = service.health.will(7)
        payload = ConfigHealthPayload.decode(will.payload)
        epoch = told(broker).config_epoch

    word, named = tokens(payload)
    assert (will.topic, will.qos, will.retain) == (CONFIG_HEALTH.topic(), 1, True)
    assert word == "lwt"
    assert set(named) == {"boot", "conn"}
    assert named["conn"] == "7"
    assert not payload.ok
    assert payload.database_status == "healthy"
    assert payload.config_epoch == epoch


async def test_a_damaged_database_leaves_it_alive_in_fallback(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        pass
    damaged = b"no database at all " * 500
    database(tmp_path).write_bytes(damaged)

    async with manager(broker, tmp_path, wait_s=25):
        health = told(broker)

    assert not health.ok
    assert (health.database_status, health.operational_mode) == ("corrupted", "read-only-fallback")
    assert health.err is not None
    assert health.err.startswith("DB_CORRUPTED: ")
    assert database(tmp_path).read_bytes() == damaged  # kept for whoever repairs it


async def test_damage_while_it_runs_is_seen_within_one_look(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        with closing(sqlite3.connect(database(tmp_path))) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with database(tmp_path).open("r+b") as file:
            file.write(os.urandom(4096))
        await asyncio.sleep(6)
        health = told(broker)

    assert (health.ok, health.database_status) == (False, "corrupted")


async def test_a_lock_is_told_and_passes(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path):
        seen = []
        await asyncio.sleep(5)
        with closing(sqlite3.connect(database(tmp_path), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(4):
                await asyncio.sleep(5)
                health = told(broker)
                seen.append((health.ok, health.database_status, health.operational_mode))
            other.execute("ROLLBACK")
        await asyncio.sleep(6)
        after = told(broker)

    assert seen == [
        (False, "locked", "normal"),
        (False, "locked", "normal"),
        (False, "locked", "read-only-fallback"),
        (False, "locked", "read-only-fallback"),
    ]
    assert after.ok, after.err
    assert after.err is None


async def test_a_newer_database_is_not_touched(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path):
        pass
    with closing(sqlite3.connect(database(tmp_path), isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = database(tmp_path).read_bytes()

    async with manager(broker, tmp_path):
        health = told(broker)

    assert (health.ok, health.database_status) == (False, "schema-mismatch")
    assert health.operational_mode == "read-only-fallback"
    assert health.schema_version == 99
    assert database(tmp_path).read_bytes() == before


async def test_a_second_process_on_the_file_is_refused(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        first = len(broker.log)
        with pytest.raises(StartupError, match="another config-manager"):
            async with manager(broker, tmp_path):
                pass
        assert len(broker.log) == first  # it ends before it says anything
        assert told(broker).ok


def test_a_second_process_ends_with_78_and_says_why(tmp_path: Path) -> None:
    holder = Store(database(tmp_path))
    asyncio.run(holder.open())
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "config_manager"],
            env={**os.environ, "DATA_DIR": str(tmp_path), "MQTT_URL": "mqtt://127.0.0.1:9"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        asyncio.run(holder.close())

    assert ended.returncode == 78
    assert "another config-manager" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.req("C069")
def test_keys_that_cannot_be_stored_are_printed_once_and_it_ends_with_78(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "config_manager"],
        env={
            **os.environ, "DATA_DIR": str(tmp_path), "KEYS_DIR": "/proc/keys-of-parlour",
            "MQTT_URL": "mqtt://127.0.0.1:9",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip

    assert ended.returncode == 78
    assert ended.stderr.count("CONFIG_SIGNATURE_PRIVATE_KEY=") == 1
    assert "cannot be stored" in ended.stderr
    assert "Traceback" not in ended.stderr
