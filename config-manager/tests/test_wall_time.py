"""What people read is wall time, believed or not; what orders messages is not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from config_manager.commands import Caller, SyncState
from config_manager.commands.issue import issued_at_of
from config_manager.lineage import begin_epoch
from config_manager.moments import moment_after
from config_manager.profile_models import ProfileBody
from config_manager.profiles import Profiles
from config_manager.rebuild import Sources, rebuild
from config_manager.runtime.clock import BUILT, WallClock
from config_manager.tables import outbox
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_config.clock import add_us, parse_moment
from parlour_config.update import read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.signed import moment_text
from parlour_contracts.topics import CONFIG
from parlour_testkit import MemoryBroker
from running_manager import Person, manager

TODAY = datetime(2026, 11, 2, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds are naive there


@pytest_asyncio.fixture
async def unbelieved(tmp_path: Path) -> AsyncIterator[Desk]:
    """A command layer that never believed its clock."""
    made = Desk(tmp_path)
    made.trusted = False
    await made.open()
    yield made
    await made.close()


async def change(desk: Desk, at: datetime, volume: int = 40, service: str = "tts-worker") -> int:
    """Change the volume at a time that the clock shows; the new version."""
    desk.clock.now = at - timedelta(microseconds=1)  # the next look shows ``at``
    key = {"tts-worker": "volume_percent", "router": "history_messages"}[service]
    answer = await desk.ask("patch", service, config={key: volume})
    assert answer.status == "accepted"
    return int(answer.data["new_version"])


async def history(desk: Desk, service: str = "tts-worker") -> list[dict[str, Any]]:
    """Everything that ever happened to a service, oldest first."""
    rows = (await desk.ask("history", service, role="read", limit=200)).data
    return list(reversed(rows))


@pytest.mark.req("C035", "C082")
@pytest.mark.parametrize(
    "shown",
    [TODAY, datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC), datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)],
)
async def test_people_read_what_an_unbelieved_clock_showed(
    unbelieved: Desk, shown: datetime
) -> None:
    desk = unbelieved
    desk.clock.now = shown
    fresh = datetime(1970, 1, 1, tzinfo=UTC)
    desk.write("UPDATE service_configs SET updated_at = ?", moment_text(fresh))
    version = await change(desk, shown)
    told = moment_text(shown)

    metadata = (await desk.ask("get", role="read")).data["metadata"]
    assert (metadata["updated_at"], metadata["version"]) == (told, version)
    assert (await history(desk))[-1]["changed_at"] == told
    assert (await history(desk))[-1]["version"] == version
    found = (await desk.ask("search", "_all", role="read", query="volume_percent")).data
    assert next(r for r in found["results"] if r["service"] == "tts-worker")["updated_at"] == told
    for sql in (
        "SELECT changed_at FROM service_config_snapshots ORDER BY rowid DESC LIMIT 1",
        "SELECT timestamp FROM access_log ORDER BY id DESC LIMIT 1",
        "SELECT created_at FROM outbox ORDER BY id DESC LIMIT 1",
    ):
        assert desk.rows(sql) == [(told,)]
    assert (await desk.commands.verify_audit()).ok


async def test_an_unbelieved_clock_moves_nothing_but_what_people_read(unbelieved: Desk) -> None:
    desk = unbelieved
    before = desk.rows("SELECT floor FROM clock_floor")[0][0]
    await change(desk, datetime(2038, 1, 19, tzinfo=UTC))

    payload = desk.rows("SELECT payload FROM outbox ORDER BY id DESC LIMIT 1")[0][0]
    assert read_update(payload).issued_at == add_us(before, 1)
    assert desk.rows("SELECT floor FROM clock_floor") == [(add_us(before, 1),)]


async def test_versions_stay_right_when_the_clock_jumps_back(desk: Desk) -> None:
    made = [
        await change(desk, at, volume)
        for volume, at in enumerate(
            (TODAY, TODAY - timedelta(days=1), TODAY - timedelta(days=1), TODAY + timedelta(days=1))
        )
    ]

    rows = (await history(desk))[-4:]
    assert [row["version"] for row in rows] == made
    assert [row["new_value_json"] for row in rows] == ["0", "1", "2", "3"]
    assert [parse_moment(row["changed_at"]) - TODAY for row in rows] == [
        timedelta(0), timedelta(microseconds=1), timedelta(microseconds=2), timedelta(days=1),
    ]  # fmt: skip


async def test_a_service_whose_clock_was_ahead_does_not_push_another_one(desk: Desk) -> None:
    desk.trusted = False
    await change(desk, datetime(2038, 1, 19, tzinfo=UTC))
    await change(desk, TODAY + timedelta(days=1), 4, "router")

    assert (await history(desk))[-1]["changed_at"].startswith("2038-01-19")
    assert (await history(desk, "router"))[-1]["changed_at"].startswith("2026-11-03")


async def test_a_new_epoch_under_a_clock_that_jumped_back_leaves_history_its_versions(
    desk: Desk,
) -> None:
    version = await change(desk, TODAY + timedelta(days=9))
    earlier = moment_text(TODAY - timedelta(days=9))

    await desk.in_database(
        lambda db: begin_epoch(db, "takeover", "2026-12-01T00:00:00.000000Z", at=earlier, by="root")
    )

    assert (await history(desk))[-1]["version"] == version
    last = (await desk.ask("get", role="read")).data["metadata"]
    assert last["version"] == version + 1000
    assert last["updated_at"] == add_us(moment_text(TODAY + timedelta(days=9)), 1)
    assert desk.rows("SELECT created_at FROM epochs WHERE active = 1") == [(earlier,)]
    assert await change(desk, TODAY, 41) == version + 1001
    assert (await history(desk))[-1]["version"] == version + 1001
    assert (await desk.commands.verify_audit()).ok


async def test_a_rebuild_under_an_unbelieved_clock_does_not_move_the_counter_to_it(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    desk.trusted = False
    desk.path.parent.mkdir(parents=True)
    desk.path.write_bytes(b"no database at all" * 500)
    await desk.store.open()
    floor, shown = "2026-03-01T00:00:00.000000Z", "2038-01-19T03:14:08.000000Z"

    await rebuild(
        desk.store, desk.commands, Sources(floor=floor), by="root", why="damaged", now=shown
    )

    assert desk.rows("SELECT floor FROM clock_floor") == [(add_us(floor, len(CONFIGS)),)]
    assert desk.rows("SELECT created_at FROM epochs WHERE active = 1") == [(shown,)]
    await desk.close()


@pytest.mark.req("C083")
async def test_profiles_and_what_they_change_show_wall_time(unbelieved: Desk) -> None:
    desk, alice = unbelieved, Caller("alice", "write")
    profiles = Profiles.of_models(
        desk.store, lambda: desk.signer, CONFIGS, desk.clock, gate=lambda: None, wake=lambda: None
    )
    desk.clock.now = TODAY + timedelta(days=2)

    kept = await profiles.put(
        alice, "night", ProfileBody(settings={"tts-worker": {"volume_percent": 20}})
    )
    await profiles.activate(alice, "night", "the children sleep")

    assert kept.updated_at - desk.clock.now < timedelta(seconds=1)
    assert (await history(desk))[-1]["changed_at"].startswith("2026-11-04T12:00:00")


@given(st.lists(st.tuples(TIMES, st.booleans(), st.sampled_from(["tts-worker", "router"])),
                min_size=1, max_size=8))  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_whatever_the_clock_does_every_row_of_history_knows_its_version(
    steps: list[tuple[datetime, bool, str]],
) -> None:
    async def play(folder: Path) -> None:
        desk = await Desk(folder).open()
        made: dict[str, list[int]] = {"tts-worker": [], "router": []}
        begun = {service: len(await history(desk, service)) for service in made}
        for number, (at, trusted, service) in enumerate(steps):
            desk.trusted = trusted
            made[service].append(await change(desk, at, 50 + number, service))
        for service, versions in made.items():
            rows = (await history(desk, service))[begun[service] :]
            moments = [row["changed_at"] for row in rows]
            assert [row["version"] for row in rows] == versions
            assert moments == sorted(set(moments))
        assert (await desk.commands.verify_audit()).ok
        await desk.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


@given(TIMES, TIMES)
def test_a_moment_is_what_the_clock_shows_or_the_least_that_is_later(
    last: datetime, now: datetime
) -> None:
    found = moment_after(moment_text(last), moment_text(now))

    assert found > moment_text(last)
    assert found == (moment_text(now) if now > last else add_us(moment_text(last), 1))


async def test_issued_at_of_get_is_that_of_the_newest_message(desk: Desk) -> None:
    async def shown() -> str | None:
        found: str | None = (await desk.ask("get", role="read")).data["metadata"]["issued_at"]
        return found

    topic = CONFIG.topic(service="tts-worker")
    changed = await desk.ask("patch", config={"volume_percent": 40})
    assert await shown() == changed.issued_at  # it waits for the broker
    again = await desk.ask("resend", role="read")
    assert await shown() == again.issued_at != changed.issued_at
    desk.sync = SyncState(issued_at="2026-11-01T12:34:56.000000Z")
    assert await shown() == again.issued_at  # the book is behind
    await desk.in_database(lambda db: outbox.sent(db, [(topic, 1_000)]))
    assert await shown() == "2026-11-01T12:34:56.000000Z"
    desk.sync = SyncState()
    assert await shown() is None


async def test_settings_cannot_pretend_to_be_the_issued_at_of_their_message(desk: Desk) -> None:
    text = 'say "issued_at":"2038-01-19T03:14:08.000000Z" and "service":"x"'
    answer = await desk.ask("patch", "router", config={"system_prompt": text})

    payload = desk.rows("SELECT payload FROM outbox ORDER BY id DESC LIMIT 1")[0][0]
    assert json.loads(payload)["config"]["system_prompt"] == text
    assert issued_at_of(payload) == answer.issued_at == read_update(payload).issued_at


async def test_a_running_manager_without_a_time_source_shows_people_the_time(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    shown = [TODAY]
    wall = WallClock(lambda: shown[0], lambda: False)

    async def asked(op: str, body: object = None) -> Any:
        admin = await Person(broker).listen()
        answer = await admin.ask(op, "tts-worker", body)
        assert answer["status"] == "accepted", answer
        return answer

    async with manager(broker, tmp_path, wall=wall):
        changed = await asked("patch", {"config": {"volume_percent": 40}})
        await asyncio.sleep(1)
        metadata = (await asked("get"))["data"]["metadata"]
        assert metadata["issued_at"] == changed["issued_at"]
        assert metadata["issued_at"].startswith(moment_text(BUILT)[:20])
        assert metadata["updated_at"].startswith("2026-11-02T12:00:00")
    shown[0] = TODAY - timedelta(days=400)
    async with manager(broker, tmp_path, wall=wall):
        metadata = (await asked("get"))["data"]["metadata"]
        topic = CONFIG.topic(service="tts-worker")
        assert metadata["issued_at"] == read_update(broker.retained[topic].payload).issued_at
        again = await asked("patch", {"config": {"volume_percent": 41}})
        rows = (await asked("history"))["data"]
        assert again["issued_at"] > changed["issued_at"]
        assert [row["version"] for row in rows[:2]] == [3, 2]
        assert rows[0]["changed_at"] == add_us(rows[1]["changed_at"], 1)
    with closing(sqlite3.connect(tmp_path / "config-manager" / "config.db")) as db:
        assert db.execute("SELECT min(created_at) FROM epochs").fetchone()[0] > "2026-11"


@pytest.mark.req("F9")
async def test_what_a_clock_wrote_that_nobody_had_set_is_not_taken_for_old(desk: Desk) -> None:
    desk.clock.now = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    desk.trusted = False
    first = await desk.ask("patch", config={"volume_percent": 41}, transaction="t-1970")
    desk.clock.now = datetime(2026, 11, 2, tzinfo=UTC)
    desk.trusted = True

    await desk.commands.housekeeping()
    again = await desk.ask("patch", config={"volume_percent": 41}, transaction="t-1970")

    assert (again.duplicate, again.data) == (True, first.data)
    assert desk.rows("SELECT count(*) FROM audit_chain WHERE source = 'anchor'") == [(0,)]
    assert (await desk.commands.verify_audit()).ok
