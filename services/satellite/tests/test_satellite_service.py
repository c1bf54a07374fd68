"""The process on a bus: a whole turn, workers that die, settings that change, devices that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from parlour_contracts.config.satellite import SatelliteConfig
from parlour_contracts.messages.room import BargeIn, Playback
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.messages.turn import TurnOpen
from parlour_contracts.topics import (
    AUDIO_OUT,
    BARGE_IN,
    CANCEL,
    PLAYBACK,
    STT_AUDIO,
    TTS_REQUEST,
    TURN_OPEN,
)
from parlour_kit.ids import new_id
from parlour_testkit.fakes_room import ToneWake, spoken, wake_word
from parlour_testkit.fakes_stt import LoudnessVad
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from parlour_testkit.scripted_workers import ScriptedSttWorker, ScriptedTtsWorker
from satellite.devices.virtual import VirtualDevice
from satellite.errors import DeviceError, WakeBrokenError
from satellite.service import Satellite
from satellite.virtual import VirtualRoom

QUIET = {"tone_wake": False, "tone_end": False, "tone_error": False}


@dataclass
class Home:
    """A satellite in the kitchen, in a room that a script speaks in."""

    broker: MemoryBroker
    satellite: Satellite
    walls: VirtualRoom
    observer: Observer

    def sent(self, topic, model) -> list:
        """The messages of the kitchen's topic so far."""
        name = topic.topic(site="kitchen")
        return [model.decode(m.payload) for m in self.broker.log if m.topic == name]

    def frames(self, instance: str = "stt-worker") -> list:
        found = []
        for message in self.broker.log:
            levels = STT_AUDIO.parse(message.topic)
            if levels is not None and levels["instance"] == instance:
                assert levels["site"] == "kitchen"
                found.append(message)
        return found

    async def speak(self, text: str, *, turn: bool = True) -> str:
        request = TtsRequest(
            utterance_id=new_id(), turn_id=new_id() if turn else None, text=text, last=True,
            site="kitchen",
        )  # fmt: skip
        await self.observer.messenger.send(TTS_REQUEST, request)
        return request.utterance_id


MakeHome = Callable[..., AbstractAsyncContextManager[Home]]


@pytest.fixture
def make_home(broker: MemoryBroker) -> MakeHome:
    @asynccontextmanager
    async def make(*, walls: VirtualRoom | None = None, failures: int = 0, **settings: object
                   ) -> AsyncIterator[Home]:  # fmt: skip
        room = walls or VirtualRoom()
        broken = [failures]

        class Device(VirtualDevice):
            async def run(self, exchange) -> None:
                if broken[0]:
                    broken[0] -= 1
                    raise DeviceError("unplugged")
                await super().run(exchange)

        async with memory_service(
            Satellite, broker, instance="kitchen",
            config=SatelliteConfig.model_validate(QUIET | settings),
            wake_factory=lambda _config: ToneWake(), vad_factory=LoudnessVad,
            device_factory=lambda _settings, clock: Device(room, clock),
        ) as service:  # fmt: skip
            assert isinstance(service, Satellite)
            yield Home(broker, service, room, Observer(broker.client("observer")))
            assert service.messenger.counts["handler_failed"] == 0

    return make


@pytest.mark.req("R001", "V041")
async def test_a_word_a_question_an_answer_and_the_way_back_to_quiet(broker, make_home) -> None:
    stt, tts = (
        ScriptedSttWorker(broker, "hello", final_s=3.0),
        ScriptedTtsWorker(broker, sample=8000),
    )
    await stt.start()
    await tts.start()
    async with make_home() as home:
        home.walls.say(wake_word(), at=1.0)
        home.walls.say(spoken(1000), at=1.6)
        await asyncio.sleep(6)
        (opened,) = home.sent(TURN_OPEN, TurnOpen)
        assert opened.client_type == "satellite"
        assert opened.wake.word == "a tone"
        frames = home.frames()
        assert [m.properties["seq"] for m in frames] == [str(n) for n in range(len(frames))]
        assert {m.properties["end"] for m in frames} == {"0"}
        assert all(len(m.payload) == 1024 and m.qos == 0 for m in frames)
        assert 3.0 <= len(frames) * 0.032 <= 3.3, "as long as the worker listened"

        utterance = await home.speak("Good morning to you all.")
        await asyncio.sleep(4)
        told = [p for p in home.sent(PLAYBACK, Playback) if p.utterance_id == utterance]
        assert [p.event for p in told] == ["started", *["position"] * (len(told) - 2), "finished"]
        assert told[-1].played_ms == pytest.approx(1400)
    await stt.messenger.close()
    await tts.messenger.close()


@pytest.mark.req("V041")
async def test_who_interrupts_is_told_of_and_heard_by_a_worker(broker, make_home) -> None:
    stt, tts = (
        ScriptedSttWorker(broker, "stop", final_s=2.0),
        ScriptedTtsWorker(broker, sample=8000),
    )
    await stt.start()
    await tts.start()
    async with make_home() as home:
        utterance = await home.speak("A long answer " * 20)
        await asyncio.sleep(3)
        begin = home.walls.now
        home.walls.say(spoken(1000))
        await asyncio.sleep(1)
        (cut,) = home.sent(BARGE_IN, BargeIn)
        stopped = home.sent(PLAYBACK, Playback)[-1]
        assert (cut.utterance_id, stopped.event) == (utterance, "stopped")
        assert not home.walls.silent(begin - 0.5, begin)
        assert cut.played_ms == stopped.played_ms
        assert home.walls.silent(begin + 0.45)
        assert len(home.sent(TURN_OPEN, TurnOpen)) == 1
        topics = [m.topic for m in broker.log if m.topic.startswith("voice/kitchen/")]
        cut_at = topics.index(BARGE_IN.topic(site="kitchen"))
        assert cut_at < topics.index(TURN_OPEN.topic(site="kitchen"))
    await stt.messenger.close()
    await tts.messenger.close()


async def test_a_worker_that_is_killed_is_followed_by_one_that_hears_all(broker, make_home) -> None:
    first = ScriptedSttWorker(broker, final_s=None)
    await first.start()
    async with make_home() as home:
        home.walls.say(wake_word(), at=1.0)
        await asyncio.sleep(4)
        before = [m.payload for m in home.frames()]
        second = ScriptedSttWorker(broker, "hello", final_s=2.0, instance="stt-worker-2")
        await second.start()
        await first.kill()
        await asyncio.sleep(1)
        assert [o.attempt for o in home.sent(TURN_OPEN, TurnOpen)] == [1, 2]
        after = [m.payload for m in home.frames("stt-worker-2")]
        assert after[: len(before)] == before
        await asyncio.sleep(3)
        assert home.satellite.room.hearing is None
        await second.messenger.close()


async def test_a_broker_that_is_away_for_a_moment_costs_no_sound(broker, make_home) -> None:
    stt = ScriptedSttWorker(broker, "hello", final_s=6.0)
    await stt.start()
    async with make_home() as home:
        home.walls.say(wake_word(), at=1.0)
        home.walls.say(spoken(3000), at=1.6)
        await asyncio.sleep(2.5)
        broker.stop()
        await asyncio.sleep(1)
        broker.start()
        await asyncio.sleep(1)
        seqs = [int(m.properties["seq"]) for m in home.frames()]
        assert seqs == list(range(len(seqs)))
        assert len(seqs) > 3.2 / 0.032
    await stt.messenger.close()


@pytest.mark.req("R021")
async def test_the_end_of_an_answer_is_told_though_the_broker_was_away_then(
    broker, make_home
) -> None:
    tts = ScriptedTtsWorker(broker, sample=8000)
    await tts.start()
    async with make_home() as home:
        await home.speak("Good morning to you all.")
        await asyncio.sleep(1)
        broker.stop()
        await asyncio.sleep(2)
        broker.start()
        await asyncio.sleep(3)
        assert [p.event for p in home.sent(PLAYBACK, Playback)][-1] == "finished"
    await tts.messenger.close()


@pytest.mark.req("R021")
async def test_whoever_cancels_the_room_silences_it(broker, make_home) -> None:
    tts = ScriptedTtsWorker(broker, sample=8000)
    await tts.start()
    async with make_home() as home:
        await home.speak("A long answer " * 20)
        await asyncio.sleep(2)
        await home.observer.bus.publish(CANCEL.topic(site="kitchen"), b"", qos=1)
        await asyncio.sleep(0.1)
        mark = home.walls.now
        assert not home.walls.silent(mark - 0.5)
        await asyncio.sleep(2)
        assert home.walls.silent(mark)
        assert home.sent(PLAYBACK, Playback)[-1].event == "stopped"
    await tts.messenger.close()


async def test_what_is_said_in_another_room_is_not_played_in_this_one(broker, make_home) -> None:
    async with make_home() as home:
        await asyncio.sleep(0.5)
        properties = {"seq": "0", "rate": "16000", "start_ms": "0", "sentence": "0"}
        levels = {"site": "bath", "utterance_id": new_id()}
        frame = np.full(1600, 9000, "<i2").tobytes()
        await home.observer.messenger.send_frame(AUDIO_OUT, frame, properties, **levels)
        await asyncio.sleep(1)
        assert home.walls.silent(0)


@pytest.mark.req("H031")
async def test_a_sound_card_that_fails_is_told_once_and_opened_again(make_home, caplog) -> None:
    async with make_home(failures=2) as home:
        assert home.satellite.health is not None
        assert home.satellite.components() == {"audio": False, "wake": True}
        check = home.satellite.checks()[0]
        await asyncio.sleep(0)
        with pytest.raises(DeviceError, match="unplugged"):
            await check.run()
        await asyncio.sleep(30)
        assert home.walls.now > 5, "it listens again"
        assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1
        assert not home.satellite.components()["audio"], "and is not trusted for a minute"
        await asyncio.sleep(60)
        assert home.satellite.components()["audio"]
        await check.run()


async def test_the_wake_words_check_has_it_take_sound(make_home) -> None:
    async with make_home() as home:
        await home.satellite.checks()[1].run()
        home.satellite.room.ear.wake = None
        trouble = home.satellite.checks()[1].look().trouble
        assert trouble is not None
        assert trouble.code == "ENGINE_MISSING"


async def test_another_wake_word_is_loaded_beside_and_the_old_one_freed(broker) -> None:
    made: list[str] = []
    freed: list[str] = []

    class Word(ToneWake):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            made.append(name)

        def close(self) -> None:
            freed.append(self.name)

    def make_wake(config: SatelliteConfig) -> Word:
        if config.wake_word == "alexa":
            raise WakeBrokenError("it does not load")
        return Word(config.wake_word)

    walls = VirtualRoom()
    async with memory_service(
        Satellite, broker, instance="kitchen", wake_factory=make_wake, vad_factory=LoudnessVad,
        device_factory=lambda _settings, clock: VirtualDevice(walls, clock),
    ) as service:  # fmt: skip
        assert isinstance(service, Satellite)
        with pytest.raises(WakeBrokenError):
            await service.stage(SatelliteConfig(wake_word="alexa"))
        assert service.room.ear.wake.name == "okay_nabu"

        await (await service.stage(SatelliteConfig(volume_percent=50))).commit()
        assert made == ["okay_nabu"]
        assert service.room.mouth.gain == 0.5

        await (await service.stage(SatelliteConfig(wake_word="hey_jarvis"))).commit()
        assert service.room.ear.wake.name == "hey_jarvis"
        assert freed == ["okay_nabu"]

        await (await service.stage(SatelliteConfig(wake_word="hey_mycroft"))).discard()
        assert freed == ["okay_nabu", "hey_mycroft"]
    assert freed[-1] == "hey_jarvis"


async def test_a_satellite_whose_wake_word_does_not_load_plays_and_hears_in_live_mode(
    broker,
) -> None:
    def make_wake(_config: SatelliteConfig) -> ToneWake:
        raise WakeBrokenError("it does not load")

    stt, tts = ScriptedSttWorker(broker, "hello"), ScriptedTtsWorker(broker, sample=8000)
    await stt.start()
    await tts.start()
    walls = VirtualRoom()
    config = SatelliteConfig(live_mode=True)
    async with memory_service(
        Satellite, broker, instance="kitchen", config=config, wake_factory=make_wake,
        vad_factory=LoudnessVad,
        device_factory=lambda _settings, clock: VirtualDevice(walls, clock),
    ) as service:  # fmt: skip
        assert service.health is not None
        assert service.health.state.error is not None
        assert service.health.state.error.code == "MODEL_BROKEN"
        walls.say(spoken(1000), at=1.0)
        await asyncio.sleep(2)
        opened = [m for m in broker.log if m.topic == TURN_OPEN.topic(site="kitchen")]
        assert len(opened) == 1
    await stt.messenger.close()
    await tts.messenger.close()


async def test_a_satellite_that_ends_tells_that_it_stopped_speaking(broker, make_home) -> None:
    tts = ScriptedTtsWorker(broker, sample=8000)
    await tts.start()
    async with make_home() as home:
        await home.speak("A long answer " * 20)
        await asyncio.sleep(2)
    assert home.sent(PLAYBACK, Playback)[-1].event == "stopped"
    await tts.messenger.close()
