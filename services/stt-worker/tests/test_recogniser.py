"""The thread around an engine: order, cancellation, errors."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from parlour_contracts.config import STTWorkerConfig
from parlour_kit.models import ModelMissingError
from parlour_testkit import real_work
from stt_worker import recogniser as module
from stt_worker.engine import Engine, EngineLoader, Options, Piece, Recognition
from stt_worker.errors import EngineMissingError, NotLoadedError, SttError
from stt_worker.recogniser import ThreadedRecogniser

CLIP = np.zeros(1600, np.float32)


class SlowEngine:
    """Says how many clips it has seen; waits for ``gate`` at each."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.clips = 0
        self.lengths: list[int] = []
        self.threads: set[int] = set()
        self.warm: Options | None = None

    def warm_up(self, options: Options) -> None:
        self.warm = options

    def transcribe(self, samples: np.ndarray, options: Options) -> Recognition:
        self.begun.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.clips += 1
        self.lengths.append(len(samples))
        if options.language == "xx-XX":
            raise SttError("no such language")
        return Recognition((Piece(str(self.clips), 0, 1, -0.1, 0.1),))


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


def loader(engine: SlowEngine) -> EngineLoader:
    def load(config: STTWorkerConfig, data_dir: Path) -> Engine:
        assert (config.whisper_model, data_dir) == ("base.en", Path("/data"))
        return engine

    return load


async def test_clips_are_understood_one_after_another_off_the_loop(engine: SlowEngine) -> None:
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        assert engine.warm is not None
        jobs = [asyncio.ensure_future(recogniser.transcribe(CLIP, Options())) for _ in range(3)]
        await asyncio.to_thread(engine.begun.wait, 5)
        engine.gate.set()
        assert [r.text for r in await asyncio.gather(*jobs)] == ["1", "2", "3"]
    assert len(engine.threads) == 1
    assert threading.get_ident() not in engine.threads
    await recogniser.close()


async def test_a_cancelled_clip_that_waits_is_never_begun(engine: SlowEngine) -> None:
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        first = asyncio.ensure_future(recogniser.transcribe(CLIP, Options()))
        await asyncio.to_thread(engine.begun.wait, 5)
        second = asyncio.ensure_future(recogniser.transcribe(CLIP, Options()))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        third = asyncio.ensure_future(recogniser.transcribe(CLIP, Options()))
        engine.gate.set()
        assert [(await first).text, (await third).text] == ["1", "2"]
    await recogniser.close()


async def test_an_error_of_the_engine_reaches_the_caller_and_the_thread_lives(
    engine: SlowEngine,
) -> None:
    engine.gate.set()
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        with pytest.raises(SttError, match="no such language"):
            await recogniser.transcribe(CLIP, Options(language="xx-XX"))
        assert (await recogniser.transcribe(CLIP, Options())).text == "2"
    await recogniser.close()
    with pytest.raises(NotLoadedError):
        await recogniser.transcribe(CLIP, Options())


async def test_a_missing_model_names_the_command_that_brings_it(tmp_path: Path) -> None:
    recogniser = ThreadedRecogniser()
    with real_work(), pytest.raises(ModelMissingError) as caught:
        await recogniser.load(STTWorkerConfig(whisper_model="base"), tmp_path)
    assert "parlour models pull base" in caught.value.hint
    await recogniser.close()


@pytest.mark.parametrize("backend", ["whisper", "ws"])
async def test_a_backend_without_its_library_is_refused_with_a_hint(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stt_worker.backends.find_spec", lambda _name: None)
    config = STTWorkerConfig.model_validate({"stt_backend": backend, "ws_url": "ws://example/asr"})
    recogniser = ThreadedRecogniser()
    with real_work(), pytest.raises(EngineMissingError) as caught:
        await recogniser.load(config, tmp_path)
    assert "make setup" in caught.value.hint
    await recogniser.close()


@pytest.mark.req("C018")
async def test_the_engine_gets_a_clip_at_the_rate_of_the_options(engine: SlowEngine) -> None:
    engine.gate.set()
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        for rate in (16_000, 8_000, 48_000, 1):
            await recogniser.transcribe(CLIP, Options(sample_rate=rate))
    assert engine.lengths == [1600, 800, 4800, 0]
    await recogniser.close()


async def test_a_check_tries_the_settings_after_the_clips_that_came_before(
    engine: SlowEngine,
) -> None:
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        clip = asyncio.ensure_future(recogniser.transcribe(CLIP, Options()))
        check = asyncio.ensure_future(recogniser.check(STTWorkerConfig(language="de-DE")))
        await asyncio.to_thread(engine.begun.wait, 5)
        assert engine.warm is not None
        assert engine.warm.language == "en-US"
        engine.gate.set()
        await asyncio.gather(clip, check)
        assert engine.warm.language == "de-DE"
    await recogniser.close()
    with pytest.raises(NotLoadedError):
        await recogniser.check(STTWorkerConfig())


async def test_an_engine_that_still_computes_does_not_hold_up_the_end(
    engine: SlowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process leaves at once then: the interpreter must not unwind a thread in C++."""
    leaving: list[tuple[object, threading.Thread]] = []
    left: list[int] = []
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    monkeypatch.setattr(module.atexit, "register", lambda *call: leaving.append(call))
    monkeypatch.setattr(module.os, "_exit", left.append)
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        job = asyncio.ensure_future(recogniser.transcribe(CLIP, Options()))
        await asyncio.to_thread(engine.begun.wait, 5)
        await recogniser.close()
        ((leave, thread),) = leaving
        assert leave is module._leave
        module._leave(thread)
        assert left == [0]
        engine.gate.set()
        await job
        await asyncio.to_thread(thread.join, 5)
        module._leave(thread)
        assert left == [0], "a process whose recogniser has come to its end ends as it likes"


async def test_a_closed_recogniser_keeps_nothing_of_its_engine(engine: SlowEngine) -> None:
    engine.gate.set()
    recogniser = ThreadedRecogniser(loader(engine))
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        await recogniser.transcribe(CLIP, Options())
        threads = [t for t in threading.enumerate() if t.name == "recogniser"]
        assert threads
        await recogniser.close()
    assert not any(t.is_alive() for t in threads)
