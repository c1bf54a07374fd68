"""A language model that says what a script tells it to, when the script tells it to.

It stands in for the engine of llm-worker: ``LlmWorker(..., engine_factory=FakeLlm(...))``.
It fits that package's protocol by its shape and imports nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from parlour_contracts.messages.llm import ChatMessage, FinishReason, LlmTokens


class Token(Protocol):
    """Tells that an answer is no longer wanted."""

    def watched(self, watcher: Callable[[], object]) -> AbstractContextManager[None]:
        """Call back on cancel."""
        ...


class Asked(Protocol):
    """What a request asks of an engine."""

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The conversation."""
        ...

    @property
    def max_tokens(self) -> int:
        """The limit of the answer."""
        ...

    @property
    def temperature(self) -> float:
        """0 always takes the likeliest."""
        ...

    @property
    def top_p(self) -> float:
        """Share of probability."""
        ...

    @property
    def seed(self) -> int | None:
        """Of the dice."""
        ...


@dataclass(frozen=True)
class Said:
    """How an answer ended."""

    finish_reason: FinishReason
    tokens: LlmTokens
    prefill_ms: float = 0.0


@dataclass(frozen=True)
class FakeCapabilities:
    """What the fake says of itself."""

    engine: str = "fake"
    model: str = "script"
    context_window: int = 2048
    exact_tokens: bool = True
    reuses_prefix: bool = True
    cancels_prefill: bool = True


@dataclass(frozen=True)
class LlmScript:
    """One answer.

    Args:
        pieces: the text, piece by piece.
        prefill_s: time before the first piece.
        piece_s: time before each further piece.
        error: raised after the last piece.
        deaf: a cancel is ignored.
    """

    pieces: Sequence[str] = ("It ", "is ", "sunny.")
    prefill_s: float = 0.3
    piece_s: float = 0.05
    error: Exception | None = None
    deaf: bool = False


@dataclass
class FakeLlm:
    """An engine whose answers are scripts, one per request; the last one repeats.

    Attributes:
        prompts: what it was asked, in order.
        primed: what it was primed with.
        most_at_once: how many requests computed at the same time, at most.
        check_error: raised by :meth:`check`, as long as it is set.
    """

    scripts: Sequence[LlmScript] = (LlmScript(),)
    load_error: Exception | None = None
    check_error: Exception | None = None
    prompts: list[Asked] = field(default_factory=list)
    primed: list[tuple[ChatMessage, ...]] = field(default_factory=list)
    most_at_once: int = 0
    closed: bool = False
    _busy: int = 0

    def __call__(self, config: Any, data_dir: Path) -> FakeLlm:
        """Be the engine factory of a service, too."""
        del config, data_dir
        return self

    @property
    def capabilities(self) -> FakeCapabilities:
        """Those of a local engine."""
        return FakeCapabilities()

    async def load(self) -> None:
        """Ready, or ``load_error``."""
        if self.load_error is not None:
            raise self.load_error

    async def prime(self, messages: Sequence[ChatMessage], cancel: Token) -> None:
        """Remember the messages."""
        del cancel
        self.primed.append(tuple(messages))

    async def check(self) -> None:
        """Raise ``check_error``, if any."""
        if self.check_error is not None:
            raise self.check_error

    async def generate(self, prompt: Asked, on_text: Callable[[str], None], cancel: Token) -> Said:
        """Play the next script."""
        script = self.scripts[min(len(self.prompts), len(self.scripts) - 1)]
        self.prompts.append(prompt)
        self._busy += 1
        self.most_at_once = max(self.most_at_once, self._busy)
        cancelled = asyncio.Event()
        said = 0
        try:
            with cancel.watched(cancelled.set):
                for index, piece in enumerate(script.pieces):
                    wait = script.piece_s if index else script.prefill_s
                    if await self._cancelled_within(wait, cancelled, script):
                        return Said("cancelled", LlmTokens(prompt=10, completion=said))
                    on_text(piece)
                    said += 1
                if script.error is not None:
                    raise script.error
        finally:
            self._busy -= 1
        tokens = LlmTokens(prompt=10, cached=5, completion=said)
        return Said("stop", tokens, script.prefill_s * 1000)

    @staticmethod
    async def _cancelled_within(
        seconds: float, cancelled: asyncio.Event, script: LlmScript
    ) -> bool:
        if script.deaf:
            await asyncio.sleep(seconds)
            return False
        try:
            async with asyncio.timeout(seconds):
                await cancelled.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Closed."""
        self.closed = True
