"""Home Assistant beside a running config-manager: on the memory bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from config_manager.homeassistant import memory
from config_manager.service import ConfigManager
from homeassistant_schema import check_device
from parlour_config.update import read_update
from parlour_config.users import UsersFile
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.health import Health
from parlour_contracts.topics import CONFIG, CONFIG_HEALTH, CONFIG_STATE, HEALTH
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker
from parlour_testkit.home_assistant import HomeAssistant
from running_manager import Person, manager

DEVICES = {f"parlour-{name}" for name in (*CONFIGS, "config-manager")}
LOOK_S = 6.0


def allow(folder: Path, role: Any = "write") -> None:
    users = UsersFile(folder / "config-manager" / "users.json")
    users.ensure()
    users.put("homeassistant", role)


@asynccontextmanager
async def home_and_manager(
    broker: MemoryBroker, folder: Path, **settings: Any
) -> AsyncIterator[tuple[HomeAssistant, ConfigManager]]:
    allow(folder)
    async with manager(broker, folder, home_assistant=True, **settings) as service:
        prefix = settings.get("home_assistant_prefix", "homeassistant")
        home = HomeAssistant(broker.client("homeassistant"), prefix)
        await home.start()
        await asyncio.sleep(1)
        await home.settle()
        yield home, service


def ours(broker: MemoryBroker) -> set[str]:
    """The retained topics that are there for Home Assistant alone."""
    return {
        topic
        for topic, message in broker.retained.items()
        if message.payload and ("/device/" in topic or CONFIG_STATE.parse(topic))
    }


def running(broker: MemoryBroker) -> dict[str, Any]:
    return read_update(broker.retained[CONFIG.topic(service="tts-worker")].payload).config


async def test_every_service_is_a_device_of_the_documented_form(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        messages = [m for t, m in broker.retained.items() if "/device/" in t]

        assert home.devices.keys() == DEVICES
        for message in messages:
            check_device(json.loads(message.payload))
        assert home.complaints == []
        assert home.entity("parlour-config-manager", "health").state == "healthy"
        assert home.entity("parlour-tts-worker", "volume_percent").state == "100"


async def test_a_change_takes_the_signed_way_and_comes_back_as_state(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        person = await Person(broker, "admin").listen()
        volume = home.entity("parlour-tts-worker", "volume_percent")
        assert volume.available

        await home.set_to(volume, 40)
        await asyncio.sleep(1)

        assert (volume.state, running(broker)["volume_percent"]) == ("40", 40)
        rows = (await person.ask("history", "tts-worker", {"limit": 1}))["data"]
        assert rows[0]["changed_by"] == "homeassistant"


async def test_a_switch_that_is_turned_on_off_and_on_within_a_moment_is_on(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        switch = home.entity("parlour-tts-worker", "tts_streaming")
        states = []
        for on in (True, False, True):
            await home.turn(switch, on=on)
            await asyncio.sleep(0.6)
            states.append(switch.state)

        assert states == ["on", "off", "on"]
        assert running(broker)["tts_streaming"] is True


async def test_a_refused_change_leaves_the_state_and_says_why(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        shortest = home.entity("parlour-router", "router_stream_min_chars")
        before = shortest.state
        await home.set_to(shortest, 500)  # above the longest fragment, which nobody told it
        await asyncio.sleep(1)

        assert shortest.state == before
        assert "VALIDATION_FAILED" in (home.entity("parlour-router", "refused").state or "")


@pytest.mark.parametrize("role", ["read", None])
async def test_without_the_right_to_write_home_assistant_changes_nothing(
    broker: MemoryBroker, tmp_path: Path, role: Any
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, service):
        users = service.manager.users
        users.put("homeassistant", role) if role else users.remove("homeassistant")
        volume = home.entity("parlour-tts-worker", "volume_percent")
        await home.set_to(volume, 40)
        await asyncio.sleep(1)

        assert (volume.state, running(broker)["volume_percent"]) == ("100", 100)
        assert "FORBIDDEN" in (home.entity("parlour-tts-worker", "refused").state or "")


async def test_what_others_change_is_shown_too(broker: MemoryBroker, tmp_path: Path) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        person = await Person(broker, "admin").listen()
        answer = await person.ask(
            "patch", "llm-worker", {"config": {"base_url": "http://10.0.0.2:8000/v1"}}
        )
        await asyncio.sleep(1)

        assert answer["status"] == "accepted"
        url = home.entity("parlour-llm-worker", "base_url")
        assert url.state == "http://10.0.0.2:8000/v1"
        await home.set_to(url, "")
        await asyncio.sleep(1)
        assert (url.state, home.complaints) == ("", [])


async def test_a_second_instance_gets_a_health_of_its_own(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        said = Health(
            service="stt-worker", instance="stt-worker-2", status="degraded", ok=False, ready=True,
            version="1.2.3", boot=new_id(), conn=1, seq=1, interval_s=5.0,
            issued_at="2026-01-02T03:04:05.000006Z", event="birth",
        )  # fmt: skip
        await broker.client("stt-worker-2").publish(
            HEALTH.topic(instance="stt-worker-2"), said.encode(), qos=1, retain=True
        )
        await asyncio.sleep(LOOK_S)
        await home.settle()

        assert home.entity("parlour-stt-worker", "health_stt-worker-2").state == "degraded"


async def test_when_home_assistant_starts_it_is_told_the_devices_again(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        await asyncio.sleep(LOOK_S)
        before = len([m for m in broker.log if "/device/" in m.topic])
        await asyncio.sleep(LOOK_S)
        quiet = len([m for m in broker.log if "/device/" in m.topic])
        for said in ("offline", "garbage", "online"):
            await home.say(said)
            await asyncio.sleep(1)
        after = len([m for m in broker.log if "/device/" in m.topic])

    assert quiet == before
    assert after == before + len(DEVICES)


async def test_a_broker_that_lost_its_store_gets_the_devices_again(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as _:
        before = ours(broker)
        broker.stop()
        broker.retained.clear()
        broker.start()
        await asyncio.sleep(LOOK_S)

        assert ours(broker) == before


async def test_switched_off_nothing_of_it_is_published(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        await asyncio.sleep(LOOK_S)

    assert ours(broker) == set()
    assert not any("homeassistant" in message.topic for message in broker.log)


async def test_switching_it_off_takes_everything_away_and_another_prefix_moves_it(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path):
        assert {t.split("/")[0] for t in ours(broker)} == {"homeassistant", "system"}
    async with home_and_manager(broker, tmp_path, home_assistant_prefix="ha"):
        await asyncio.sleep(LOOK_S)
        assert {t.split("/")[0] for t in ours(broker)} == {"ha", "system"}
    async with manager(broker, tmp_path):
        await asyncio.sleep(LOOK_S)

    assert ours(broker) == set()
    assert not (tmp_path / "config-manager" / "homeassistant.json").exists()


async def test_entities_are_not_available_while_config_manager_is_away(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with home_and_manager(broker, tmp_path) as (home, _):
        volume = home.entity("parlour-tts-worker", "volume_percent")
        assert volume.available
    await asyncio.sleep(1)

    assert CONFIG_HEALTH.topic() in broker.retained
    assert not volume.available
    assert home.entity("parlour-config-manager", "health").state == "offline"


def test_a_file_that_somebody_changed_makes_nothing_else_disappear(tmp_path: Path) -> None:
    file = tmp_path / "homeassistant.json"
    mine = "homeassistant/device/parlour-router/config"
    others = ["system/config/router", "homeassistant/device/lamp/config", "a/b", "#", 7]
    file.write_text(json.dumps({"topics": [mine, "system/config-state/router", *others]}))

    assert memory.written(file) == {mine, "system/config-state/router"}
    for bad in ("", "[]", '{"topics": 1}', "\0", "{" * 100):
        file.write_text(bad)
        assert memory.written(file) == frozenset()
