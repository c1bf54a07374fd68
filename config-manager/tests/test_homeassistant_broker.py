"""Home Assistant on a real Mosquitto with the access list that Parlour renders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from homeassistant_schema import check_device
from parlour_config.update import read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.room import TurnLatency, TurnTimings
from parlour_contracts.topics import CONFIG, CONFIG_STATE, RESTART, TRANSCRIPT, TURN_LATENCY
from parlour_kit.errors import PublishRefusedError
from parlour_kit.ids import new_id
from parlour_testkit.home_assistant import HomeAssistant
from real_fleet import Keeper, Mosquitto, Worker, find_mosquitto, somebody, until

pytestmark = pytest.mark.broker

TTS = CONFIG.topic(service="tts-worker")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    made = Mosquitto(tmp_path / "broker", ("admin", "homeassistant"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def keeper(broker: Mosquitto, tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(
        f"mqtt://127.0.0.1:{broker.port}", tmp_path / "config-manager", tmp_path / "keys",
        people=("homeassistant",), HOME_ASSISTANT="true",
    )  # fmt: skip
    made.start()
    yield made
    made.kill()


async def test_home_assistant_discovers_the_fleet_and_changes_a_setting_of_each_kind(
    broker: Mosquitto, keeper: Keeper
) -> None:
    async with (
        somebody(broker.options("homeassistant"), "homeassistant") as account,
        somebody(broker.options("config-manager-2"), "watcher") as watcher,
        somebody(broker.options("router"), "router") as router,
    ):
        await watcher.listen(CONFIG.filter())
        home = HomeAssistant(account.bus)
        await home.start()
        await until(lambda: len(home.devices) == len(CONFIGS) + 1, "discovered", 30)
        await home.settle()
        volume = home.entity("parlour-tts-worker", "volume_percent")
        await until(lambda: volume.available and volume.state == "100", "shown")

        speed = home.entity("parlour-tts-worker", "speed")
        await home.set_to(volume, 40)
        await home.set_to(speed, 1.25)
        await home.turn(home.entity("parlour-tts-worker", "tts_streaming"), on=True)
        await home.set_to(home.entity("parlour-tts-worker", "piper_voice"), "en_US-joe-medium")
        wanted = {
            "volume_percent": 40, "speed": 1.25, "tts_streaming": True,
            "piper_voice": "en_US-joe-medium",
        }  # fmt: skip
        await until(
            lambda: wanted.items() <= read_update(watcher.heard[TTS]).config.items(), "signed"
        )
        await until(lambda: (volume.state, speed.state) == ("40", "1.25"), "shown again")
        state = home.entity("parlour-tts-worker", "tts_streaming")
        await until(lambda: state.state == "on", "the switch is on")
        # The backend needs a URL first: config-manager refuses what would not work.
        backend = home.entity("parlour-stt-worker", "stt_backend")
        refused = home.entity("parlour-stt-worker", "refused")
        await home.set_to(backend, "ws")
        await until(lambda: "VALIDATION_FAILED" in (refused.state or ""), "refused, and why")
        assert backend.state == "whisper"
        await home.set_to(home.entity("parlour-stt-worker", "ws_url"), "ws://10.0.0.2:9/listen")
        await until(
            lambda: home.entity("parlour-stt-worker", "ws_url").state == "ws://10.0.0.2:9/listen",
            "the URL is set",
        )
        await home.set_to(backend, "ws")
        await until(lambda: backend.state == "ws", "chosen")

        turn = TurnLatency(
            turn_id=new_id(), outcome="replied", timings=TurnTimings(final_to_end_ms=1234.5)
        )
        await router.bus.publish(TURN_LATENCY.topic(site="kitchen"), turn.encode(), qos=1)
        whole = home.entity("parlour-router", "final_to_end_ms")
        await until(lambda: whole.state == "1234.5", "timed")
        for message in home.devices.values():
            named = {
                "dev": message["device"],
                "o": message["origin"],
                "cmps": message["components"],
            }
            check_device(json.loads(json.dumps(named)))
        assert home.complaints == []
        keeper.kill()
        await until(lambda: not volume.available, "not available without config-manager", 30)


async def test_the_restart_button_ends_the_process_and_a_repeated_order_does_not(
    broker: Mosquitto, keeper: Keeper, tmp_path: Path
) -> None:
    url = f"mqtt://127.0.0.1:{broker.port}"
    async with (
        somebody(broker.options("homeassistant"), "homeassistant") as account,
        somebody(broker.options("router"), "listener") as listener,
        somebody(broker.options("config-manager-2"), "repeater") as repeater,
    ):
        topic = RESTART.topic(instance="router")
        await listener.listen(topic)
        home = HomeAssistant(account.bus)
        await home.start()
        await until(lambda: len(home.devices) == len(CONFIGS) + 1, "discovered", 30)
        await home.settle()
        button = home.entity("parlour-router", "restart")
        health = home.entity("parlour-router", "health_router")
        router = Worker(url, tmp_path / "router", tmp_path / "keys", "router")
        router.start()
        try:
            await until(lambda: button.available and health.state == "healthy", "running", 30)
            await home.press(button)
            await until(lambda: router.ended() is not None, "ended")
            assert router.ended() == 0
            await until(lambda: health.state == "offline", "said goodbye")

            router.start()  # as whatever looks after it does
            await until(lambda: health.state == "healthy", "running again", 30)
            await repeater.bus.publish(topic, listener.heard[topic], qos=1)
            await asyncio.sleep(1)
            assert router.ended() is None
        finally:
            router.kill()


async def test_its_account_hears_no_speech_and_writes_nothing_but_requests(
    broker: Mosquitto, keeper: Keeper
) -> None:
    async with (
        somebody(broker.options("homeassistant"), "homeassistant") as home,
        somebody(broker.options("stt-worker"), "stt-worker") as stt,
        somebody(broker.options("config-manager-2"), "watcher") as watcher,
    ):
        await watcher.listen(CONFIG_STATE.filter())
        await home.listen("#")
        heard = TRANSCRIPT.model(kind="final", turn_id=new_id(), text="canary", is_final=True)
        await stt.bus.publish(TRANSCRIPT.topic(site="kitchen"), heard.encode(), qos=1)
        for topic in (
            "voice/kitchen/say", "voice/kitchen/ask", TTS, "system/health/router",
            "homeassistant/device/parlour-router/config", "system/config-state/router",
            "system/config-request/admin/patch/router",
        ):  # fmt: skip
            with pytest.raises(PublishRefusedError):
                await home.bus.publish(topic, b"{}", qos=1)
        await until(lambda: CONFIG_STATE.topic(service="router") in home.heard, "what it may", 30)
        await asyncio.sleep(0.5)

    assert not any(topic.startswith(("voice/", "system/config/")) for topic in home.heard)
    assert b"canary" not in b"".join(home.heard.values())
