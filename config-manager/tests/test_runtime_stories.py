"""config-manager beside a broker that forgets, lies or was restored: on the memory bus."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from config_manager.commands import Caller
from config_manager.runtime.clock import WallClock
from config_manager.runtime.leader import Role
from config_manager.service import ConfigManager
from parlour_config.keyfiles import read_root_key
from parlour_config.keyset import build_keyset, listed, sign_keyset
from parlour_config.provision import ROOT_FILE
from parlour_config.update import Update, build_update, read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.requests import ConfigApplied, ConfigEvent
from parlour_contracts.topics import (
    CONFIG,
    CONFIG_APPLIED,
    CONFIG_EVENT,
    CONFIG_HEALTH,
    CONFIG_KEYS,
    CONFIG_LEADER,
    HEALTH,
)
from parlour_kit.clock import utc_text
from parlour_testkit import MemoryBroker
from running_manager import Person, manager, told

TTS = CONFIG.topic(service="tts-worker")
ADMIN = Caller("admin", "admin")


def retained(broker: MemoryBroker, service: str = "tts-worker") -> Update:
    return read_update(broker.retained[CONFIG.topic(service=service)].payload)


def events(broker: MemoryBroker) -> list[str]:
    return [
        ConfigEvent.decode(m.payload).event for m in broker.log if m.topic == CONFIG_EVENT.topic()
    ]


def database(folder: Path) -> Path:
    return folder / "config-manager" / "config.db"


async def versions(service: ConfigManager) -> dict[str, int]:
    return await service._store.read(
        lambda db: dict(db.execute("SELECT service, version FROM service_configs").fetchall())
    )


def copy_database(folder: Path) -> bytes:
    with closing(sqlite3.connect(database(folder))) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database(folder).read_bytes()


def put_back(folder: Path, data: bytes) -> None:
    for part in ("", "-wal", "-shm"):
        database(folder).with_name(f"config.db{part}").unlink(missing_ok=True)
    database(folder).write_bytes(data)


async def sign_as_twin(
    service: ConfigManager, broker: MemoryBroker, *, epoch: str, issued_at: str, volume: int = 7
) -> None:
    """Somebody with the same key sends."""
    key = service._keys.current().signing
    config = {**retained(broker).config, "volume_percent": volume}
    wire = build_update(
        key, service="tts-worker", config=config, config_epoch=epoch, issued_at=issued_at
    )
    await broker.client("twin").publish(TTS, wire, qos=1, retain=True)


@pytest.mark.threat(20)
@pytest.mark.req("C076")
async def test_a_broker_that_lost_its_store_gets_everything_again(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        before = retained(broker)
        broker.stop()
        broker.retained.clear()
        broker.start()
        await asyncio.sleep(4)
        after = retained(broker)
        assert {s for s in CONFIGS if CONFIG.topic(service=s) in broker.retained} == set(CONFIGS)

    assert after.checksum == before.checksum
    assert after.issued_at > before.issued_at


async def test_garbage_on_a_configuration_topic_is_overwritten_and_told(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        good = retained(broker)
        stranger = broker.client("stranger")
        for payload in (b"garbage", b"", good.raw.replace(b"100", b"101")):
            await stranger.publish(TTS, payload, qos=1, retain=True)
            await asyncio.sleep(2)
            assert retained(broker).checksum == good.checksum
        await asyncio.sleep(10)
        health = told(broker)

    assert "config-topic-tampered" in events(broker)
    assert health.ok
    words = [
        (ConfigHealthPayload.decode(m.payload).event or "").split()[0]
        for m in broker.log
        if m.topic == CONFIG_HEALTH.topic()
    ]
    assert "config-topic-tampered" in words
    assert words[-1] == "stopping"


@pytest.mark.threat(5)
async def test_another_services_message_does_not_stay_on_a_topic(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        await broker.client("x").publish(TTS, retained(broker, "router").raw, qos=1, retain=True)
        await asyncio.sleep(2)
        assert retained(broker).service == "tts-worker"


async def test_an_old_message_of_its_own_is_replaced_within_ten_minutes(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        old = retained(broker)
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(1)
        new = retained(broker)
        await broker.client("replayer").publish(TTS, old.raw, qos=1, retain=True)
        await asyncio.sleep(610)
        after = retained(broker)

    assert after.checksum == new.checksum
    assert after.issued_at > new.issued_at
    assert "epoch-conflict" not in events(broker)


@pytest.mark.threat(3)
@pytest.mark.req("C067", "C074")
async def test_a_restored_copy_gets_a_new_epoch_above_what_was_published(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        epoch = told(broker).config_epoch
        first = await versions(service)
    copy = copy_database(tmp_path)
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(1)
        ahead = retained(broker)
    put_back(tmp_path, copy)
    (tmp_path / "config-manager" / "config-manager.lkg.json").unlink()  # another machine

    async with manager(broker, tmp_path) as service:
        health = told(broker)
        now = await versions(service)
        assert health.ok, health.err

    assert "restored-behind" in events(broker)
    assert health.config_epoch != epoch
    assert now == {name: version + 1000 for name, version in first.items()}
    for name in CONFIGS:
        assert retained(broker, name).config_epoch == health.config_epoch
        assert retained(broker, name).issued_at > ahead.issued_at
    assert retained(broker).config["volume_percent"] == 100


async def test_a_copy_older_than_the_last_known_good_file_is_noticed_without_a_broker(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        epoch = told(broker).config_epoch
    copy = copy_database(tmp_path)
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(12)
    put_back(tmp_path, copy)
    broker.retained.clear()

    async with manager(broker, tmp_path):
        assert told(broker).config_epoch != epoch
    assert "restored-behind" in events(broker)


async def test_the_mark_of_a_restore_brings_a_new_epoch_once(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    epochs = []
    for marked in (False, True, False):
        if marked:
            (tmp_path / "config-manager" / "restore.marker").touch()
        async with manager(broker, tmp_path):
            epochs.append(told(broker).config_epoch)
            named = json.loads((tmp_path / "config-manager" / "health+epoch.json").read_text())
            assert named["config_epoch"] == epochs[-1]
            assert set(named) == {"config_epoch", "schema_version", "created_at", "last_rebuild"}

    assert epochs[0] != epochs[1] == epochs[2]
    assert not (tmp_path / "config-manager" / "restore.marker").exists()


@pytest.mark.req("C074")
async def test_a_restored_database_gets_a_path_for_its_copies_when_it_has_its_new_epoch(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    folder = tmp_path / "config-manager"
    copied = {"litestream_socket": tmp_path / "litestream.sock"}
    async with manager(broker, tmp_path, **copied):
        old = told(broker).config_epoch
        assert f"CONFIG_EPOCH={old}\n" in (folder / "litestream.env").read_text()
        assert told(broker).litestream_status == "error"
    (folder / "litestream.env").unlink()
    (folder / "restore.marker").touch()

    broker.stop()
    async with manager(broker, tmp_path, **copied):
        assert not (folder / "litestream.env").exists()
        broker.start()
        await asyncio.sleep(20)
        new = told(broker).config_epoch
        assert new != old
        assert f"CONFIG_EPOCH={new}\n" in (folder / "litestream.env").read_text()


async def test_a_lost_database_follows_its_predecessor_above_all_it_published(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(1)
        before = retained(broker)
    shutil.rmtree(tmp_path / "config-manager")

    async with manager(broker, tmp_path) as service:
        health = told(broker)
        assert health.ok, health.err
        rows = await service._store.read(
            lambda db: db.execute(
                "SELECT config_epoch, reason FROM epochs ORDER BY active"
            ).fetchall()
        )
    after = retained(broker)

    assert "predecessor-found" in events(broker)
    assert rows == [(before.config_epoch, "predecessor"), (health.config_epoch, "created")]
    assert after.config_epoch == health.config_epoch != before.config_epoch
    assert after.issued_at > before.issued_at


@pytest.mark.threat(13)
@pytest.mark.req("C067")
async def test_a_twin_that_signs_stops_it_until_the_operator_decides(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        epoch = told(broker).config_epoch
        soon = utc_text(datetime.now(UTC) + timedelta(hours=1))
        await sign_as_twin(service, broker, epoch=epoch, issued_at=soon)
        await asyncio.sleep(3)
        health = told(broker)
        assert (health.ok, health.operational_mode) == (False, "read-only-fallback")
        assert health.err is not None
        assert health.err.startswith("EPOCH_CONFLICT")
        assert retained(broker).config["volume_percent"] == 7  # it touches nothing any more
        admin = await Person(broker).listen()
        refused = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 1}})
        assert (refused["code"], refused["error"]) == (423, "READ_ONLY")
        assert (await admin.ask("get", "tts-worker"))["status"] == "accepted"

    async with manager(broker, tmp_path) as service:  # it survives a restart
        assert not told(broker).ok
        done = await service.manager.operator.takeover(ADMIN, reason="twin is off", above=None)
        await asyncio.sleep(3)
        health = told(broker)
        assert health.ok, health.err
        assert done.config_epoch == health.config_epoch != epoch
        after = retained(broker)

    assert after.config_epoch == health.config_epoch
    assert after.issued_at > soon
    assert after.config["volume_percent"] == 100
    assert {"epoch-conflict"} <= set(events(broker))


async def test_a_second_manager_stands_by_and_takes_over_when_told(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    first_folder, second_folder = tmp_path / "a", tmp_path / "b"
    async with manager(broker, first_folder) as first:
        shutil.copytree(first_folder / "keys", second_folder / "keys")
        before = {
            t: m.payload for t, m in broker.retained.items() if t.startswith("system/config/")
        }
        async with manager(broker, second_folder, instance="config-manager-2", wait_s=40) as second:
            assert second.manager.core.leadership.role is Role.STANDBY
            assert second.manager.health().operational_mode == "read-only-fallback"
            assert told(broker).ok
            assert before == {
                t: m.payload for t, m in broker.retained.items() if t.startswith("system/config/")
            }
            await second.manager.operator.takeover(ADMIN, reason="the first is old", above=None)
            await asyncio.sleep(15)
            assert second.manager.core.leadership.leads
            assert first.manager.core.leadership.role is Role.CONFLICT
            assert not told(broker).ok
            assert retained(broker).config_epoch == second.facts.config_epoch
            flips = {
                read_update(m.payload).config_epoch
                for m in broker.log
                if m.topic == TTS and m.payload
            }
            assert len(flips) == 2


async def test_a_killed_manager_restarts_without_waiting_for_its_own_lease(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        lease = broker.retained[CONFIG_LEADER.topic()]
        boot = json.loads(lease.payload)["boot_id"]
        assert boot == service.health.boot  # type: ignore[union-attr]
    assert CONFIG_LEADER.topic() not in broker.retained  # a clean end takes it back
    broker.retained[CONFIG_LEADER.topic()] = lease  # a kill would have left it

    async with manager(broker, tmp_path, wait_s=1):
        assert told(broker).ok


def clock(shown: list[datetime], *, trusted: bool = True) -> WallClock:
    return WallClock(lambda: shown[0], lambda: trusted)


@pytest.mark.threat(21)
@pytest.mark.req("C035")
async def test_a_clock_at_1970_is_not_believed_and_harms_nothing(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        before = retained(broker)
    wrong = [datetime(1970, 1, 2, tzinfo=UTC)]
    async with manager(broker, tmp_path, wall=clock(wrong)):
        admin = await Person(broker).listen()
        answer = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(1)
        assert told(broker).ok

    assert answer["status"] == "accepted"
    assert "clock-untrusted" in events(broker)
    assert before.issued_at < retained(broker).issued_at < "2030"


@pytest.mark.threat(15)
async def test_after_a_visit_to_2038_nothing_is_signed_until_the_operator_confirms(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    shown = [datetime(2026, 11, 1, tzinfo=UTC)]
    async with manager(broker, tmp_path, wall=clock(shown)) as service:
        shown[0] = datetime(2038, 1, 19, tzinfo=UTC)
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(1)
        assert retained(broker).issued_at.startswith("2038")
        shown[0] = datetime(2026, 11, 2, tzinfo=UTC)
        await asyncio.sleep(11)
        health = told(broker)
        assert (health.ok, health.err is not None and health.err[:11]) == (False, "FLOOR_AHEAD")
        refused = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 50}})
        assert refused["code"] == 423
        assert "confirm-floor" in refused["hint"]
        await service.manager.operator.confirm_floor(ADMIN, reason="the clock was wrong")
        await asyncio.sleep(3)
        assert told(broker).ok, told(broker).err
        accepted = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 60}})
        await asyncio.sleep(1)

    assert accepted["status"] == "accepted"
    assert retained(broker).issued_at > "2038"
    assert "floor-ahead" in events(broker)
    async with manager(broker, tmp_path, wall=clock(shown)):
        assert told(broker).ok  # the word of the operator outlives a restart


async def test_an_untrusted_clock_moves_the_counter_by_a_microsecond(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    shown = [datetime(2099, 1, 1, tzinfo=UTC)]
    async with manager(broker, tmp_path, wall=clock(shown, trusted=False)):
        moments = {retained(broker, name).issued_at for name in CONFIGS}

    assert all(moment.startswith("2026-01-01T00:00:00.0000") for moment in moments)
    assert len(moments) == len(CONFIGS)


class Instance:
    """A service that says what it runs with."""

    def __init__(self, broker: MemoryBroker, name: str = "tts-worker") -> None:
        self.bus = broker.client(name)
        self.name = name
        self.seq = 0

    async def beat(self) -> None:
        self.seq += 1
        health = Health(
            service="tts-worker", instance=self.name, status="healthy", ok=True, ready=True,
            version="1.0.0", boot="0197f3a0-0000-7000-8000-000000000000", conn=1, seq=self.seq,
            interval_s=5, issued_at="2026-01-01T00:00:00.000000Z", event="heartbeat",
        )  # fmt: skip
        await self.bus.publish(HEALTH.topic(instance=self.name), health.encode(), retain=True)

    async def report(self, update: Update, **more: Any) -> None:
        fields: dict[str, Any] = {
            "service": "tts-worker", "instance": self.name, "boot_id": "b", "keyset_version": 0,
            "config_epoch": update.config_epoch, "issued_at": update.issued_at,
            "checksum": update.checksum, "status": "applied", "source": "mqtt", "error": None,
            "applied_at": "2026-01-01T00:00:00.000000Z", "lkg_age_s": 0.0, **more,
        }  # fmt: skip
        said = ConfigApplied.model_validate_json(json.dumps(fields))
        await self.bus.publish(
            CONFIG_APPLIED.topic(service="tts-worker", instance=self.name),
            said.encode(),
            qos=1,
            retain=True,
        )


async def test_a_lagging_instance_is_named_sent_to_again_and_told(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        admin = await Person(broker).listen()
        worker = Instance(broker)
        await worker.beat()
        await worker.report(retained(broker))
        in_sync = await admin.ask("get", "tts-worker")
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        lagging = await admin.ask("get", "tts-worker")
        sent = retained(broker)
        for _ in range(14):
            await worker.beat()
            await asyncio.sleep(5)
        again = retained(broker)
        state = await service.manager.state()
        await worker.report(again)
        after = await admin.ask("get", "tts-worker")

    assert in_sync["data"]["metadata"]["in_sync"] is True
    assert lagging["data"]["metadata"]["in_sync"] is False
    assert lagging["data"]["metadata"]["lagging"] == ["tts-worker"]
    assert again.checksum == sent.checksum
    assert again.issued_at > sent.issued_at
    assert events(broker).count("not-in-sync") == 1
    mine = next(s for s in state.services if s.service == "tts-worker")
    assert (mine.in_sync, mine.lagging) == (False, ["tts-worker"])
    assert after["data"]["metadata"]["in_sync"] is True


async def test_a_service_whose_floor_is_above_ours_is_told_to_the_operator(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        worker = Instance(broker)
        await worker.beat()
        await worker.report(
            retained(broker), issued_at="2037-01-01T00:00:00.000000Z", status="stale", error="STALE"
        )
        await asyncio.sleep(1)

    assert "floor-behind" in events(broker)


@pytest.mark.threat(4)
@pytest.mark.req("C035")
async def test_unchanged_settings_are_signed_anew_once_a_period(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    loop = asyncio.get_running_loop()
    start = loop.time()
    wall = WallClock(lambda: begin + timedelta(seconds=loop.time() - start), lambda: True)
    async with manager(broker, tmp_path, wall=wall, config_refresh_s=600):
        first = retained(broker)
        counts = []
        for _ in range(3):
            await asyncio.sleep(600)
            counts.append(sum(m.topic == TTS for m in broker.log))
        last = retained(broker)

    assert counts == [2, 3, 4]
    assert last.checksum == first.checksum
    assert last.issued_at > first.issued_at


@pytest.mark.threat(18)
@pytest.mark.req("C058", "C060")
async def test_without_a_database_reads_come_from_the_last_known_good_file(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(12)
        assert told(broker).lkg_cache_valid
    database(tmp_path).write_bytes(b"no database at all " * 500)

    async with manager(broker, tmp_path, wait_s=8):
        health = told(broker)
        read = await admin.ask("get", "tts-worker")
        listed_services = await admin.ask("list", "_all")
        described = await admin.ask("describe", "tts-worker")
        change = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 1}})
        history = await admin.ask("history", "tts-worker")

    assert (health.database_status, health.operational_mode) == ("corrupted", "read-only-fallback")
    assert health.lkg_cache_valid
    assert read["data"]["config"]["volume_percent"] == 40
    assert [s["service"] for s in listed_services["data"]["services"]] == sorted(CONFIGS)
    assert described["status"] == "accepted"
    assert (change["code"], change["error"]) == (423, "READ_ONLY")
    assert (history["code"], history["error"]) == (503, "DB_UNAVAILABLE")


@pytest.mark.req("C070")
async def test_a_tampered_last_known_good_file_is_set_aside(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        await asyncio.sleep(10)
    path = tmp_path / "config-manager" / "config-manager.lkg.json"
    path.write_bytes(path.read_bytes().replace(b'"volume_percent":100', b'"volume_percent":101'))
    database(tmp_path).write_bytes(b"no database at all " * 500)

    async with manager(broker, tmp_path, wait_s=8):
        assert not told(broker).lkg_cache_valid
    assert list(path.parent.glob("config-manager.lkg.json.bad-*"))


@pytest.mark.req("C056", "C059", "C061", "C073")
async def test_a_damaged_database_is_made_anew_where_the_operator_allowed_it(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        await asyncio.sleep(12)
        epoch = told(broker).config_epoch
        ahead = retained(broker).issued_at
    database(tmp_path).write_bytes(b"no database at all " * 500)

    async with manager(broker, tmp_path, wait_s=10, config_auto_rebuild=True):
        health = told(broker)
        assert health.ok, health.err
        again = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 41}})
        await asyncio.sleep(1)

    assert health.config_epoch != epoch
    assert again["status"] == "accepted"
    assert again["data"]["new_version"] > 1000
    assert retained(broker).config_epoch == health.config_epoch
    assert retained(broker, "router").config_epoch == health.config_epoch
    assert retained(broker).issued_at > ahead
    assert (tmp_path / "config-manager" / "rebuild.info").exists()


async def test_damage_while_it_runs_is_mended_where_the_operator_allowed_it(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, config_auto_rebuild=True):
        await asyncio.sleep(12)
        epoch = told(broker).config_epoch
        copy_database(tmp_path)
        with database(tmp_path).open("r+b") as file:
            file.write(b"x" * 8192)
        await asyncio.sleep(12)
        health = told(broker)
        assert health.ok, health.err

    assert health.config_epoch != epoch
    assert retained(broker).config_epoch == health.config_epoch


@pytest.mark.threat(28)
async def test_a_broker_without_its_access_list_costs_ok_and_changes_over_mqtt(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, bus=broker.client("config-manager.pub")):
        health = told(broker)
        admin = await Person(broker).listen()
        change = await admin.ask("patch", "tts-worker", {"config": {"volume_percent": 40}})
        read = await admin.ask("get", "tts-worker")

    assert not health.ok
    assert health.err is not None
    assert health.err.startswith("ACL_OPEN")
    assert (change["code"], change["error"]) == (423, "READ_ONLY")
    assert read["status"] == "accepted"
    assert "acl-selftest-failed" in events(broker)


async def test_the_keyset_comes_back_to_a_broker_that_lost_it(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        root = read_root_key(tmp_path / "keys" / ROOT_FILE)
        keys = service._keys.current()
        document = sign_keyset(
            build_keyset(
                version=1, roots=[root.public], threshold=1,
                config_keys=[listed(keys.signing.public)],
            ),
            [root],
        )  # fmt: skip
        await service.manager.keys.accept_keyset(document, by="admin", reason="first")
        await asyncio.sleep(1)
        assert broker.retained[CONFIG_KEYS.topic()].payload == document
        broker.stop()
        broker.retained.clear()
        broker.start()
        await asyncio.sleep(5)
        assert broker.retained[CONFIG_KEYS.topic()].payload == document


async def test_seeds_are_taken_at_the_first_start_with_their_reason(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    seeds = tmp_path / "seed.json"
    seeds.write_text(
        json.dumps({"tts-worker": {"settings": {"volume_percent": 55}, "reason": "a small room"}})
    )
    async with manager(broker, tmp_path, config_seed_file=seeds):
        admin = await Person(broker).listen()
        read = await admin.ask("get", "tts-worker")
        history = await admin.ask("history", "tts-worker", {"key": "volume_percent"})

    assert read["data"]["config"]["volume_percent"] == 55
    assert "a small room" in json.dumps(history["data"])


async def test_changes_wait_while_the_broker_has_not_been_seen(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    broker.stop()
    bus = broker.client("config-manager.pub")
    bus.lose()
    async with manager(broker, tmp_path, bus=bus, mqtt_acl="none") as service:
        gate = service.manager.core.situation.gate()
        assert gate is not None
        assert gate.code == "STARTING"
        broker.start()
        await asyncio.sleep(4)
        assert service.manager.core.situation.gate() is None
        broker.stop()
        await asyncio.sleep(1)
        assert service.manager.core.situation.gate() is None  # from now on the outbox keeps them
