"""Runs a blocking voice in one thread of its own, one piece ahead of its listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor

from tts_worker.engine import CancelToken, Piece, Synthesis, Voice


class ThreadedEngine:
    """An :class:`~tts_worker.engine.Engine` over a :class:`~tts_worker.engine.Voice`.

    One thread serves all sentences in turn, so a voice needs no lock. The next piece is
    computed while the last one is sent, and never more than one is held.
    """

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice")

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self._voice.rate

    async def synthesize(
        self, order: Synthesis, cancel: CancelToken
    ) -> AsyncGenerator[Piece, None]:
        """Speak; when the listener leaves early, the token is cancelled.

        Raises:
            VoiceUnavailableError, SynthesisError: see ``Voice.synthesize``.
        """
        pieces: Iterator[Piece] = iter(self._voice.synthesize(order, cancel))
        ahead = self._next(pieces)
        try:
            while (piece := await ahead) is not None:
                ahead = self._next(pieces)
                yield piece
        finally:
            # A result that comes when nobody waits any more is heard, and thrown away.
            ahead.add_done_callback(lambda late: late.cancelled() or late.exception())
            if not ahead.done() or ahead.cancelled():
                cancel.cancel()

    async def close(self) -> None:
        """Wait for the piece being made, then free the voice and the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._voice.close)
        self._thread.shutdown(wait=False)

    def _next(self, pieces: Iterator[Piece]) -> asyncio.Future[Piece | None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, next, pieces, None)
