"""config-manager as a process on a real Mosquitto with its access list."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import statistics
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from parlour_config.update import read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.topics import CONFIG, CONFIG_EVENT, CONFIG_HEALTH, CONFIG_LEADER
from parlour_kit.link import MqttOptions
from real_fleet import (
    PASSWORD,
    Keeper,
    Mosquitto,
    Somebody,
    embedded_broker,
    find_mosquitto,
    somebody,
    until,
)

pytestmark = pytest.mark.broker

TTS = CONFIG.topic(service="tts-worker")
CONFIG_TOPICS = {CONFIG.topic(service=name) for name in CONFIGS}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    made = Mosquitto(tmp_path / "broker")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def keepers(broker: Mosquitto, tmp_path: Path) -> Iterator[list[Keeper]]:
    """Processes that end with the test."""
    made: list[Keeper] = []
    yield made
    for one in made:
        one.kill()


def keeper(
    broker: Mosquitto, tmp_path: Path, made: list[Keeper], name: str = "config-manager", **more: Any
) -> Keeper:
    one = Keeper(
        f"mqtt://127.0.0.1:{broker.port}", tmp_path / more.pop("folder", name), tmp_path / "keys",
        name, **more,
    )  # fmt: skip
    made.append(one)
    one.start()
    return one


@asynccontextmanager
async def watching(broker: Mosquitto) -> AsyncIterator[tuple[Somebody, Somebody]]:
    """The administrator, and somebody who may see the configuration topics."""
    async with (
        somebody(broker.options("admin"), "admin") as admin,
        somebody(broker.options("config-manager-2"), "watcher") as watcher,
    ):
        await admin.listen(CONFIG_HEALTH.topic(), "system/health/+")
        await watcher.listen(CONFIG.filter(), CONFIG_LEADER.topic())
        yield admin, watcher


def is_ok(admin: Somebody) -> bool:
    health = admin.health()
    return health is not None and health.ok


def rest(one: Keeper, method: str, path: str, body: object = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{one.rest_port}{path}",
        data=json.dumps(body).encode() if body is not None else None,
        method=method,
        headers={"Authorization": f"Bearer {one.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.threat(28)
@pytest.mark.req("C036", "C076")
async def test_it_is_ok_on_a_broker_with_its_access_list_and_answers_quickly(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    one = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, watcher):
        await until(lambda: is_ok(admin), "ok")
        assert watcher.heard.keys() >= CONFIG_TOPICS
        answer = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        assert answer["status"] == "accepted", answer
        await until(
            lambda: read_update(watcher.heard[TTS]).config["volume_percent"] == 40, "sent", 2
        )
        times = []
        for number in range(100):
            begin = time.perf_counter()
            answer = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": number}})
            times.append(time.perf_counter() - begin)
            assert answer["status"] == "accepted", answer
        assert await asyncio.to_thread(rest, one, "GET", "/v1/config/tts-worker")
        assert one.stop() == 0
        await until(lambda: not is_ok(admin), "goodbye", 3)
        assert not watcher.heard[CONFIG_LEADER.topic()]

    assert statistics.median(times) < 0.05  # figures are the bench's; this holds the order


async def test_on_the_embedded_broker_it_is_ok_reads_are_answered_and_changes_go_over_rest(
    keepers: list[Keeper], tmp_path: Path
) -> None:
    with embedded_broker(tmp_path / "embedded") as port:
        one = Keeper(
            f"mqtt://127.0.0.1:{port}", tmp_path / "cm", tmp_path / "keys", MQTT_ACL="none"
        )
        keepers.append(one)
        one.start()
        options = MqttOptions("127.0.0.1", port, "admin", PASSWORD)
        async with somebody(options, "admin") as admin:
            await admin.listen(CONFIG_HEALTH.topic(), CONFIG.filter())
            await until(lambda: is_ok(admin), "ok")
            assert (await admin.ask("get", "tts-worker"))["status"] == "accepted"
            refused = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
            assert (refused["code"], refused["error"]) == (423, "READ_ONLY")
            await asyncio.to_thread(
                rest, one, "PATCH", "/v1/config/tts-worker", {"config": {"volume_percent": 40}}
            )
            await until(lambda: read_update(admin.heard[TTS]).config["volume_percent"] == 40,
                        "sent", 5)  # fmt: skip
            one.kill()
            one.start()
            await asyncio.sleep(1)
            await until(lambda: is_ok(admin), "ok after a kill", 30)


@pytest.mark.threat(20)
async def test_a_broker_that_was_killed_and_lost_its_store_gets_everything_again(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    one = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, watcher):
        await until(lambda: is_ok(admin), "ok")
        before = {topic: read_update(watcher.heard[topic]).checksum for topic in CONFIG_TOPICS}
        broker.kill(forget=True)
        changed = await asyncio.to_thread(
            rest, one, "PATCH", "/v1/config/tts-worker", {"config": {"volume_percent": 40}}
        )
        assert changed["success"]  # the outbox keeps it
        watcher.heard.clear()
        broker.start()
        begin = time.monotonic()
        await until(lambda: watcher.heard.keys() >= CONFIG_TOPICS, "everything is back", 45)
        took = time.monotonic() - begin
        after = {topic: read_update(watcher.heard[topic]) for topic in CONFIG_TOPICS}

    assert after[TTS].config["volume_percent"] == 40
    assert {t: u.checksum for t, u in after.items() if t != TTS} == {
        t: c for t, c in before.items() if t != TTS
    }
    assert took < 40  # the reconnect waits up to 30 s by rule; the rest is quick


async def test_retained_garbage_is_overwritten_at_once_and_at_the_next_start(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    one = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, watcher):
        await admin.listen(CONFIG_EVENT.topic())
        await until(lambda: is_ok(admin), "ok")
        await watcher.bus.publish(TTS, b"garbage", qos=1, retain=True)
        await until(lambda: watcher.heard[TTS][:1] == b"{", "overwritten", 5)
        event = json.loads(admin.heard[CONFIG_EVENT.topic()])
        assert event["event"] == "config-topic-tampered"
        one.stop()
        await watcher.bus.publish(TTS, b"garbage", qos=1, retain=True)
        one.start()
        await until(lambda: watcher.heard[TTS][:1] == b"{", "overwritten after a start", 15)


async def test_a_restored_database_continues_above_what_was_published(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    one = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, watcher):
        await until(lambda: is_ok(admin), "ok")
        one.stop()
        copy = one.database.read_bytes()
        one.start()
        await until(lambda: is_ok(admin), "ok again")
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await until(lambda: read_update(watcher.heard[TTS]).config["volume_percent"] == 40, "sent")
        ahead = read_update(watcher.heard[TTS])
        one.kill()
        shutil.rmtree(one.database.parent)
        one.database.parent.mkdir()
        one.database.write_bytes(copy)
        one.start()
        await until(lambda: read_update(watcher.heard[TTS]).config_epoch != ahead.config_epoch,
                    "a new epoch")  # fmt: skip
        now = read_update(watcher.heard[TTS])
        read = await admin.ask("get", "tts-worker")

    assert now.issued_at > ahead.issued_at
    assert read["data"]["metadata"]["version"] == 1001


async def test_a_request_that_met_a_dead_manager_is_answered_by_the_next_one(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    one = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, _):
        await until(lambda: is_ok(admin), "ok")
        await admin.ask("get", "tts-worker")
        one.kill()
        asking = asyncio.ensure_future(
            admin.ask("patch", "tts-worker",
                      {"transaction": "t-9", "config": {"volume_percent": 40}})
        )  # fmt: skip
        await asyncio.sleep(0.5)
        begin = time.monotonic()
        one.start()
        answer = await asking
        took = time.monotonic() - begin
        again = await admin.ask(
            "patch", "tts-worker", {"transaction": "t-9", "config": {"volume_percent": 40}}
        )

    assert answer["status"] == "accepted"
    assert again == {**answer, "duplicate": True}
    assert took < 15
    with closing(sqlite3.connect(one.database)) as db:
        assert db.execute(
            "SELECT version FROM service_configs WHERE service = 'tts-worker'"
        ).fetchone() == (2,)


async def test_a_second_manager_stands_by_until_it_is_told_to_take_over(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    first = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, watcher):
        await until(lambda: is_ok(admin), "ok")
        epoch = read_update(watcher.heard[TTS]).config_epoch
        second = keeper(broker, tmp_path, keepers, "config-manager-2")
        await until(lambda: b"STANDBY" in admin.heard.get("system/health/config-manager-2", b""),
                    "stands by", 45)  # fmt: skip
        assert is_ok(admin)
        assert read_update(watcher.heard[TTS]).config_epoch == epoch
        first.kill()
        done = await asyncio.to_thread(
            rest, second, "POST", "/v1/takeover", {"reason": "the first is dead"}
        )
        await until(lambda: read_update(watcher.heard[TTS]).config_epoch == done["config_epoch"],
                    "the new epoch is out")  # fmt: skip
        await until(lambda: b'"ok":true' in admin.heard["system/health/config-manager-2"], "ok")
        answer = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        assert answer["status"] == "accepted"

    assert done["config_epoch"] != epoch


@pytest.mark.threat(13)
async def test_a_cloned_card_under_the_same_name_stops_both_until_the_operator_decides(
    broker: Mosquitto, keepers: list[Keeper], tmp_path: Path
) -> None:
    first = keeper(broker, tmp_path, keepers)
    async with watching(broker) as (admin, watcher):
        await until(lambda: is_ok(admin), "ok")
        first.stop()
        shutil.copytree(tmp_path / "config-manager", tmp_path / "clone")
        first.start()
        await until(lambda: is_ok(admin), "ok again")
        clone = keeper(broker, tmp_path, keepers, folder="clone")
        marks = [one.database.parent / "epoch-conflict.json" for one in (first, clone)]
        await until(lambda: any(mark.exists() for mark in marks), "somebody stops", 60)
        clone.stop()
        await until(lambda: first.database.exists() and admin.health() is not None, "health", 60)
        await asyncio.sleep(1)
        done = await asyncio.to_thread(
            rest, first, "POST", "/v1/takeover", {"reason": "the clone is off"}
        )
        await until(lambda: read_update(watcher.heard[TTS]).config_epoch == done["config_epoch"],
                    "the new epoch is out", 60)  # fmt: skip
        await until(lambda: is_ok(admin), "ok", 60)
        epochs = {read_update(watcher.heard[topic]).config_epoch for topic in CONFIG_TOPICS}

    assert epochs == {done["config_epoch"]}
