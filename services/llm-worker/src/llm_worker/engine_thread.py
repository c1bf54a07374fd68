"""One thread in which a blocking engine lives, and the way back to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from llm_worker.engine import CancelToken, TextSink

T = TypeVar("T")


class EngineThread:
    """Runs work in order, one piece at a time, always in the same thread."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Callable[[], T], cancel: CancelToken | None = None) -> T:
        """Do ``work`` in the thread.

        When the waiting task is cancelled, ``cancel`` is set and the work is waited for: the
        caller may rely on the thread being free once this has returned or raised.
        """
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if cancel is not None:
                cancel.cancel("the waiting task was cancelled")
            await asyncio.wait({future})
            if not future.cancelled():
                future.exception()  # looked at: the cancellation is what is told
            raise

    @staticmethod
    def to_loop(on_text: TextSink) -> TextSink:
        """``on_text`` for use in the thread; what it is given arrives before the result does."""
        loop = asyncio.get_running_loop()

        def emit(text: str) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to listen
                loop.call_soon_threadsafe(on_text, text)

        return emit

    def close(self) -> None:
        """Take no more work; what runs is finished."""
        self._executor.shutdown(wait=False, cancel_futures=True)
