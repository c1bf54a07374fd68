"""What a room is, does and hears."""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError

from parlour_contracts.base import (
    MAX_SPOKEN,
    Ms,
    Part,
    SpokenText,
    UtcTime,
    Uuid7,
    WireModel,
)
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.turn import Confidence, Revision
from parlour_contracts.validation.text import clean_characters, decode_text, is_blank

ConversationState = Literal[
    "INITIALIZING", "LISTENING", "THINKING", "RESPONDING", "INTERRUPTED", "ENDED"
]
SessionStatus = Literal["idle", "active", "ended"]


class Playback(WireModel):
    """How far the loudspeaker of a room is with an utterance."""

    utterance_id: Uuid7
    event: Literal["started", "position", "finished", "stopped"]
    played_ms: Ms = 0


class BargeIn(WireModel):
    """Somebody speaks over the reply."""

    utterance_id: Uuid7
    played_ms: Ms
    confidence: Confidence
    speech_ms: Ms


class RoomState(WireModel):
    """Where the conversation of a room stands. Retained."""

    session_id: Uuid7 | None = None
    status: SessionStatus
    state: ConversationState
    since: UtcTime
    turn_id: Uuid7 | None = None
    utterance_id: Uuid7 | None = None


class TurnTimings(Part):
    """The waterfall of a turn as its router saw it, in milliseconds; null where it did not occur.

    Each duration starts where the one before ends, on the router's monotonic clock.
    """

    endpoint_wait_ms: Ms | None = None
    transcribe_ms: Ms | None = None
    final_to_first_token_ms: Ms | None = None
    first_token_to_first_sentence_ms: Ms | None = None
    first_sentence_to_first_audio_ms: Ms | None = None
    final_to_end_ms: Ms | None = None


class TurnTrace(WireModel):
    """All that is known of a finished turn, in one message."""

    turn_id: Uuid7
    session_id: Uuid7
    revision: Revision = 1
    utterance_id: Uuid7 | None = None
    outcome: Literal["replied", "empty", "cancelled", "failed"]
    transcript: Annotated[str, Field(max_length=50_000)] = ""
    reply: Annotated[str, Field(max_length=100_000)] = ""
    sentences: Annotated[int, Field(ge=0)] = 0
    timings: TurnTimings = TurnTimings()
    workers: dict[str, str] = {}
    error: WireError | None = None


class TurnLatency(WireModel):
    """How long a finished turn took, without a word of it: for whoever may count but not listen."""

    turn_id: Uuid7
    outcome: Literal["replied", "empty", "cancelled", "failed"]
    timings: TurnTimings = TurnTimings()


def _readable(text: str) -> str:
    clean = clean_characters(text)
    if is_blank(clean):
        raise ValueError("there is nothing to read")
    if len(clean) > MAX_SPOKEN:  # form C has more characters than some texts
        raise ValueError(f"there are more than {MAX_SPOKEN} characters")
    return clean


class PlainText(WireModel):
    """A message that a person may send as bare text instead of JSON.

    Its text comes out in form C and without control characters (H050).
    """

    text: Annotated[SpokenText, Field(min_length=1), AfterValidator(_readable)]

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message; what is not a JSON object is taken as the text.

        Raises:
            pydantic.ValidationError: the bytes are neither this message nor usable text.
        """
        whole = decode_text(payload)
        try:
            return cls.model_validate_json(whole)
        except ValidationError:
            try:
                parsed = json.loads(whole)
            except (ValueError, RecursionError):  # the latter: thousands of brackets
                parsed = None
            if isinstance(parsed, dict):
                raise
            return cls(text=parsed if isinstance(parsed, str) else whole.strip())


class Say(PlainText):
    """Speak this in the room, behind a reply that is running."""

    voice: Annotated[str, Field(max_length=100)] | None = None
    volume: Annotated[int, Field(ge=0, le=200)] | None = None


class Ask(PlainText):
    """A turn without audio: answer this."""

    turn_id: Uuid7 | None = None


class Cancel(WireModel):
    """Stop the room: whatever it says or thinks."""

    reason: Annotated[str, Field(max_length=100)] = "person"

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message; an empty payload is a plain cancel."""
        return cls.model_validate_json(payload) if payload.strip() else cls()
