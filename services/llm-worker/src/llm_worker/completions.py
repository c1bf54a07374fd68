"""The protocol of OpenAI-compatible servers: requests out, chunks in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from parlour_contracts.messages.llm import LlmTokens
from pydantic import TypeAdapter

from llm_worker.context import Messages
from llm_worker.engine import MAX_ANSWER_CHARS, Prompt
from llm_worker.errors import (
    ServerBusyError,
    ServerError,
    ServerProtocolError,
    ServerRefusedError,
    ServerUnavailableError,
)

BYTES_PER_TOKEN = 3
TOKENS_PER_MESSAGE = 6
"""The server counts; this estimate errs on the side of dropping a turn too many."""

_OBJECT = TypeAdapter(dict[str, Any])


def estimate_tokens(messages: Messages) -> int:
    """About how many tokens a prompt has, without knowing the server's tokeniser."""
    return sum(
        TOKENS_PER_MESSAGE + len(m.content.encode("utf-8", "replace")) // BYTES_PER_TOKEN
        for m in messages
    )


def request_body(model: str, messages: Messages, prompt: Prompt) -> dict[str, Any]:
    """The body of a streaming chat completion. The same conversation gives the same body."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.seed is not None:
        body["seed"] = prompt.seed
    return body


def error_of_status(status: int) -> ServerError:
    """What a status other than 200 means (V052). The body is not looked at: it may quote
    the prompt or the key.
    """
    text = f"the language model server answered with status {status}"
    if status == 429:
        return ServerBusyError(text, hint="the server limits requests; lower the load")
    if status == 503:
        return ServerUnavailableError(text, hint="the server is loading a model or overloaded")
    if status >= 500:
        return ServerError(text, hint="see the server's log")
    hints = {
        401: "check api_key",
        403: "check api_key and what it may do",
        404: "check base_url (up to and with /v1) and the model's name",
    }
    return ServerRefusedError(text, hint=hints.get(status, "see the server's log"))


@dataclass
class Answer:
    """What a server has said so far."""

    dropped: int = 0
    chunks: int = 0
    chars: int = 0
    finish_reason: Literal["stop", "length"] | None = None
    over: bool = False
    usage: LlmTokens | None = None

    def take(self, data: str) -> str:
        """The new text of one event.

        Raises:
            ServerProtocolError: the event is no chunk of a completion.
            ServerError: the server says that it failed.
        """
        if data.strip() == "[DONE]":
            self.over = True
            return ""
        try:
            event = _OBJECT.validate_json(data)
        except ValueError:
            raise ServerProtocolError("the server's stream holds no JSON objects") from None
        if event.get("error"):
            raise ServerError("the server failed in the middle of its answer", hint="see its log")
        self._note_usage(event.get("usage"))
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        return self._note_choice(choice) if isinstance(choice, dict) else ""

    def tokens(self) -> LlmTokens:
        """The server's own count, or else the number of chunks as that of the answer."""
        counted = self.usage or LlmTokens(completion=self.chunks)
        return counted.model_copy(update={"dropped_messages": self.dropped})

    def _note_choice(self, choice: dict[str, Any]) -> str:
        reason = choice.get("finish_reason")
        if reason is not None:
            self.finish_reason = "length" if reason == "length" else "stop"
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        if not isinstance(text, str) or not text:
            return ""
        if not self.chunks:
            text = text.lstrip()
        text = text[: MAX_ANSWER_CHARS - self.chars]
        if not text:
            return ""
        self.chunks += 1
        self.chars += len(text)
        if self.chars >= MAX_ANSWER_CHARS:
            self.finish_reason, self.over = "length", True
        return text

    def _note_usage(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        self.usage = LlmTokens(
            prompt=_count(prompt), cached=_count(cached), completion=_count(completion)
        )


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= 10_000_000 else 0
