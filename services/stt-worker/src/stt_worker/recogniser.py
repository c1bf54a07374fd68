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
from pathlib import Path
from typing import Any, Protocol, TypeVar

from parlour_audio.frames import Samples
from parlour_audio.resample import resample
from parlour_contracts.config import STTWorkerConfig
from parlour_kit import log

from stt_worker.backends import load_engine
from stt_worker.engine import RATE, Engine, EngineLoader, Options, Recognition
from stt_worker.errors import NotLoadedError
from stt_worker.memory import give_back

T = TypeVar("T")

CLOSE_S = 1.5
"""How long a running recognition may hold up the end of the process."""


class Recogniser(Protocol):
    """What the service needs of a recogniser."""

    async def load(self, config: STTWorkerConfig, data_dir: Path) -> None:
        """Load what the settings name; raises ParlourError."""
        ...

    async def check(self, config: STTWorkerConfig) -> None:
        """Whether it could hear with these settings of the language and search; raises SttError."""
        ...

    async def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Understand one clip of mono sound at 16 kHz; raises SttError.

        Cancelled while it waits, it never starts.
        """
        ...

    async def close(self) -> None:
        """Free the model; nothing is recognised after it."""
        ...


class ThreadedRecogniser:
    """A Recogniser over an Engine.

    The thread is a daemon: a process that is told to stop does not wait for half a minute of
    speech to be understood.
    """

    # Python ends a daemon thread by unwinding it, which aborts the process inside the C++ of a
    # recogniser. So the thread is given a moment, and a process whose engine still computes
    # then leaves without clearing up the interpreter: there is nothing in it to save.

    def __init__(self, loader: EngineLoader = load_engine) -> None:
        self._loader = loader
        self._engine: Engine | None = None
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    async def load(self, config: STTWorkerConfig, data_dir: Path) -> None:
        """Load the engine that the settings name and warm it up.

        Raises:
            ModelError: its model is not listed, not here, or damaged.
            SttError: it cannot be used.
        """
        options = Options.of(config, config.language)

        def work() -> Engine:
            engine = self._loader(config, data_dir)
            engine.warm_up(options)
            return engine

        self._engine = await self._run(work)

    async def check(self, config: STTWorkerConfig) -> None:
        """Try these settings on a moment of nothing, after the clips that came before.

        Raises:
            NotLoadedError: no engine is loaded.
            SttError: it cannot hear with them.
        """
        engine = self._loaded()
        options = Options.of(config, config.language)
        await self._run(lambda: engine.warm_up(options))

    async def transcribe(self, samples: Samples, options: Options) -> Recognition:
        """Understand one clip, after those that came before.

        The engine gets it at the options' rate, whatever its own is.

        Raises:
            NotLoadedError: no engine is loaded.
            SttError: see ``Engine.transcribe``.
        """
        engine = self._loaded()
        return await self._run(
            lambda: engine.transcribe(resample(samples, RATE, options.sample_rate), options)
        )

    async def close(self) -> None:
        """Let go of the model and end the thread after its running job."""
        self._engine = None
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._jobs.put(None)
        await asyncio.to_thread(thread.join, CLOSE_S)
        if thread.is_alive():
            atexit.register(_leave, thread)
        else:
            await asyncio.to_thread(give_back)

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise NotLoadedError("no recogniser is loaded")
        return self._engine

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
        give_back()  # here as well: whoever closed it may not have waited for so long


def _leave(thread: threading.Thread) -> None:
    """End the process at once if the thread still computes; all is well, it was told to stop."""
    if not thread.is_alive():
        return
    log.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
