"""The small parts of the runtime, each by itself."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from config_manager.commands import Caller, RefusedError
from config_manager.condition import Condition
from config_manager.errors import CorruptedError, LockedError
from config_manager.health import wal_reset_affected
from config_manager.runtime.clock import WallClock
from config_manager.runtime.collector import Collector, read_seen
from config_manager.runtime.desk import service_of
from config_manager.runtime.epoch_file import EpochFiles
from config_manager.runtime.events import Events
from config_manager.runtime.leader import Role
from config_manager.runtime.litestream import LitestreamWatch, judge
from config_manager.runtime.refresh import RefreshPlan
from config_manager.runtime.selftest import Acl
from config_manager.runtime.situation import Situation, floor_is_ahead
from config_manager.runtime.upkeep import Upkeep, disk_is_low
from config_manager.runtime.wal import MIB, WalRules, WalWatch
from config_manager.service import read_seeds
from config_manager.store import Store
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.update import build_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.requests import ConfigEvent
from parlour_kit.clock import LoopClock
from parlour_kit.errors import StartupError
from parlour_testkit import MemoryBroker
from running_manager import manager, settings_of, told

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
KEY = SigningKey(bytes(range(32)))
EPOCH = "550e8400-e29b-41d4-a716-446655440000"


def situation(**more: object) -> Situation:
    facts: dict[str, object] = {
        "condition": Condition(), "role": Role.ACTIVE, "why": "", "reconciled": True,
        "connected": True, "acl": Acl.ENFORCED, "floor_ahead": False, **more,
    }  # fmt: skip
    return Situation(**facts)  # type: ignore[arg-type]


LOCKED = Condition("locked", "normal", LockedError("held"), 1)
DAMAGED = Condition("corrupted", "read-only-fallback", CorruptedError("damaged"))


@pytest.mark.req("C036", "C053", "C054", "C058")
@pytest.mark.parametrize(
    ("facts", "ok", "shown", "refusal"),
    [
        ({}, True, ("healthy", "normal"), None),
        ({"connected": False}, False, ("healthy", "normal"), None),
        ({"reconciled": False, "role": Role.STARTING}, False, ("healthy", "normal"), "STARTING"),
        ({"role": Role.STANDBY}, False, ("healthy", "read-only-fallback"), "READ_ONLY"),
        ({"role": Role.CONFLICT}, False, ("healthy", "read-only-fallback"), "READ_ONLY"),
        ({"floor_ahead": True}, False, ("healthy", "read-only-fallback"), "READ_ONLY"),
        ({"condition": LOCKED}, False, ("locked", "normal"), None),
        ({"condition": DAMAGED}, False, ("corrupted", "read-only-fallback"), "READ_ONLY"),
        ({"acl": Acl.NONE}, True, ("healthy", "normal"), None),
        ({"acl": Acl.OPEN}, False, ("healthy", "normal"), None),
        ({"replica_bad": True}, False, ("healthy", "normal"), None),
        ({"listening": False}, False, ("healthy", "normal"), None),
        ({"refused": True}, False, ("healthy", "normal"), None),
    ],
)
def test_what_may_be_done_follows_from_the_facts(
    facts: dict[str, object], ok: bool, shown: tuple[str, str], refusal: str | None
) -> None:
    found = situation(**facts)
    gate = found.gate()

    assert found.ok is ok
    assert (found.shown.status, found.shown.mode) == shown
    assert (gate.code if gate else None) == refusal
    assert gate is None or gate.hint
    assert (found.problem is None) is ok


@pytest.mark.parametrize(
    ("acl", "refused"), [(Acl.ENFORCED, False), (Acl.NONE, True), (Acl.OPEN, True)]
)
def test_changes_come_over_mqtt_only_where_the_broker_tells_users_apart(
    acl: Acl, refused: bool
) -> None:
    assert (situation(acl=acl).mqtt_gate() is not None) is refused


@pytest.mark.parametrize(
    ("floor", "now", "confirmed", "ahead"),
    [
        ("2026-11-02T11:59:59.000000Z", NOW, "", False),
        ("2026-11-02T12:00:01.000000Z", NOW, "", True),
        ("2026-11-02T12:00:01.000000Z", None, "", False),
        ("2038-01-19T00:00:00.000000Z", NOW, "2038-01-18T23:00:00.000000Z", False),
        ("2038-01-21T00:00:00.000000Z", NOW, "2038-01-18T23:00:00.000000Z", True),
        ("2038-01-21T00:00:00.000000Z", NOW, "nonsense", True),
    ],
)
def test_a_floor_a_day_ahead_of_a_trusted_clock_waits_for_the_operator(
    floor: str, now: datetime | None, confirmed: str, ahead: bool
) -> None:
    assert floor_is_ahead(floor, now, confirmed) is ahead


def test_a_clock_before_this_release_or_without_a_source_is_not_believed() -> None:
    assert WallClock(lambda: NOW, lambda: True).now() == NOW
    assert WallClock(lambda: NOW, lambda: False).now() is None
    assert not WallClock(lambda: datetime(1970, 1, 1, tzinfo=UTC), lambda: True).trusted()
    WallClock().trusted()  # whatever the kernel says here, it can be asked


def test_the_log_is_cut_when_it_may_be_and_the_writer_pauses_when_it_may_not() -> None:
    rules = WalRules()
    assert rules.step(4 * MIB, free=True) == "nothing"
    assert rules.step(5 * MIB, free=True) == "checkpoint"
    steps = [rules.step(size * MIB, free=False) for size in range(5, 45)]
    paused = [size for size, step in zip(range(5, 45), steps, strict=True) if step == "pause"]
    assert paused == [32, 36, 40, 44]
    assert rules.step(1 * MIB, free=False) == "nothing"
    assert rules.step(32 * MIB, free=False) == "pause"


def test_growth_without_end_is_told_every_64_mib() -> None:
    rules = WalRules()
    assert [size for size in range(1, 200) if rules.alarming(size * MIB)] == [64, 128, 192]


async def test_the_log_is_left_alone_while_litestream_holds_its_lock(tmp_path: Path) -> None:
    store = Store(tmp_path / "config.db", autocheckpoint=0)
    await store.open()
    lock = tmp_path / "config.db.ckpt"
    try:
        await store.transact(lambda db: db.execute("CREATE TABLE junk (blob BLOB)"))
        for _ in range(6):
            await store.transact(
                lambda db: db.execute("INSERT INTO junk VALUES (zeroblob(1048576))")
            )
        watch = WalWatch(store, lock)
        with lock.open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            await watch.look()
            assert store.wal_bytes > 5 * MIB
        await watch.look()
        assert store.wal_bytes == 0
    finally:
        await store.close()


def test_the_releases_of_sqlite_that_can_lose_a_log_are_known() -> None:
    affected = [(3, 40, 1), (3, 51, 2), (3, 44, 5), (3, 50, 6), (3, 7, 0)]
    safe = [(3, 51, 3), (3, 44, 6), (3, 50, 7), (3, 6, 9), (3, 52, 0)]
    assert all(map(wal_reset_affected, affected))
    assert not any(map(wal_reset_affected, safe))


@pytest.mark.req("C074")
@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"path": "/db", "last_sync_at": "2026-11-01T11:59:30.123456789Z"}, "healthy"),
        ({"path": "/db", "last_sync_at": "2026-11-01T11:58:59Z"}, "error"),
        ({"path": "/db", "status": "replicating"}, "error"),
        ({"path": "/other", "last_sync_at": "2026-11-01T11:59:59Z"}, "error"),
        ("nonsense", "error"),
    ],
)
def test_a_replica_is_healthy_when_something_reached_it_within_a_minute(
    entry: object, status: str
) -> None:
    assert judge({"databases": [entry]}, Path("/db"), NOW).status == status
    assert judge(entry, Path("/db"), NOW).status == "error"


@pytest.mark.parametrize("chunked", [False, True])
async def test_litestream_is_asked_over_its_socket(tmp_path: Path, chunked: bool) -> None:
    body = json.dumps(
        {"databases": [{"path": "/db", "last_sync_at": "2026-11-01T11:59:59Z"}]}
    ).encode()
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    started, synced = ["2026-11-01T11:00:00Z"], [b"200 OK"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        kind = b"Transfer-Encoding: chunked" if chunked else b"X: y"
        if asked.startswith(b"GET /list "):
            writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n" + body)
        elif asked.startswith(b"POST /sync "):
            assert json.loads(await reader.read(100)) == {"path": "/db"}
            writer.write(b"HTTP/1.1 " + synced[0] + b"\r\n\r\n{}")
        else:
            assert asked.startswith(b"GET /info ")
            info = json.dumps({"started_at": started[0]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + info)
        writer.close()

    socket = tmp_path / "ls.sock"
    watch = LitestreamWatch(socket, Path("/db"), tmp_path / "litestream.env", "home")
    assert (await watch.look(NOW)).status == "error"
    async with await asyncio.start_unix_server(answer, socket):
        found = await watch.look(NOW)
        watch.write_names(EPOCH)  # at the time of this test, which is later
        stale = await watch.look(NOW)
        started[0] = "2999-01-01T00:00:00Z"
        restarted = await watch.look(NOW)
        synced[0] = b"500 Internal Server Error"
        stuck = await watch.look(NOW)
    assert found.status == "healthy"
    assert (stale.status, stale.path_old) == ("error", True)
    assert (restarted.status, restarted.path_old) == ("healthy", False)
    assert found.last_sync == NOW - timedelta(seconds=1)
    assert (stuck.status, stuck.last_sync) == ("error", found.last_sync)


def test_litestream_is_told_the_epoch_in_a_file(tmp_path: Path) -> None:
    watch = LitestreamWatch(tmp_path / "s", tmp_path / "db", tmp_path / "litestream.env", "home")
    assert not watch.names(EPOCH)
    watch.write_names(EPOCH)
    assert watch.names(EPOCH)
    assert (tmp_path / "litestream.env").read_text() == f"PARLOUR_HOST=home\nCONFIG_EPOCH={EPOCH}\n"


def test_a_conflict_is_kept_until_it_is_ended_even_when_its_file_is_damaged(
    tmp_path: Path,
) -> None:
    files = EpochFiles(tmp_path)
    assert files.conflict() == ""
    files.keep_conflict("somebody signed for router")
    assert EpochFiles(tmp_path).conflict() == "somebody signed for router"
    files.conflict_path.write_bytes(b"\xff")
    assert files.conflict()
    files.end_conflict()
    assert files.conflict() == ""


async def test_the_same_event_is_told_once_a_minute_and_waits_for_the_broker(
    broker: MemoryBroker,
) -> None:
    bus = broker.client("manager")
    broker.stop()
    events = Events(bus, "config-manager", LoopClock())
    task = asyncio.get_running_loop().create_task(events.run())
    for _ in range(5):
        events.tell("config-topic-tampered", "router")
        events.tell("config-topic-tampered", "stt-worker")
    broker.start()
    await asyncio.sleep(61)
    events.tell("config-topic-tampered", "router")
    await asyncio.sleep(1)
    task.cancel()
    sent = [ConfigEvent.decode(m.payload).facts["service"] for m in broker.log]

    assert sent == ["router", "stt-worker", "router"]
    assert events.counts["config-topic-tampered"] == 11
    assert events.take_word() == "config-topic-tampered"
    assert events.take_word() is None


@given(st.integers(0, 400), st.integers(60, 100_000), st.integers(0, 2**32))
def test_every_service_is_refreshed_once_a_period_and_never_more_than_a_hundred_at_once(
    count: int, period: int, seed: int
) -> None:
    plan = RefreshPlan(period, random.Random(seed))
    names = [f"s{n}" for n in range(count)]
    plan.know(names, 0)
    seen: dict[str, list[float]] = {}
    now = 0.0
    while now <= 2.2 * period:
        due = plan.due(now)
        assert len(due) <= 100
        for name in due:
            seen.setdefault(name, []).append(now)
        now += 1 if len(due) == 100 else period / 20
    for name in names:
        times = [0.0, *seen.get(name, [])]
        assert len(times) >= 2
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert max(gaps) <= 1.15 * period + count


def test_a_service_that_is_gone_is_not_refreshed() -> None:
    plan = RefreshPlan(100)
    plan.know(["a", "b"], 0)
    plan.know(["a"], 1)
    assert plan.due(1000) == ["a"]


async def test_collecting_ends_with_the_last_expected_message_or_two_quiet_seconds(
    broker: MemoryBroker,
) -> None:
    collector = Collector(broker.client("m"), LoopClock(), lambda: [TrustedKey.of(KEY.public)])
    loop = asyncio.get_running_loop()
    other = broker.client("other")
    await other.publish("system/config/a", b"garbage", retain=True)
    begin = loop.time()
    await collector.listen()
    await collector.settle({"a"})
    assert loop.time() - begin < 0.1
    await collector.settle({"a", "b"})
    assert loop.time() - begin == pytest.approx(2.0, abs=0.1)
    assert [s.epoch for s in await collector.taken(echoes=True)] == [None]


async def test_what_this_process_sent_itself_is_no_news(broker: MemoryBroker) -> None:
    bus = broker.client("m")
    collector = Collector(bus, LoopClock(), lambda: [TrustedKey.of(KEY.public)])
    await collector.listen()
    for number in range(3):
        collector.sent("system/config/a", b"%d" % number)
        await bus.publish("system/config/a", b"%d" % number, retain=True)
    await asyncio.sleep(0)
    assert collector.news.is_set()
    assert await collector.taken(echoes=False) == []
    await broker.client("x").publish("system/config/a", b"foreign", retain=True)
    await asyncio.sleep(0)
    assert len(await collector.taken(echoes=False)) == 1


async def test_what_this_process_sends_does_not_come_back_once_all_was_collected(
    broker: MemoryBroker,
) -> None:
    bus = broker.client("m")
    collector = Collector(bus, LoopClock(), lambda: [TrustedKey.of(KEY.public)])
    await broker.client("x").publish("system/config/a", b"retained", retain=True)
    await collector.listen()
    await collector.settle({"a"})
    assert len(await collector.taken(echoes=True)) == 1
    await bus.publish("system/config/a", b"own", retain=True)
    await asyncio.sleep(0)
    assert not collector.news.is_set()
    await broker.client("x").publish("system/config/a", b"foreign", retain=True)
    await bus.publish("system/config/a", b"own again", retain=True)
    await asyncio.sleep(0)
    assert len(await collector.taken(echoes=False)) == 1, "what we sent later hid it"
    await collector.listen()
    await collector.settle({"a"})
    assert len(await collector.taken(echoes=True)) == 1


@given(st.binary(max_size=400))
def test_no_bytes_on_a_topic_do_more_than_count_as_garbage(payload: bytes) -> None:
    assert read_seen("router", payload, [TrustedKey.of(KEY.public)]).epoch is None


def test_a_message_for_another_service_is_seen_as_misplaced() -> None:
    wire = build_update(
        KEY, service="router", config={}, config_epoch=EPOCH,
        issued_at="2026-01-01T00:00:00.000000Z",
    )  # fmt: skip
    keys = [TrustedKey.of(KEY.public)]
    assert read_seen("router", wire, keys).misplaced is False
    assert read_seen("stt-worker", wire, keys).misplaced is True


@pytest.mark.parametrize(
    ("instance", "service"),
    [("stt-worker", "stt-worker"), ("stt-worker-2", "stt-worker"), ("router-12", "router"),
     ("stt-worker-x", None), ("alice", None), ("stt-worker-", None), ("-2", None)],
)  # fmt: skip
def test_an_instance_is_its_service_perhaps_with_a_number(
    instance: str, service: str | None
) -> None:
    assert service_of(instance, CONFIGS) == service


async def test_a_chore_that_fails_is_tried_again_and_stops_no_other() -> None:
    upkeep = Upkeep(LoopClock())
    done: list[str] = []

    async def fails() -> None:
        done.append("tried")
        raise ValueError

    async def works() -> None:
        done.append("worked")

    upkeep.every(10, "fails", fails, first=1)
    upkeep.every(10, "works", works, first=2)
    await asyncio.sleep(25)
    await upkeep.stop()
    assert done == ["tried", "worked"] * 3


def test_a_folder_that_is_gone_has_no_low_disk() -> None:
    assert disk_is_low(Path("/nonexistent")) is False


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', '{"a": {"settings": 1}}', "{", '{"a":1,"a":2}'])
def test_a_seed_file_of_another_form_ends_the_start_with_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seed.json"
    path.write_text(text)
    with pytest.raises(StartupError, match=r"seed\.json"):
        read_seeds(settings_of(tmp_path, config_seed_file=path))


async def test_only_an_administrator_decides_and_only_with_a_usable_database(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, rebuild_token="the right one") as service:
        operator = service.manager.operator
        writer, admin = Caller("bob", "write"), Caller("admin", "admin")
        codes = []
        for attempt in (
            operator.takeover(writer, reason="x", above=None),
            operator.confirm_floor(writer, reason="x"),
            operator.rebuild(writer, reason="x", token="the right one"),
            operator.takeover(admin, reason="x", above="tomorrow"),
            operator.rebuild(admin, reason="x", token="a wrong one"),
            operator.rebuild(admin, reason="x", token="the right one"),
        ):
            with pytest.raises(RefusedError) as refused:
                await attempt
            codes.append(refused.value.code)
        report = await operator.verify_audit()
        assert told(broker).ok

    assert codes == ["FORBIDDEN"] * 3 + ["INVALID_REQUEST", "FORBIDDEN", "INVALID_REQUEST"]
    assert report.ok
    assert report.rows > 0


async def test_a_takeover_may_put_the_floor_above_what_a_thief_published(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    above = "2037-06-01T00:00:00.000000Z"
    async with manager(broker, tmp_path) as service:
        done = await service.manager.operator.takeover(
            Caller("admin", "admin"), reason="stolen key", above=above
        )
        await asyncio.sleep(2)
        assert told(broker).ok, told(broker).err
        rows = await service._store.read(
            lambda db: db.execute(
                "SELECT row_json FROM audit_chain WHERE source = 'lifecycle'"
            ).fetchall()
        )

    assert done.floor >= above
    last = json.loads(rows[-1][0])
    assert (last["event"], last["by"], last["reason"], last["why"]) == (
        "epoch", "admin", "takeover", "stolen key",
    )  # fmt: skip
