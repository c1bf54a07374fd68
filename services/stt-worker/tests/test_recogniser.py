"""The thread around an engine: order, cancellation, errors."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from parlour_contracts.config import STTWorkerConfig
from parlour_kit import models
from parlour_kit.models import ModelFiles, ModelMissingError
from parlour_testkit import real_work
from stt_worker import recogniser as module
from stt_worker.engine import Engine, Options, Piece, Recognition
from stt_worker.errors import BackendUnsupportedError, NotLoadedError, SttError
from stt_worker.recogniser import ThreadedRecogniser

CLIP = np.zeros(1600, np.float32)


class SlowEngine:
    """Says how many clips it has seen; waits for ``gate`` at each."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.clips = 0
        self.threads: set[int] = set()
        self.warm: Options | None = None

    def warm_up(self, options: Options) -> None:
        self.warm = options

    def transcribe(self, samples: np.ndarray, options: Options) -> Recognition:
        self.begun.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.clips += 1
        if options.language == "xx-XX":
            raise SttError("no such language")
        return Recognition((Piece(str(self.clips), 0, 1, -0.1, 0.1),))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> SlowEngine:
    files = ModelFiles("base.en", Path("/models/base.en"), ())
    monkeypatch.setattr(models, "resolve", lambda *_: files)
    return SlowEngine()


def loader(engine: SlowEngine) -> object:
    def load(folder: Path, threads: int) -> Engine:
        assert (folder, threads) == (Path("/models/base.en"), 0)
        return engine

    return load


async def test_clips_are_understood_one_after_another_off_the_loop(engine: SlowEngine) -> None:
    recogniser = ThreadedRecogniser(loader(engine))  # type: ignore[arg-type]
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
    recogniser = ThreadedRecogniser(loader(engine))  # type: ignore[arg-type]
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
    recogniser = ThreadedRecogniser(loader(engine))  # type: ignore[arg-type]
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


async def test_another_backend_is_refused_with_a_hint(tmp_path: Path) -> None:
    config = STTWorkerConfig(stt_backend="ws", ws_url="ws://example/asr")
    with pytest.raises(BackendUnsupportedError):
        await ThreadedRecogniser().load(config, tmp_path)


async def test_an_engine_that_still_computes_does_not_hold_up_the_end(
    engine: SlowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process leaves at once then: the interpreter must not unwind a thread in C++."""
    leaving: list[object] = []
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    monkeypatch.setattr(module.atexit, "register", leaving.append)
    recogniser = ThreadedRecogniser(loader(engine))  # type: ignore[arg-type]
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        job = asyncio.ensure_future(recogniser.transcribe(CLIP, Options()))
        await asyncio.to_thread(engine.begun.wait, 5)
        await recogniser.close()
        assert leaving == [module._leave]
        engine.gate.set()
        await job


async def test_a_closed_recogniser_keeps_nothing_of_its_engine(engine: SlowEngine) -> None:
    engine.gate.set()
    recogniser = ThreadedRecogniser(loader(engine))  # type: ignore[arg-type]
    with real_work():
        await recogniser.load(STTWorkerConfig(), Path("/data"))
        await recogniser.transcribe(CLIP, Options())
        threads = [t for t in threading.enumerate() if t.name == "recogniser"]
        assert threads
        await recogniser.close()
    assert not any(t.is_alive() for t in threads)
