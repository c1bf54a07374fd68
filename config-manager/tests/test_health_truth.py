"""Health tells the truth: a part that breaks changes status code, body and retained message."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import structlog
from config_manager.fronts.rest import create_app
from config_manager.service import ConfigManager
from parlour_testkit import MemoryBroker
from running_manager import Person, manager, told

Break = Callable[[Path], None]


async def seen(service: ConfigManager, broker: MemoryBroker) -> tuple[int, dict, dict]:
    """What REST answers, and what is retained."""
    token = service.manager.users.issue_token("admin")
    transport = httpx.ASGITransport(create_app(service.manager))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/v1/health", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json(), told(broker).model_dump(mode="json")


def database(folder: Path) -> Path:
    return folder / "config-manager" / "config.db"


def spoil_database(folder: Path) -> None:
    database(folder).write_bytes(b"no database at all " * 500)


def remove_database(folder: Path) -> None:
    database(folder).unlink()


def write_newer_form(folder: Path) -> None:
    with closing(sqlite3.connect(database(folder), isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def spoil_lkg(folder: Path) -> None:
    path = folder / "config-manager" / "config-manager.lkg.json"
    path.write_bytes(path.read_bytes().replace(b'"volume_percent":100', b'"volume_percent":101'))
    spoil_database(folder)  # a file that nobody needs is written anew


@pytest.mark.req("F14", "C036")
async def test_a_house_in_order_is_200_and_ok(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path, wait_s=15) as service:
        code, body, retained = await seen(service, broker)

    assert code == 200
    for health in (body, retained):
        assert health["ok"]
        assert health["lkg_cache_valid"]
        assert health["database_status"] == "healthy"
        assert health["schema_version"] == service.facts.schema_version == 2


@pytest.mark.req("F14", "C036", "C058")
@pytest.mark.parametrize(
    ("wreck", "expected"),
    [
        (spoil_database, {"database_status": "corrupted", "lkg_cache_valid": True}),
        (write_newer_form, {"database_status": "schema-mismatch", "schema_version": 99}),
        (spoil_lkg, {"database_status": "corrupted", "lkg_cache_valid": False}),
    ],
)
async def test_what_broke_while_it_was_away_changes_code_body_and_retained_message(
    broker: MemoryBroker, tmp_path: Path, wreck: Break, expected: dict[str, object]
) -> None:
    async with manager(broker, tmp_path, wait_s=15):
        assert told(broker).ok
    wreck(tmp_path)

    async with manager(broker, tmp_path, wait_s=10) as service:
        code, body, retained = await seen(service, broker)

    assert code == 503
    for health in (body, retained):
        assert not health["ok"]
        assert health["operational_mode"] == "read-only-fallback"
        assert health["err"]
        assert health.items() >= expected.items()


@pytest.mark.req("F14", "C036")
@pytest.mark.parametrize("wreck", [spoil_database, remove_database])
async def test_what_breaks_while_it_runs_changes_code_body_and_retained_message(
    broker: MemoryBroker, tmp_path: Path, wreck: Break
) -> None:
    async with manager(broker, tmp_path, wait_s=15) as service:
        before, _, _ = await seen(service, broker)
        with closing(sqlite3.connect(database(tmp_path))) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        wreck(tmp_path)
        await asyncio.sleep(6)
        code, body, retained = await seen(service, broker)

    assert (before, code) == (200, 503)
    assert not body["ok"]
    assert not retained["ok"]
    assert body["database_status"] == retained["database_status"] != "healthy"


@pytest.mark.req("F14", "C036")
async def test_a_broker_without_its_access_list_changes_code_body_and_retained_message(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    open_to_all = broker.client("config-manager.pub")
    async with manager(broker, tmp_path, bus=open_to_all, wait_s=15) as service:
        code, body, retained = await seen(service, broker)

    assert code == 503
    assert body["err"].startswith("ACL_OPEN")
    assert retained["err"].startswith("ACL_OPEN")


@pytest.mark.req("SC014", "C058")
async def test_the_first_access_that_fails_ends_changes_and_no_read_notices(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    answers: list[str] = []

    async def read_on(person: Person) -> None:
        while True:
            answer = await person.ask("get", "tts-worker")
            answers.append(f"{answer['status']} {answer['data']['config']['volume_percent']}")
            await asyncio.sleep(0.3)

    async with manager(broker, tmp_path) as service:
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(12)
        service.manager.users.put("bob", "read")
        reading = asyncio.ensure_future(read_on(await Person(broker, "bob").listen()))
        await asyncio.sleep(3)
        with closing(sqlite3.connect(database(tmp_path))) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spoil_database(tmp_path)
        before = asyncio.get_running_loop().time()
        failed = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 1}})
        mode = service.manager.core.situation.condition.mode
        took = asyncio.get_running_loop().time() - before
        second = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 1}})
        await asyncio.sleep(6)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    assert failed["status"] == "rejected"
    assert mode == "read-only-fallback"
    assert took < 0.1  # no timer, such as that of the regular look
    assert (second["code"], second["error"]) == (423, "READ_ONLY")
    assert len(answers) > 20
    assert set(answers) == {"accepted 40"}


@pytest.mark.req("SC040", "C057")
async def test_a_form_that_is_not_ours_is_told_in_one_clear_line(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        pass
    write_newer_form(tmp_path)

    with structlog.testing.capture_logs() as lines:
        async with manager(broker, tmp_path, wait_s=0.5):
            mode = told(broker).operational_mode
    clear = [line for line in lines if line.get("code") == "SCHEMA_MISMATCH"]

    assert mode == "read-only-fallback"
    assert clear, lines
    assert clear[0]["log_level"] == "error"
    assert "99" in clear[0]["reason"]
    assert clear[0]["hint"]
