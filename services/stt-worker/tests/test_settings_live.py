"""Every setting changes what stt-worker does while it runs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import MUTED, AudioFormat, TurnOpen
from parlour_contracts.topics import TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, real_work
from parlour_testkit.fakes_stt import FakeRecogniser, silence, tone
from stt_worker.backends import load_engine
from stt_worker.engine import Engine, Options, Piece, Recognition
from stt_worker.errors import ServerUnreachableError
from stt_worker.recogniser import Recogniser, ThreadedRecogniser
from websockets.asyncio.server import ServerConnection, serve

from .speaking import QUESTION, change, changed, fake, room, worker


async def test_setting_muted_keeps_every_word_from_the_recogniser(broker: MemoryBroker) -> None:
    recogniser = FakeRecogniser()
    async with worker(broker, fake(recogniser), muted=True) as service:
        here = await room(broker)
        turn = TurnOpen(turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z")
        await here.observer.messenger.send(TURN_OPEN, turn, site="kitchen")
        refused = await here.result(turn)
        assert (refused.kind, refused.reason) == ("failed", MUTED)
        assert here.observer.of(TURN_CLAIMED) == []

        await change(service, muted=False)
        assert (await here.ask(*QUESTION)).kind == "final"
        heard = len(recogniser.clips)

        begun = await here.open()
        playing = asyncio.ensure_future(here.play(begun, tone(1000), silence(1500)))
        await asyncio.sleep(0.5)
        await change(service, muted=True)
        assert (await here.result(begun)).reason == MUTED
        await playing
    assert len(recogniser.clips) == heard


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


async def test_setting_transcribe_ahead_is_heeded_within_a_turn(broker: MemoryBroker) -> None:
    async with worker(broker, fake(FakeRecogniser())) as service:
        here = await room(broker)
        turn = await here.open()
        playing = asyncio.ensure_future(here.play(turn, *QUESTION))
        await change(service, transcribe_ahead=True)
        await playing
        await here.result(turn)
    assert [t.kind for t in here.observer.of(TRANSCRIPT)] == ["soft_final", "final"]


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


@pytest.mark.req("F7")
def test_every_setting_has_a_test_here() -> None:
    names = [name for name in globals() if name.startswith("test_setting_")]
    untold = [k for k in STTWorkerConfig.model_fields if not any(k in name for name in names)]
    assert untold == []
