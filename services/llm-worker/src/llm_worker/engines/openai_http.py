"""Answers from an OpenAI-compatible server: Ollama, llama-server, vLLM and others.

The key goes into one header and nowhere else. What the server sends is
bounded and never trusted. A cancel closes the connection, which is what makes servers stop.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence

import httpx
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage
from parlour_kit.clock import Clock, LoopClock

from llm_worker.completions import Answer, error_of_status, estimate_tokens, request_body
from llm_worker.context import Messages, fit, reserve
from llm_worker.engine import CancelToken, Capabilities, Generation, Prompt, TextSink
from llm_worker.errors import (
    ServerError,
    ServerProtocolError,
    ServerSilentError,
    ServerUnreachableError,
)
from llm_worker.model_tokens import strip_messages
from llm_worker.sse import SseError, SseReader

CONNECT_S = 5.0
CHECK_S = 5.0


class OpenAiHttpEngine:
    """A model behind ``<base_url>/chat/completions``; see :class:`llm_worker.engine.Engine`.

    Args:
        config: the settings; ``base_url`` is set.
        clock: waits between retries.
    """

    def __init__(self, config: LLMWorkerConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or LoopClock()
        self._base = (config.base_url or "").rstrip("/")
        self._client: httpx.AsyncClient | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Estimated counts; whether a prefix is reused is the server's business."""
        return Capabilities(
            engine="openai",
            model=self._config.model,
            context_window=self._config.context_window,
            exact_tokens=False,
            reuses_prefix=False,
            cancels_prefill=True,
        )

    async def load(self) -> None:
        """Set up the client. The server may come later."""
        headers = {"Accept-Encoding": "identity"}
        if self._config.api_key is not None:
            headers["Authorization"] = f"Bearer {self._config.api_key}"
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs the URL of each request
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self._config.timeout_s, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=1),
            verify=await asyncio.to_thread(ssl.create_default_context),
            trust_env=False,  # a proxy of the machine must not see the conversation
        )

    async def prime(self, messages: Sequence[ChatMessage], cancel: CancelToken) -> None:
        """Nothing: the server keeps what it keeps."""

    async def check(self) -> None:
        """Ask the server for its models.

        Raises:
            ServerError: it cannot be reached, or refuses the key.
        """
        try:
            response = await self._ready().get(f"{self._base}/models", timeout=CHECK_S)
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        # Not every server lists its models; only these say that a request would fail.
        if response.status_code in (401, 403, 429) or response.status_code >= 500:
            raise error_of_status(response.status_code)

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def generate(self, prompt: Prompt, on_text: TextSink, cancel: CancelToken) -> Generation:
        """Continue the conversation; see the protocol."""
        fitted = fit(
            strip_messages(prompt.messages),
            self._config.context_window - reserve(self._config.context_window, prompt.max_tokens),
            estimate_tokens,
        )
        answer = Answer(dropped=fitted.dropped)

        def say(text: str) -> None:
            if not cancel.cancelled:  # more may have arrived than was wanted
                on_text(text)

        loop = asyncio.get_running_loop()
        work = loop.create_task(self._with_retries(prompt, fitted.messages, answer, say))
        with cancel.watched(lambda: loop.call_soon_threadsafe(work.cancel)):
            try:
                await asyncio.wait({work})
            finally:
                work.cancel()
                await asyncio.wait({work})
        error = None if work.cancelled() else work.exception()
        if cancel.cancelled or work.cancelled():
            return Generation("cancelled", answer.tokens())
        if error is not None:
            raise error
        return work.result()

    async def _with_retries(
        self,
        prompt: Prompt,
        messages: Messages,
        answer: Answer,
        on_text: TextSink,
    ) -> Generation:
        failures = 0
        while True:
            try:
                return await self._once(prompt, messages, answer, on_text)
            except ServerError as error:
                # What was said cannot be unsaid: a second attempt would say it again.
                if answer.chars or failures >= len(error.delays):
                    raise
                delay = error.delays[failures]
            failures += 1
            await self._clock.sleep(delay)

    async def _once(
        self,
        prompt: Prompt,
        messages: Messages,
        answer: Answer,
        on_text: TextSink,
    ) -> Generation:
        started, first = time.monotonic(), 0.0
        body = request_body(self._config.model, messages, prompt)
        reader = SseReader()
        try:
            async with self._ready().stream(
                "POST", f"{self._base}/chat/completions", json=body
            ) as response:
                if response.status_code != 200:
                    raise error_of_status(response.status_code)
                async for chunk in response.aiter_raw():
                    for data in reader.feed(chunk):
                        text = answer.take(data)
                        first = first or time.monotonic()
                        if text:
                            on_text(text)
                        if answer.over:
                            break
                    if answer.over:
                        break
        except SseError as error:
            raise ServerProtocolError(f"the server's stream is not usable: {error}") from None
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        if not answer.over and answer.finish_reason is None:
            raise ServerProtocolError("the server ended its stream before its answer")
        prefill_ms = (first - started) * 1000 if first else 0.0
        return Generation(answer.finish_reason or "stop", answer.tokens(), prefill_ms)

    def _ready(self) -> httpx.AsyncClient:
        if self._client is None:
            raise ServerUnreachableError("the engine is not loaded")
        return self._client


def _unreachable(error: httpx.HTTPError) -> ServerError:
    """The error for a failed exchange; httpx's own text may hold the address."""
    kind = type(error).__name__
    if isinstance(error, httpx.ReadTimeout):
        return ServerSilentError("the language model server was silent for too long")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ServerUnreachableError(f"no connection to the language model server ({kind})")
    if isinstance(error, httpx.ProtocolError):
        return ServerProtocolError(f"the language model server broke the protocol ({kind})")
    return ServerError(f"the exchange with the language model server failed ({kind})")
