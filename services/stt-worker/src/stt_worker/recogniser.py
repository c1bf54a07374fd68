"""Runs a blocking engine in one thread of its own, first come, first served."""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from parlour_audio.frames import Samples
from parlour_contracts.config import STTWorkerConfig
from parlour_kit import models

from stt_worker.engine import Engine, EngineLoader, Options, Recognition
from stt_worker.errors import BackendUnsupportedError, EngineMissingError, NotLoadedError

T = TypeVar("T")

CLOSE_S = 1.5
"""How long a running recognition may hold up the end of the process."""


class Recogniser(Protocol):
    """What the service needs of a recogniser."""

    async def load(self, config: STTWorkerConfig, data_dir: Path) -> None:
        """Load the model that the configuration names; raises ParlourError."""
        ...

    async def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Understand one clip; raises SttError. Cancelled while it waits, it never starts."""
        ...

    async def close(self) -> None:
        """Free the model; nothing is recognised after it."""
        ...


def load_whisper(folder: Path, threads: int) -> Engine:
    """Load faster-whisper; imported here, so that a worker without it can say so.

    Raises:
        EngineMissingError: faster-whisper is not installed.
        ModelBrokenError: the folder holds no usable model.
    """
    if find_spec("faster_whisper") is None:
        raise EngineMissingError("faster-whisper is not installed")
    engine = import_module("stt_worker.engines.whisper")
    return cast("Engine", engine.WhisperEngine.load(folder, threads))


class ThreadedRecogniser:
    """A Recogniser over an Engine.

    The thread is a daemon: a process that is told to stop does not wait for half a minute of
    speech to be understood.
    """

    # Python ends a daemon thread by unwinding it, which aborts the process inside the C++ of a
    # recogniser. So the thread is given a moment, and a process whose engine still computes
    # then leaves without clearing up the interpreter: there is nothing in it to save.

    def __init__(self, loader: EngineLoader = load_whisper) -> None:
        self._loader = loader
        self._engine: Engine | None = None
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    async def load(self, config: STTWorkerConfig, data_dir: Path) -> None:
        """Check the model's files, load it and warm it up.

        Raises:
            ModelError: the model is not listed, not here, or damaged.
            SttError: it cannot be used.
        """
        if config.stt_backend != "whisper":
            raise BackendUnsupportedError(f"no recogniser {config.stt_backend} in this worker")
        options = Options(config.language, config.beam_size, config.window_floor_s)

        def work() -> Engine:
            files = models.resolve(config.whisper_model, "stt", data_dir)
            engine = self._loader(files.path, config.threads)
            engine.warm_up(options)
            return engine

        self._engine = await self._run(work)

    async def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Understand one clip, after those that came before.

        Raises:
            NotLoadedError: no model is loaded.
            SttError: see ``Engine.transcribe``.
        """
        engine = self._engine
        if engine is None:
            raise NotLoadedError("no model is loaded")
        return await self._run(lambda: engine.transcribe(samples, options))

    async def close(self) -> None:
        """Let go of the model and end the thread after its running job."""
        self._engine = None
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._jobs.put(None)
        await asyncio.to_thread(thread.join, CLOSE_S)
        if thread.is_alive():
            atexit.register(_leave)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="recogniser", daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._jobs.put((future, work))
        return await asyncio.wrap_future(future)

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # it is raised where it is awaited
                future.set_exception(error)
            # While the thread waits it must not keep the engine.
            del job, future, work


def _leave() -> None:
    """End the process at once; it was told to stop, so all is well."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
