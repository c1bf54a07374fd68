"""What config-manager answers to whoever asks how it, and the fleet, is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from config_manager.checkup import DATABASE_S
from config_manager.service import ConfigManager
from parlour_contracts.messages.health import Health
from parlour_contracts.topics import HEALTH
from parlour_kit.clock import LoopClock, utc_text
from parlour_kit.health import HealthState
from parlour_kit.ids import new_id
from parlour_kit.probes import answers
from parlour_kit.probes.checkup import Checkup
from parlour_testkit import MemoryBroker
from running_manager import manager

FLEET = {"router": {}, "stt-worker": {"audio": True}, "llm-worker": {"llm": True},
         "tts-worker": {"tts": True}}  # fmt: skip
GOOD = {"audio": True, "llm": True, "tts": True, "system": True}


async def tell(broker: MemoryBroker, name: str, components: dict[str, bool], **more: Any) -> None:
    """A health message of a process, as it would send it."""
    works = all(components.values())
    health = Health(
        **{
            "service": name, "instance": name, "status": "healthy" if works else "unhealthy",
            "ok": works, "ready": True, "version": "1.0.0", "boot": new_id(), "conn": 1, "seq": 1,
            "interval_s": 30.0, "issued_at": utc_text(LoopClock().wall()), "event": "heartbeat",
            "components": {**components, "system": True}, **more,
        }
    )  # fmt: skip
    bus = broker.client(f"as-{name}")
    await bus.publish(HEALTH.topic(instance=name), health.encode(), qos=1, retain=True)


async def answer(service: ConfigManager, path: str = "/health") -> tuple[int, dict[str, Any]]:
    """What a process around this service would answer now."""
    health = service.health
    checkup = Checkup(service.ctx.bus, service.clock, health.state if health else HealthState())
    checkup.take(service.checks(), service.fleet)
    checkup.started = True
    if path == "/ready":
        found = answers.readiness(await checkup.checked(), checkup.wall())
    else:
        found = answers.health(await checkup.facts(), checkup.wall())
    return found.code, json.loads(found.encode())


@pytest.mark.req("H002", "X11", "D002", "P014")
async def test_a_fleet_in_order_has_four_components_and_a_database(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, wait_s=15) as service:
        for name, components in FLEET.items():
            await tell(broker, name, components)
        await asyncio.sleep(0.1)
        code, body = await answer(service)
        ready = await answer(service, "/ready")

    assert code == 200, body
    assert (body["status"], body["components"], body["database"]) == ("healthy", GOOD, "connected")
    assert "error" not in body
    assert ready[0] == 200
    assert ready[1]["checks"].keys() == {"database", "schema", "mqtt"}


@pytest.mark.req("H003")
async def test_what_a_worker_tells_of_itself_is_told_of_the_fleet(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, wait_s=15) as service:
        for name, components in FLEET.items():
            await tell(broker, name, {c: c != "tts" for c in components})
        await asyncio.sleep(0.1)
        degraded = await answer(service)
        await tell(broker, "llm-worker", {"llm": True}, event="lwt", status="offline")
        await asyncio.sleep(0.1)
        unhealthy = await answer(service)

    assert (degraded[0], degraded[1]["status"]) == (503, "degraded")
    assert degraded[1]["components"] == {**GOOD, "tts": False}
    assert degraded[1]["error"] == "tts-worker is unhealthy"
    assert (unhealthy[0], unhealthy[1]["status"]) == (503, "unhealthy")
    assert not unhealthy[1]["components"]["llm"]


async def test_an_instance_whose_message_was_taken_off_the_broker_is_not_missed(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, wait_s=15) as service:
        for name, components in FLEET.items():
            await tell(broker, name, components)
        await tell(broker, "llm-worker-2", {"llm": True}, service="llm-worker", event="lwt")
        await asyncio.sleep(0.1)
        missed = await answer(service)
        gone = broker.client("operator")
        await gone.publish(HEALTH.topic(instance="llm-worker-2"), b"", qos=1, retain=True)
        await asyncio.sleep(0.1)
        forgotten = await answer(service)

    assert missed[1]["status"] == "degraded"
    assert forgotten[1]["status"] == "healthy"


def _gone(path: Path) -> None:
    path.unlink()


def _spoilt(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.req("D002", "D003")
@pytest.mark.parametrize("harm", [_gone, _spoilt])
async def test_a_database_that_is_lost_is_told(
    broker: MemoryBroker, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    async with manager(broker, tmp_path, wait_s=15) as service:
        assert (await answer(service))[1]["database"] == "connected"
        path = tmp_path / "config-manager" / "config.db"
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        harm(path)
        await asyncio.sleep(6)  # so often it looks at the file afresh
        code, body = await answer(service)
        ready = await answer(service, "/ready")

    assert code == 503
    assert (body["status"], body["database"]) == ("unhealthy", "disconnected")
    assert str(tmp_path) not in json.dumps(body)
    assert body["error"].startswith("database: DB_")
    assert (ready[0], ready[1]["checks"]["database"]["status"]) == (503, "unhealthy")


@pytest.mark.req("P014")
async def test_a_database_of_another_form_fails_the_check_of_the_schema(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, wait_s=15):
        pass
    _newer(tmp_path / "config-manager" / "config.db")
    async with manager(broker, tmp_path, wait_s=10) as service:
        code, body = await answer(service, "/ready")

    assert code == 503
    assert body["checks"]["schema"]["message"].startswith("SCHEMA_MISMATCH")


@pytest.mark.req("D003", "SC109")
async def test_a_database_that_does_not_answer_is_away_after_less_than_two_seconds(
    broker: MemoryBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_work: object) -> None:
        await asyncio.sleep(3600)

    async with manager(broker, tmp_path, wait_s=15) as service:
        monkeypatch.setattr(service._store, "read", never)
        loop = asyncio.get_running_loop()
        began = loop.time()
        code, body = await answer(service)
        took = loop.time() - began

    assert (code, body["database"]) == (503, "disconnected")
    assert took == pytest.approx(DATABASE_S)
    assert DATABASE_S < 2
