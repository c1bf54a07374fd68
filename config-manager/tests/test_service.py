"""config-manager as the fleet sees it: its health, on the memory bus and in virtual time."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from config_manager.service import ConfigManager
from config_manager.store import Store
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.topics import CONFIG_HEALTH
from parlour_kit.errors import StartupError
from parlour_testkit import MemoryBroker, memory_service

BUSY_MS = 50


def database(data_dir: Path) -> Path:
    return data_dir / "config-manager" / "config.db"


@asynccontextmanager
async def manager(broker: MemoryBroker, data_dir: Path) -> AsyncIterator[ConfigManager]:
    store = Store(database(data_dir), busy_ms=BUSY_MS)
    async with memory_service(ConfigManager, broker, data_dir=data_dir, store=store) as service:
        await asyncio.sleep(0.1)
        assert isinstance(service, ConfigManager)
        yield service


def told(broker: MemoryBroker) -> ConfigHealthPayload:
    return ConfigHealthPayload.decode(broker.retained[CONFIG_HEALTH.topic()].payload)


def tokens(payload: ConfigHealthPayload) -> tuple[str, dict[str, str]]:
    word, *rest = (payload.event or "").split(" ")
    return word, dict(token.split("=", 1) for token in rest)


@pytest.mark.req("C036")
async def test_a_first_start_is_healthy_and_owns_an_empty_database(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        health = told(broker)

    assert health.ok
    assert (health.database_status, health.operational_mode) == ("healthy", "normal")
    assert health.schema_version == 1
    assert not health.lkg_cache_valid  # there is no such file yet
    assert health.litestream_status == "disabled"
    assert health.err is None
    with closing(sqlite3.connect(database(tmp_path))) as db:
        assert db.execute("SELECT config_epoch, reason, active FROM epochs").fetchall() == [
            (health.config_epoch, "created", 1)
        ]


async def test_the_epoch_outlives_restarts(broker: MemoryBroker, tmp_path: Path) -> None:
    epochs = set()
    for _ in range(3):
        async with manager(broker, tmp_path):
            epochs.add(told(broker).config_epoch)

    assert len(epochs) == 1


@pytest.mark.req("R012")
async def test_events_follow_the_grammar_and_beat_every_ten_seconds(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        await asyncio.sleep(35)
    beats = [
        tokens(ConfigHealthPayload.decode(m.payload)) for m in broker.log if "health" in m.topic
    ]

    words = [word for word, _ in beats]
    assert words[0] == "birth"
    assert words[-1] == "stopping"
    assert set(words[1:-1]) == {"heartbeat"}
    assert len(words) == 6  # birth, ready, three beats, goodbye
    assert [int(t["seq"]) for _, t in beats] == list(range(1, 7))
    assert {t["every"] for _, t in beats} == {"10"}
    assert len({t["boot"] for _, t in beats}) == 1
    assert all(t["conn"] == "1" and t["at"].endswith("Z") for _, t in beats)
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

    async with manager(broker, tmp_path):
        await asyncio.sleep(25)
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
    assert after.ok
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
