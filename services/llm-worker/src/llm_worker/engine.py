"""What llm-worker asks of a language model, and the values that go in and out.

An engine is two calls: :meth:`Engine.generate` streams text and returns what it cost,
:meth:`Engine.prime` computes the fixed head of coming prompts ahead of time. Everything is
driven from asyncio; an engine that blocks does so in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage, LlmTokens

MAX_ANSWER_CHARS = 100_000
"""What one reply message may carry; longer answers end with ``length``."""

TextSink = Callable[[str], None]
"""Takes the next piece of an answer; called on the event loop, in order, never blocks."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine is, as data.

    Attributes:
        engine: short name of the engine.
        model: name of the model, as configured.
        context_window: tokens of prompt and answer together.
        exact_tokens: token counts are the model's own, not an estimate.
        reuses_prefix: a prompt that begins like the one before costs only its new part.
        cancels_prefill: a cancel is obeyed while the prompt is computed.
    """

    engine: str
    model: str
    context_window: int
    exact_tokens: bool
    reuses_prefix: bool
    cancels_prefill: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to continue and the limits of the answer."""

    messages: tuple[ChatMessage, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """How an answer ended and what it cost; ``prefill_ms`` is the time of the prompt."""

    finish_reason: Literal["stop", "length", "cancelled"]
    tokens: LlmTokens
    prefill_ms: float = 0.0


class CancelToken:
    """Says once, from any thread, that a piece of work is no longer wanted."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._watchers: list[Callable[[], object]] = []
        self._reason: str | None = None

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled."""
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """Why; the first reason stands."""
        return self._reason

    def cancel(self, reason: str) -> None:
        """Cancel; later calls change nothing."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            for watcher in self._watchers:
                watcher()

    @contextmanager
    def watched(self, watcher: Callable[[], object]) -> Iterator[None]:
        """Call ``watcher`` when cancelled, at once if that has happened.

        The watcher must be quick. It runs under the token's lock: once this context is left
        it is not running and never will be, so it cannot hit the work that comes next.
        """
        with self._lock:
            self._watchers.append(watcher)
            if self.cancelled:
                watcher()
        try:
            yield
        finally:
            with self._lock:
                self._watchers.remove(watcher)


class Engine(Protocol):
    """A language model. One call at a time; the caller queues."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine is; complete once loaded."""
        ...

    async def load(self) -> None:
        """Make ready to answer.

        Raises:
            ParlourError: the model, its library or the server's key is missing or broken.
        """
        ...

    async def prime(self, messages: Sequence[ChatMessage], cancel: CancelToken) -> None:
        """Compute the head that coming prompts share, where the engine can keep it.

        Raises:
            EngineFailedError: the engine broke.
        """
        ...

    async def generate(self, prompt: Prompt, on_text: TextSink, cancel: CancelToken) -> Generation:
        """Continue the conversation.

        Text comes through ``on_text``; no call is made after this returns. A cancel ends it
        within one token, where ``cancels_prefill`` also within one batch of the prompt, and
        is no error: the result says ``cancelled``.

        Raises:
            ContextTooLongError: what must stay in the prompt does not fit.
            LlmError: the engine or the server failed.
        """
        ...

    async def check(self) -> None:
        """Find out cheaply whether an answer would be possible now.

        Raises:
            LlmError: it would not.
        """
        ...

    async def close(self) -> None:
        """Free everything; safe to call twice."""
        ...


def engine_key(config: LLMWorkerConfig) -> tuple[object, ...]:
    """What an engine is made of: settings with the same key need no other engine.

    It may hold a secret; compare it, and do not print it.
    """
    if config.backend == "openai":
        return (
            "openai", config.model, config.base_url, config.api_key,
            config.context_window, config.timeout_s,
        )  # fmt: skip
    return ("llama", config.model, config.context_window, config.threads, config.batch)
