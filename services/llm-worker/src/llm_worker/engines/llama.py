"""Answers with llama.cpp in this process.

A prompt is compared with what the KV cache holds and only what follows the longest common
beginning is computed (llama-cpp-python #158, #1369): across the turns of a session that is
the new question. A cancel stops a running batch, because llama.cpp asks before every node of
its graph whether to go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage, LlmTokens

from llm_worker.context import Fitted, fit, reserve
from llm_worker.cores import physical_cores
from llm_worker.engine import (
    MAX_ANSWER_CHARS,
    CancelToken,
    Capabilities,
    Generation,
    Prompt,
    TextSink,
)
from llm_worker.engine_thread import EngineThread
from llm_worker.engines.llama_native import AbortedError, LlamaNative
from llm_worker.engines.llama_template import make_template
from llm_worker.errors import EngineFailedError
from llm_worker.model_tokens import strip_messages
from llm_worker.pieces import AnswerText
from llm_worker.prompting import Renderer, choose_renderer

Finish = Literal["stop", "length", "cancelled"]


class LlamaEngine:
    """One GGUF model; see :class:`llm_worker.engine.Engine`.

    Args:
        config: the settings; those marked ``reload`` are read here and in :meth:`load`.
        locate: finds the model's file, verified; may raise a ParlourError.
    """

    def __init__(self, config: LLMWorkerConfig, locate: Callable[[], Path]) -> None:
        self._config = config
        self._locate = locate
        self._thread = EngineThread("llama")
        self._native: LlamaNative | None = None
        self._renderer = Renderer("plain", None)
        self._special: tuple[str, ...] = ()

    @property
    def capabilities(self) -> Capabilities:
        """Exact counts, prefix reuse and cancel during prefill."""
        return Capabilities(
            engine="llama",
            model=self._config.model,
            context_window=self._native.window if self._native else self._config.context_window,
            exact_tokens=True,
            reuses_prefix=True,
            cancels_prefill=True,
        )

    async def load(self) -> None:
        """Find, verify and load the model; see the protocol for what is raised."""
        await self._thread.run(self._load)

    async def prime(self, messages: Sequence[ChatMessage], cancel: CancelToken) -> None:
        """Compute the head of coming prompts: their system messages."""
        await self._thread.run(lambda: self._prime(messages, cancel), cancel)

    async def generate(self, prompt: Prompt, on_text: TextSink, cancel: CancelToken) -> Generation:
        """Continue the conversation; see the protocol."""
        emit = self._thread.to_loop(on_text)
        return await self._thread.run(lambda: self._generate(prompt, emit, cancel), cancel)

    async def check(self) -> None:
        """A loaded model can answer.

        Raises:
            EngineFailedError: there is none.
        """
        self._loaded()

    async def close(self) -> None:
        """Free the model."""
        native, self._native = self._native, None
        if native is not None:
            native.abort()
            await self._thread.run(native.close)
        self._thread.close()

    # What follows runs in the engine's thread.

    def _loaded(self) -> LlamaNative:
        if self._native is None:
            raise EngineFailedError("no model is loaded")
        return self._native

    def _load(self) -> None:
        config = self._config
        native = LlamaNative(
            self._locate(), config.context_window, config.batch, config.threads or physical_cores()
        )
        source = native.template
        template = make_template(source, native.begin, native.end) if source else None
        self._renderer = choose_renderer(template)
        self._special = native.special_tokens()
        self._native = native

    def _tokens(self, messages: Sequence[ChatMessage], cancel: CancelToken) -> list[int]:
        if cancel.cancelled:
            raise AbortedError
        native = self._loaded()
        text = self._renderer.render(messages)
        # Many templates write the begin token themselves; two of them confuse a model.
        written = bool(native.begin) and text.startswith(native.begin)
        return native.tokenize(text, add_special=not written)

    def _prime(self, messages: Sequence[ChatMessage], cancel: CancelToken) -> None:
        native = self._loaded()
        native.rearm()
        with cancel.watched(native.abort):
            # Some templates cannot render a system prompt without a question.
            question = ChatMessage(role="user", content=".")
            try:
                tokens = self._tokens((*messages, question), cancel)[: native.window]
                native.compute(tokens[self._keep(native, tokens) :])
            except AbortedError:
                return

    def _generate(self, prompt: Prompt, emit: TextSink, cancel: CancelToken) -> Generation:
        native = self._loaded()
        native.rearm()
        started = time.monotonic()
        run = _Run()
        with cancel.watched(native.abort):
            try:
                fitted = self._fit(prompt, native.window, cancel)
                tokens = self._tokens(fitted.messages, cancel)
                run.prompt, run.dropped = len(tokens), fitted.dropped
                run.cached = self._keep(native, tokens)
                native.compute(tokens[run.cached :])
                run.prefill_ms = (time.monotonic() - started) * 1000
                return self._answer(native, prompt, run, emit, cancel)
            except AbortedError:
                return run.generation("cancelled")

    def _fit(self, prompt: Prompt, window: int, cancel: CancelToken) -> Fitted:
        return fit(
            strip_messages(prompt.messages, self._special),
            window - reserve(window, prompt.max_tokens),
            lambda messages: len(self._tokens(messages, cancel)),
        )

    @staticmethod
    def _keep(native: LlamaNative, tokens: Sequence[int]) -> int:
        """Leave in the cache what these tokens begin with; returns how many that are."""
        # The last one is always computed: what follows is sampled from its result.
        return native.rewind(min(common_prefix(native.cached, tokens), len(tokens) - 1))

    def _answer(
        self, native: LlamaNative, prompt: Prompt, run: _Run, emit: TextSink, cancel: CancelToken
    ) -> Generation:
        answer = AnswerText(self._renderer.stops)
        limit = min(prompt.max_tokens, native.window - run.prompt)
        with native.sampler(prompt.temperature, prompt.top_p, prompt.seed) as sampler:
            while True:
                if cancel.cancelled:
                    return run.generation("cancelled")
                token = native.sample(sampler)
                if native.is_end(token):
                    break
                run.completion += 1
                if text := answer.feed(native.bytes_of(token)):
                    emit(text)
                if answer.stopped:
                    break
                if run.completion >= limit or answer.chars >= MAX_ANSWER_CHARS - 1000:
                    _give(answer.finish(), emit)
                    return run.generation("length")
                native.compute([token])
        _give(answer.finish(), emit)
        return run.generation("stop")


class _Run:
    """What one answer has cost so far."""

    prompt = 0
    cached = 0
    completion = 0
    dropped = 0
    prefill_ms = 0.0

    def generation(self, finish_reason: Finish) -> Generation:
        return Generation(
            finish_reason=finish_reason,
            tokens=LlmTokens(
                prompt=self.prompt,
                cached=self.cached,
                completion=self.completion,
                dropped_messages=self.dropped,
            ),
            prefill_ms=self.prefill_ms,
        )


def _give(text: str, emit: TextSink) -> None:
    if text:
        emit(text)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    length = min(len(left), len(right))
    return next((i for i in range(length) if left[i] != right[i]), length)
