"""Work for a language model and the stream of its answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parlour_contracts.base import JsonObject, Ms, Name, Part, Uuid7, WireModel
from parlour_contracts.messages.turn import Attempt, Revision

Text = Annotated[str, Field(max_length=100_000)]
FinishReason = Literal["stop", "length", "cancelled", "error"]


class ChatMessage(Part):
    """One message of a conversation, as chat templates know it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text


class LlmParams(Part):
    """Limits of one generation; null means: as the worker is configured."""

    max_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31)] | None = None


class LlmRequest(WireModel):
    """Continue this conversation and stream the answer to ``reply_topic``."""

    request_id: Uuid7
    session_id: Uuid7
    turn_id: Uuid7
    revision: Revision = 1
    attempt: Attempt = 1
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=200)]
    tools: Annotated[list[JsonObject], Field(max_length=64)] = []
    params: LlmParams = LlmParams()
    reply_topic: Annotated[str, Field(pattern=r"^llm/reply/[a-z][a-z0-9-]{0,62}$")]


class LlmCancel(WireModel):
    """Stop within one token; during prefill, within one batch."""

    request_id: Uuid7
    reason: Annotated[str, Field(max_length=100)]


class LlmTimings(Part):
    """Where a llm-worker spent its time, in milliseconds."""

    queue_ms: Ms = 0
    prefill_ms: Ms = 0
    first_token_ms: Ms = 0
    total_ms: Ms = 0


class LlmTokens(Part):
    """Token counts of a request. ``cached`` tokens of the prompt were not computed again."""

    prompt: Annotated[int, Field(ge=0)] = 0
    cached: Annotated[int, Field(ge=0)] = 0
    completion: Annotated[int, Field(ge=0)] = 0
    dropped_messages: Annotated[int, Field(ge=0)] = 0


class WireError(Part):
    """A failure that travels: a stable code, a sentence, and what the operator can do."""

    code: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
    message: Annotated[str, Field(max_length=500)]
    retryable: bool = False
    hint: Annotated[str, Field(max_length=500)] = ""


class LlmReply(WireModel):
    """One step of an answer.

    ``claimed`` names the worker; each ``delta`` carries new text and a ``seq`` without gaps;
    ``done`` and ``failed`` end the stream. ``done`` repeats the whole text, so that a lost
    delta loses nothing.
    """

    kind: Literal["claimed", "delta", "done", "failed"]
    request_id: Uuid7
    revision: Revision = 1
    instance: Name
    seq: Annotated[int, Field(ge=0)] = 0
    delta: Text = ""
    done: bool = False
    text: Text | None = None
    finish_reason: FinishReason | None = None
    tokens: LlmTokens = LlmTokens()
    timings: LlmTimings = LlmTimings()
    error: WireError | None = None
