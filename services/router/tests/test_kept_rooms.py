"""The file of what outlives the router: written whole, believed only when every field is right."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Ask, RoomState, TurnTrace
from parlour_contracts.topics import ASK, ROOM_STATE, TURN_TRACE
from parlour_kit.clock import LoopClock, utc_text
from parlour_kit.ids import new_id
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from parlour_testkit.scripted_workers import ScriptedTtsWorker
from router.desk import Kept
from router.keeper import Keeper
from router.kept_rooms import read_rooms, write_rooms
from router.service import Router
from router.timers import KeptTimer

DUE = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
ROOMS = {"kitchen": Kept(80, (KeptTimer("pasta", 600.0, DUE), KeptTimer(None, 1.0, DUE)))}

KEPT = st.builds(
    Kept,
    st.integers(0, 200),
    st.lists(
        st.builds(
            KeptTimer,
            st.none() | st.text(min_size=1, max_size=50),
            st.integers(1, 604_800).map(float),
            st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        ),
        max_size=5,
    ).map(tuple),
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True), KEPT, max_size=4))
def test_what_is_written_is_read_again(rooms: dict[str, Kept]) -> None:
    assert read_rooms(write_rooms(rooms)) == rooms


@given(st.data())
def test_damage_is_found_or_harmless_and_never_another_error(data: st.DataObject) -> None:
    whole = bytearray(write_rooms(ROOMS))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=5)):
        whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        found = read_rooms(cut)
    except ValueError:
        return
    assert all(0 <= kept.volume <= 200 for kept in found.values())


@pytest.mark.parametrize(
    "change",
    [
        {"volume": 201}, {"volume": "80"}, {"volume": True}, {"color": "red"},
        {"timers": [{"name": None, "seconds": 0, "due": utc_text(DUE)}]},
        {"timers": [{"name": None, "seconds": 1e9, "due": utc_text(DUE)}]},
        {"timers": [{"name": "", "seconds": 60.0, "due": utc_text(DUE)}]},
        {"timers": [{"name": None, "seconds": 60.0, "due": "2026-99-99T99:99:99.000000Z"}]},
        {"timers": [{"name": None, "seconds": 60.0, "due": utc_text(DUE)}] * 101},
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_not_believed(change: dict[str, Any]) -> None:
    document = json.loads(write_rooms(ROOMS))
    document["rooms"]["kitchen"] |= change
    with pytest.raises(ValueError):
        read_rooms(json.dumps(document).encode())


def keeper(path: Path) -> Keeper:
    return Keeper(path, structlog.get_logger("parlour.test"))


async def test_the_last_of_several_changes_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "config" / "router-rooms.json"
    keeping = keeper(path)
    task = asyncio.ensure_future(keeping.run())
    for volume in (20, 40, 60):
        keeping.put({"kitchen": Kept(volume)})
    await keeping.flush()
    task.cancel()

    assert keeper(path).load() == {"kitchen": Kept(60)}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["router-rooms.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", b"[" * 5000, b"x" * (9 << 20)])
def test_a_damaged_file_is_set_aside_with_a_warning(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "router-rooms.json"
    path.write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert keeper(path).load() == {}

    assert not path.exists()
    assert len(list(tmp_path.glob("router-rooms.json.bad-*"))) == 1
    assert [(e["log_level"], e["event_type"]) for e in logs] == [("warning", "kept_rooms_damaged")]


def test_a_pipe_or_a_folder_in_the_place_of_the_file_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "router-rooms.json"
    path.mkdir()

    assert keeper(path).load() == {}


async def test_a_disk_that_takes_nothing_costs_a_warning_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "config" / "router-rooms.json"
    keeping = keeper(path)
    task = asyncio.ensure_future(keeping.run())
    with structlog.testing.capture_logs() as logs:
        for volume in (20, 40):
            keeping.put({"kitchen": Kept(volume)})
            await keeping.flush()
    assert [e["event_type"] for e in logs] == ["kept_rooms_unwritable"]

    path.parent.parent.mkdir()
    keeping.put({"kitchen": Kept(60)})
    await keeping.flush()
    task.cancel()

    assert keeper(path).load() == {"kitchen": Kept(60)}


# The whole router


async def ask(observer: Observer, text: str, site: str = "kitchen") -> TurnTrace:
    turn_id = new_id()
    await observer.messenger.send(ASK, Ask(text=text, turn_id=turn_id), site=site)
    return await observer.until(TURN_TRACE, lambda t: t.turn_id == turn_id, 60.0)


async def test_timers_and_volume_live_on_in_the_next_run(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    observer = Observer(broker.client("observer"))
    await observer.watch(TURN_TRACE)
    tts = ScriptedTtsWorker(broker)
    await tts.start()
    async with memory_service(Router, broker, data_dir=tmp_path):
        await ask(observer, "Set a pasta timer for one hour.")
        await ask(observer, "Set the volume to 60.")
        await asyncio.sleep(10)
    async with memory_service(Router, broker, data_dir=tmp_path):
        left = await ask(observer, "How much time is left on the pasta timer?")
        await asyncio.sleep(4000)

    assert left.reply.endswith("left.")
    assert tts.requests[-1].volume == 60
    assert tts.spoken["kitchen"].texts[-3:] == ["Your pasta timer is done."] * 3
    assert read_rooms((tmp_path / "config" / "router-rooms.json").read_bytes()) == {
        "kitchen": Kept(60)
    }
    await tts.messenger.close()


async def test_a_timer_that_ended_while_the_router_was_away_rings_in_its_room(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    due = LoopClock().wall() - timedelta(minutes=5)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "router-rooms.json").write_bytes(
        write_rooms({"bedroom": Kept(timers=(KeptTimer("tea", 180.0, due),))})
    )
    tts = ScriptedTtsWorker(broker)
    await tts.start()
    async with memory_service(Router, broker, data_dir=tmp_path):
        await asyncio.sleep(10)

        assert tts.spoken["bedroom"].texts == ["Your tea timer was done 5 minutes ago."]
    await tts.messenger.close()


async def test_a_ring_that_was_not_heard_when_the_router_stopped_comes_again(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    observer = Observer(broker.client("observer"))
    await observer.watch(TURN_TRACE)
    tts = ScriptedTtsWorker(broker)
    await tts.start()
    async with memory_service(Router, broker, data_dir=tmp_path):
        await ask(observer, "Set a tea timer for 10 seconds.")
        await asyncio.sleep(15)
    rung = len(tts.spoken["kitchen"].texts)
    async with memory_service(Router, broker, data_dir=tmp_path):
        await asyncio.sleep(30)

    assert tts.spoken["kitchen"].texts[rung - 1].startswith("Your tea timer")
    assert len(tts.spoken["kitchen"].texts) > rung
    await tts.messenger.close()


async def test_a_kept_timer_does_not_hide_what_a_killed_router_left_in_the_rooms_state(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    turn_id = new_id()
    state = RoomState(
        session_id=new_id(), status="active", state="THINKING", turn_id=turn_id,
        since=utc_text(LoopClock().wall()),
    )  # fmt: skip
    observer = Observer(broker.client("observer"))
    await observer.watch(TURN_TRACE)
    await observer.messenger.send(ROOM_STATE, state, site="kitchen")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "router-rooms.json").write_bytes(write_rooms(ROOMS))
    async with memory_service(Router, broker, data_dir=tmp_path):
        trace = await observer.until(TURN_TRACE, lambda t: t.turn_id == turn_id, 10.0)

    assert trace.error is not None
    assert trace.error.code == "ROUTER_RESTARTED"


async def test_a_room_of_which_nothing_is_kept_leaves_nothing_on_the_disk(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    observer = Observer(broker.client("observer"))
    await observer.watch(TURN_TRACE)
    async with memory_service(Router, broker, data_dir=tmp_path, config=RouterConfig()):
        await ask(observer, "Stop.")

    assert not (tmp_path / "config").exists()
