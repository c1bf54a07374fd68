"""A voice with a timeline: each word takes a while to make and sounds for a while.

It stands in for the engine of tts-worker: ``TtsWorker(..., engine_factory=voice.factory)``.
It fits that package's protocols by its shape and imports nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from parlour_contracts.messages.tts import Word


class Order(Protocol):
    """A sentence to speak, as tts-worker asks for it."""

    @property
    def text(self) -> str:
        """What to say."""
        ...

    @property
    def speed(self) -> float:
        """1 is the voice's own."""
        ...


class Token(Protocol):
    """Tells whether the sentence is still wanted."""

    @property
    def cancelled(self) -> bool:
        """Whether to stop."""
        ...


@dataclass(frozen=True)
class FakePiece:
    """One word of sound."""

    samples: NDArray[np.float32]
    words: Sequence[Word]
    words_estimated: bool = False


@dataclass
class FakeVoice:
    """Speaks each word as a constant tone.

    Attributes:
        rate: samples per second.
        make_s: how long a word takes to make, in seconds of the loop.
        word_s: how long a word sounds at speed 1, in seconds.
        level: the tone's amplitude, 1 is full scale.
        faults: by text, an error to raise once the first word is out, or None to hang there.
        orders: what was asked for, in order.
        stopped: the texts that were left before their end.
        closed: whether the voice was freed.
    """

    rate: int = 16_000
    make_s: float = 0.05
    word_s: float = 0.25
    level: float = 0.5
    faults: dict[str, Exception | None] = field(default_factory=dict)
    orders: list[Any] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def factory(self) -> Callable[..., FakeVoice]:
        """What a service takes to make its engine."""
        return lambda *_args: self

    async def synthesize(self, order: Order, cancel: Token) -> AsyncGenerator[FakePiece, None]:
        """Speak word by word, each after ``make_s``."""
        self.orders.append(order)
        length = self.word_s / order.speed
        done = False
        try:
            for number, token in enumerate(order.text.split()):
                if number == 1 and order.text in self.faults:
                    fault = self.faults[order.text]
                    if fault is not None:
                        raise fault
                    await asyncio.Event().wait()
                await asyncio.sleep(self.make_s)
                if cancel.cancelled:
                    return
                word = Word(
                    text=token[:200],
                    start_ms=number * length * 1000,
                    end_ms=(number + 1) * length * 1000,
                )
                sound = np.full(round(self.rate * length), self.level, np.float32)
                yield FakePiece(sound, (word,))
            done = True
        finally:
            if not done:
                self.stopped.append(order.text)

    async def close(self) -> None:
        """Free the voice."""
        self.closed = True
