"""A blocking voice in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import aclosing

import numpy as np
import pytest
from tts_worker.engine import Cancellable, CancelToken, SpokenPiece, Synthesis
from tts_worker.threaded import ThreadedEngine


class CountingVoice:
    """Yields numbered pieces until it is cancelled, and notes where it ran."""

    rate = 100

    def __init__(self, pieces: int, fail_at: int | None = None) -> None:
        self.pieces = pieces
        self.fail_at = fail_at
        self.made = 0
        self.threads: set[int] = set()
        self.closed = False

    def synthesize(self, order: Synthesis, cancel: Cancellable) -> Iterator[SpokenPiece]:
        for n in range(self.pieces):
            if cancel.cancelled:
                return
            if n == self.fail_at:
                raise ValueError("broken")
            self.threads.add(threading.get_ident())
            self.made += 1
            yield SpokenPiece(np.full(3, n, np.float32))

    def close(self) -> None:
        self.closed = True


async def test_pieces_come_in_order_from_one_other_thread():
    voice = CountingVoice(5)
    engine = ThreadedEngine(voice)
    token = CancelToken()

    got = [int(p.samples[0]) async for p in engine.synthesize(Synthesis("x"), token)]
    await engine.close()

    assert got == [0, 1, 2, 3, 4]
    assert len(voice.threads) == 1
    assert threading.get_ident() not in voice.threads
    assert not token.cancelled
    assert voice.closed


async def test_the_voice_is_at_most_one_piece_ahead_and_stops_when_nobody_listens():
    voice = CountingVoice(10_000)
    engine = ThreadedEngine(voice)
    async with aclosing(engine.synthesize(Synthesis("x"), CancelToken())) as pieces:
        await anext(pieces)
        await anext(pieces)
    await engine.close()

    assert voice.made <= 3


async def test_an_error_reaches_the_listener_and_the_thread_lives_on():
    voice = CountingVoice(5, fail_at=2)
    engine = ThreadedEngine(voice)
    got: list[int] = []

    async def listen() -> None:
        async for piece in engine.synthesize(Synthesis("x"), CancelToken()):
            got.append(int(piece.samples[0]))  # noqa: PERF401  # kept when it fails half-way

    with pytest.raises(ValueError, match="broken"):
        await listen()
    voice.fail_at = None

    assert got == [0, 1]
    assert len([p async for p in engine.synthesize(Synthesis("y"), CancelToken())]) == 5
    await engine.close()


def test_a_watcher_is_called_once_also_when_it_comes_late():
    token, calls = CancelToken(), []
    token.watch(lambda: calls.append("early"))
    token.cancel()
    token.cancel()
    token.watch(lambda: calls.append("late"))

    assert calls == ["early", "late"]
