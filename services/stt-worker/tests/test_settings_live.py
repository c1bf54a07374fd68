"""Every setting changes what stt-worker does while it runs, and no turn is lost meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parlour_audio.frames import Pcm16, split
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat, Transcript, TurnOpen
from parlour_contracts.topics import HEALTH, STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, Observer, memory_service, real_work
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from stt_worker.backends import load_engine
from stt_worker.engine import Engine, Options, Piece, Recognition
from stt_worker.errors import (
    LanguageError,
    ModelBrokenError,
    ServerSilentError,
    ServerUnreachableError,
)
from stt_worker.recogniser import Recogniser, ThreadedRecogniser
from stt_worker.service import SttWorker
from websockets.asyncio.server import ServerConnection, serve

QUESTION = (silence(300), tone(1000), silence(1500))


class Room:
    """A satellite: opens a turn, streams in real time or at once, waits for the transcript."""

    def __init__(self, observer: Observer, site: str) -> None:
        self.observer = observer
        self.site = site

    async def open(self, form: AudioFormat | None = None) -> TurnOpen:
        turn = TurnOpen(
            turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z", format=form or AudioFormat()
        )
        await self.observer.messenger.send(TURN_OPEN, turn, site=self.site)
        await self.observer.until(TURN_CLAIMED, lambda c: c.turn_id == turn.turn_id)
        return turn

    async def play(self, turn: TurnOpen, *sounds: Pcm16, pace_s: float = 0.1) -> None:
        channels = turn.format.channels
        frames = list(split(np.concatenate(sounds), turn.format.rate, 100, channels))
        for n, frame in enumerate(frames):
            # Who does not play in real time says where the end is.
            end = {"end": "1"} if not pace_s and n == len(frames) - 1 else {}
            await self.observer.messenger.send_frame(
                STT_AUDIO, frame.tobytes(), {"seq": str(n), **end},
                instance="stt-worker", site=self.site, turn_id=turn.turn_id,
            )  # fmt: skip
            await asyncio.sleep(pace_s)

    async def result(self, turn: TurnOpen) -> Transcript:
        return await self.observer.until(
            TRANSCRIPT, lambda t: t.turn_id == turn.turn_id and t.is_final
        )

    async def ask(
        self, *sounds: Pcm16, form: AudioFormat | None = None, pace_s: float = 0.1
    ) -> Transcript:
        turn = await self.open(form)
        await self.play(turn, *(sounds or QUESTION), pace_s=pace_s)
        return await self.result(turn)


async def room(broker: MemoryBroker, site: str = "kitchen") -> Room:
    observer = await Observer(broker.client(site)).watch(TURN_CLAIMED, TRANSCRIPT, HEALTH)
    return Room(observer, site)


def changed(config: STTWorkerConfig, **fields: object) -> STTWorkerConfig:
    return STTWorkerConfig.model_validate({**config.model_dump(), **fields}, strict=True)


async def change(service: SttWorker, **fields: object) -> None:
    """Both phases of a change, as the process does them."""
    switch = await service.stage(changed(service.config, **fields))
    assert await switch.commit() == "applied"


@asynccontextmanager
async def worker(
    broker: MemoryBroker, recogniser: Callable[[], Recogniser], **config: object
) -> AsyncIterator[SttWorker]:
    settings = changed(STTWorkerConfig(), **config)
    async with memory_service(
        SttWorker, broker, config=settings, recogniser=recogniser, vad=LoudnessVad
    ) as service:
        assert isinstance(service, SttWorker)
        yield service


def fake(recogniser: FakeRecogniser) -> Callable[[], Any]:
    return recogniser.factory()


# One by one


@pytest.mark.req("C014")
async def test_setting_streaming_partials_is_heeded_within_a_turn(broker: MemoryBroker) -> None:
    async with worker(broker, fake(FakeRecogniser(["turn on the light"]))) as service:
        here = await room(broker)
        turn = await here.open()
        playing = asyncio.ensure_future(here.play(turn, tone(3000), silence(1500)))
        await asyncio.sleep(1.5)
        assert here.observer.of(TRANSCRIPT) == []
        await change(service, streaming_partials=True)
        await playing
        await here.result(turn)
    assert [t.kind for t in here.observer.of(TRANSCRIPT)] == ["partial", "final"]


@pytest.mark.req("C015")
async def test_setting_vad_threshold_decides_what_counts_as_speech(broker: MemoryBroker) -> None:
    """The detector gives 0.95 for the tone."""
    async with worker(broker, fake(FakeRecogniser()), no_speech_timeout_ms=2000) as service:
        here = await room(broker)
        kinds = []
        for threshold in (0.5, 0.99, 0.9):
            await change(service, vad_threshold=threshold)
            kinds.append((await here.ask(*QUESTION, silence(1000))).kind)
    assert kinds == ["final", "empty", "final"]


@pytest.mark.req("C016")
async def test_setting_vad_speech_pad_ms_widens_what_the_recogniser_gets(
    broker: MemoryBroker,
) -> None:
    recogniser = FakeRecogniser()
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        for pad in (0, 1000):
            await change(service, vad_speech_pad_ms=pad)
            await here.ask(silence(3000), tone(500), silence(1500))
    narrow, wide = (len(samples) / 16 for samples, _ in recogniser.clips)
    assert wide - narrow == pytest.approx(1000, abs=50)


@pytest.mark.req("C017")
async def test_setting_vad_silence_duration_ms_ends_the_running_turn_sooner(
    broker: MemoryBroker,
) -> None:
    async with worker(broker, fake(FakeRecogniser()), vad_silence_duration_ms=2000) as service:
        here = await room(broker)
        turn = await here.open()
        playing = asyncio.ensure_future(here.play(turn, *QUESTION))
        await asyncio.sleep(0.5)
        await change(service, vad_silence_duration_ms=200)
        result = await here.result(turn)
        await playing
    assert result.timings.endpoint_wait_ms < 400


async def test_setting_max_utterance_ms_cuts_the_running_turn(broker: MemoryBroker) -> None:
    async with worker(broker, fake(FakeRecogniser())) as service:
        here = await room(broker)
        turn = await here.open()
        playing = asyncio.ensure_future(here.play(turn, tone(8000)))
        await asyncio.sleep(0.5)
        await change(service, max_utterance_ms=2000)
        assert (await here.result(turn)).timings.audio_ms == pytest.approx(2000, abs=150)
        await playing


async def test_setting_no_speech_timeout_ms_ends_a_silent_turn(broker: MemoryBroker) -> None:
    async with worker(broker, fake(FakeRecogniser()), no_speech_timeout_ms=60_000) as service:
        here = await room(broker)
        turn = await here.open()
        began = asyncio.get_running_loop().time()
        playing = asyncio.ensure_future(here.play(turn, silence(5000)))
        await asyncio.sleep(0.5)
        await change(service, no_speech_timeout_ms=1500)
        assert (await here.result(turn)).kind == "empty"
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.5, abs=0.2)
        await playing


async def test_setting_min_speech_ms_decides_what_is_only_a_click(broker: MemoryBroker) -> None:
    """A click is looked at in passing; speech is recognised with all means."""
    recogniser = FakeRecogniser()
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        for shortest in (250, 1000):
            await change(service, min_speech_ms=shortest)
            await here.ask(silence(300), tone(500), silence(1500))
    assert [options.quick for _, options in recogniser.clips] == [False, True]


@pytest.mark.req("C018")
async def test_setting_sample_rate_is_the_rate_that_the_recogniser_gets(
    broker: MemoryBroker,
) -> None:
    threaded = Threaded()
    async with worker(broker, threaded) as service:
        here = await room(broker)
        with real_work():
            for rate in (16_000, 8_000):
                await change(service, sample_rate=rate)
                await here.ask(tone(1000), pace_s=0)
    assert threaded.lengths == [16_000, 8_000]


@pytest.mark.req("C019")
async def test_setting_channels_decides_whether_both_sides_are_mixed(broker: MemoryBroker) -> None:
    """A tone on the left, silence on the right: mixed it is half as loud."""
    recogniser = FakeRecogniser()
    left = np.stack([tone(1000), np.zeros(16_000, np.int16)], axis=1).reshape(-1)
    form = AudioFormat(channels=2)
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        for channels in (1, 2):
            await change(service, channels=channels)
            await here.ask(left, silence(3000), form=form)
    one, both = (np.abs(samples).max() for samples, _ in recogniser.clips)
    assert one == pytest.approx(2 * both, rel=0.05)


async def test_setting_language_is_that_of_the_next_turn(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser()
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        await here.ask()
        await change(service, language="de-DE")
        result = await here.ask()
    assert [options.language for _, options in recogniser.clips] == ["en-US", "de-DE"]
    assert result.language == "de-DE"


@pytest.mark.parametrize(("name", "value"), [("beam_size", 1), ("window_floor_s", 0.0)])
async def test_setting_beam_size_or_window_floor_s_counts_for_the_next_clip(
    broker: MemoryBroker, name: str, value: float
) -> None:
    recogniser = FakeRecogniser()
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        await here.ask()
        await change(service, **{name: value})
        await here.ask()
    before, after = (getattr(options, name) for _, options in recogniser.clips)
    assert (before, after) == (getattr(STTWorkerConfig(), name), value)


class Named:
    """An engine that understands its own name."""

    def __init__(self, name: str, lengths: list[int]) -> None:
        self.name = name
        self.lengths = lengths

    def warm_up(self, options: Options) -> None:
        """Nothing to warm."""

    def transcribe(self, samples: np.ndarray, _options: Options) -> Recognition:
        self.lengths.append(len(samples))
        return Recognition((Piece(self.name, 0.0, 1.0, -0.1, 0.0),))


class Threaded:
    """Recognisers with a thread, over the real server and in place of Whisper its name."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self) -> Recogniser:
        def load(config: STTWorkerConfig, data_dir: Path) -> Engine:
            if config.stt_backend == "ws":
                return load_engine(config, data_dir)
            return Named(f"{config.whisper_model} {config.threads}", self.lengths)

        return ThreadedRecogniser(load)


@pytest.mark.req("C011")
async def test_setting_whisper_model_or_threads_makes_another_model_hear(
    broker: MemoryBroker,
) -> None:
    async with worker(broker, Threaded()) as service:
        here = await room(broker)
        texts = []
        with real_work():
            for fields in ({}, {"whisper_model": "tiny.en"}, {"threads": 2}):
                await change(service, **fields)
                texts.append((await here.ask(tone(1000), pace_s=0)).text)
    assert texts == ["base.en 0", "tiny.en 0", "tiny.en 2"]


@dataclass
class Server:
    """Answers at the end with its name."""

    name: str
    clips: int = 0

    async def __call__(self, link: ServerConnection) -> None:
        async for message in link:
            if message == '{"eof" : 1}':
                self.clips += 1
                await link.send(json.dumps({"text": self.name}))
                return


@pytest.mark.req("C012", "C013")
async def test_setting_stt_backend_and_ws_url_moves_the_hearing_to_a_server_and_back(
    broker: MemoryBroker,
) -> None:
    one, two = Server("one"), Server("two")
    with real_work():
        async with (
            serve(one, "127.0.0.1", 0) as first,
            serve(two, "127.0.0.1", 0) as second,
            worker(broker, Threaded()) as service,
        ):
            here = await room(broker)
            urls = [
                f"ws://127.0.0.1:{next(iter(s.sockets)).getsockname()[1]}" for s in (first, second)
            ]
            texts = []
            for fields in (
                {}, {"stt_backend": "ws", "ws_url": urls[0]}, {"ws_url": urls[1]},
                {"stt_backend": "whisper"},
            ):  # fmt: skip
                await change(service, **fields)
                texts.append((await here.ask(tone(1000), pace_s=0)).text)
            with pytest.raises(ServerUnreachableError):
                await service.stage(
                    changed(service.config, stt_backend="ws", ws_url="ws://127.0.0.1:9")
                )
            assert (await here.ask(tone(1000), pace_s=0)).text == "base.en 0"
    assert texts == ["base.en 0", "one", "two", "base.en 0"]


# Changes under load


@dataclass
class Workshop:
    """Makes recognisers: each understands ``heard N``, and takes a while to load."""

    made: list[FakeRecogniser] = field(default_factory=list)
    load_error: Exception | None = None
    load_s: float = 0.0

    def __call__(self) -> Any:
        recogniser = FakeRecogniser([f"heard {len(self.made)}"], load_error=self.load_error)
        if self.load_s:
            recogniser.load = self._late  # type: ignore[method-assign]
        self.made.append(recogniser)
        return recogniser

    async def _late(self, _config: object, _data_dir: object) -> None:
        await asyncio.sleep(self.load_s)


async def test_a_turn_is_heard_to_its_end_by_the_recogniser_that_it_was_opened_with(
    broker: MemoryBroker,
) -> None:
    """One turn in the middle of its speech, one that is being recognised, one that comes after."""
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        kitchen, attic = await room(broker), await room(broker, "attic")
        workshop.made[0].delay_s = 3.0
        early = await attic.open()
        await attic.play(early, *QUESTION)
        running = await kitchen.open()
        playing = asyncio.ensure_future(kitchen.play(running, *QUESTION))
        await asyncio.sleep(0.5)
        await change(service, whisper_model="tiny.en")
        late = await attic.ask()
        await playing
        assert late.text == "heard 1"
        assert not workshop.made[0].closed
        assert [(await r.result(t)).text for r, t in ((attic, early), (kitchen, running))] == [
            "heard 0", "heard 0"
        ]  # fmt: skip
        await asyncio.sleep(0.1)
        assert workshop.made[0].closed
        assert service.counts["failed"] == 0
    assert workshop.made[1].closed


async def test_turns_go_on_while_a_model_is_loaded(broker: MemoryBroker) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        here = await room(broker)
        workshop.load_s = 60.0
        changing = asyncio.ensure_future(change(service, whisper_model="large"))
        texts = [(await here.ask()).text for _ in range(5)]
        await changing
        assert texts == ["heard 0"] * 5
        assert (await here.ask()).text == "heard 1"


async def test_many_changes_in_a_row_lose_no_turn_and_leave_one_recogniser(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_s=0.7)
    async with worker(broker, workshop) as service:
        rooms = [await room(broker, f"room-{n}") for n in range(4)]
        going = True
        results: list[Transcript] = []

        async def talk(here: Room) -> None:
            while going:
                results.append(await here.ask())

        talking = [asyncio.ensure_future(talk(here)) for here in rooms]
        for n in range(20):
            await change(service, whisper_model=f"model-{n}")
            await asyncio.sleep(0.3)
        going = False
        await asyncio.gather(*talking)
        await asyncio.sleep(0.1)
        assert len(results) > 20
        assert {r.kind for r in results} == {"final"}
        assert [m.closed for m in workshop.made] == [True] * 20 + [False]


@pytest.mark.req("C011")
async def test_a_model_that_cannot_be_loaded_changes_nothing(broker: MemoryBroker) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        here = await room(broker)
        turn = await here.open()
        workshop.load_error = ModelBrokenError("the model lacks model.bin")
        before = service.config
        with pytest.raises(ModelBrokenError):
            await service.stage(changed(before, whisper_model="tiny.en", beam_size=1))
        assert service.config is before
        assert service.components() == {"model": True}
        assert workshop.made[1].closed
        await here.play(turn, *QUESTION)
        assert (await here.result(turn)).text == "heard 0"


async def test_a_language_that_the_model_does_not_know_is_refused(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser(check_error=LanguageError("the model does not know xx"))
    async with worker(broker, fake(recogniser)) as service:
        with pytest.raises(LanguageError):
            await service.stage(changed(service.config, language="xx-XX"))
        await change(service, beam_size=2)


async def test_a_change_that_is_not_wanted_any_more_frees_what_was_loaded(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        switch = await service.stage(changed(service.config, whisper_model="tiny.en"))
        await switch.discard()
        assert workshop.made[1].closed
        workshop.load_s = 60.0
        changing = asyncio.ensure_future(
            service.stage(changed(service.config, whisper_model="large"))
        )
        await asyncio.sleep(1)
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert workshop.made[2].closed
        assert (await (await room(broker)).ask()).text == "heard 0"


@pytest.mark.req("C011")
async def test_a_worker_that_came_up_without_a_model_takes_a_good_one(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_error=ModelBrokenError("the model lacks model.bin"))
    async with worker(broker, workshop) as service:
        here = await room(broker)
        assert (await here.result(await opened_anyway(here))).kind == "failed"
        workshop.load_error = None
        await change(service, whisper_model="tiny.en")
        assert service.components() == {"model": True}
        assert (await here.ask()).kind == "final"


async def opened_anyway(here: Room) -> TurnOpen:
    """A turn that nobody claims."""
    turn = TurnOpen(turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z")
    await here.observer.messenger.send(TURN_OPEN, turn, site=here.site)
    return turn


# A recogniser that is a server may be away for a while


async def test_a_server_that_was_away_at_the_start_is_found_later(broker: MemoryBroker) -> None:
    workshop = Workshop(load_error=ServerUnreachableError("no connection"))
    async with worker(broker, workshop) as service:
        here = await room(broker)
        await asyncio.sleep(15)
        assert service.components() == {"model": False}
        workshop.load_error = None
        await asyncio.sleep(15)
        assert service.components() == {"model": True}
        assert (await here.ask()).kind == "final"
        health = await here.observer.until(HEALTH, lambda h: h.service == "stt-worker" and h.ok)
        assert health.ready
        assert all(m.closed for m in workshop.made[:-1])


async def test_a_model_that_is_missing_is_not_looked_for_again_and_again(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_error=ModelBrokenError("the model lacks model.bin"))
    async with worker(broker, workshop):
        await asyncio.sleep(120)
    assert len(workshop.made) == 1


async def test_a_server_that_goes_away_is_in_the_health_until_it_is_back(
    broker: MemoryBroker,
) -> None:
    recogniser = FakeRecogniser([ServerSilentError("no answer in time"), "turn on the light"])
    recogniser.check_error = ServerUnreachableError("no connection")
    async with worker(broker, fake(recogniser)) as service:
        here = await room(broker)
        failed = await here.ask()
        assert (failed.kind, str(failed.reason)[:17]) == ("failed", "STT_SERVER_SILENT")
        await asyncio.sleep(15)
        assert service.components() == {"model": False}
        recogniser.check_error = None
        await asyncio.sleep(15)
        assert service.components() == {"model": True}
        assert (await here.ask()).kind == "final"


async def test_settings_that_change_during_a_recheck_are_the_ones_that_stay(
    broker: MemoryBroker,
) -> None:
    workshop = Workshop(load_error=ServerUnreachableError("no connection"))
    async with worker(broker, workshop) as service:
        here = await room(broker)
        workshop.load_error, workshop.load_s = None, 5.0
        await asyncio.sleep(11)  # the recheck is loading
        workshop.load_s = 0.0
        await change(service, whisper_model="tiny.en")
        await asyncio.sleep(10)
        assert (await here.ask()).text == "heard 2"
        assert [m.closed for m in workshop.made] == [True, True, False]


def test_every_setting_has_a_test_here() -> None:
    names = [name for name in globals() if name.startswith("test_setting_")]
    untold = [k for k in STTWorkerConfig.model_fields if not any(k in name for name in names)]
    assert untold == []
