"""Sessions and conversations as S1 describes them: for the gateway, pages and records.

On the wire every name is camelCase, in Python snake_case; what is optional is left out, never null.
Moments are whole Unix milliseconds (X8), ids UUIDv7 (X16).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from parlour_contracts.base import Language, Ms, Uuid7
from parlour_contracts.messages.room import ConversationState, SessionStatus
from parlour_contracts.messages.turn import Confidence

UnixMs = Annotated[int, Field(ge=0, le=8_640_000_000_000_000)]
"""A moment: milliseconds since 1970, as far as JavaScript's dates go."""

SessionRate = Literal[8000, 16000, 48000]
"""Samples a second of a session (X18)."""

Role = Literal["system", "user", "assistant"]
Count = Annotated[int, Field(ge=0)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Content = Annotated[str, Field(max_length=100_000)]


class Camel(BaseModel):
    """A model of S1: strict and closed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False,
        alias_generator=to_camel, populate_by_name=True,
    )  # fmt: skip

    def encode(self) -> bytes:
        """The bytes that go on the wire: JSON, UTF-8."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message.

        Raises:
            pydantic.ValidationError: the bytes are not this, or in snake_case.
        """
        return cls.model_validate_json(payload, by_alias=True, by_name=False)


# A session


class SessionAudio(Camel):
    """How a client's sound is coded."""

    sample_rate: SessionRate
    channels: Literal[1, 2]
    encoding: Literal["pcm", "ulaw"]


class SessionMetadata(Camel):
    """Who is at the other end (V007). ``user_agent`` is for development only."""

    client_type: Literal["browser", "twilio", "satellite"]
    audio_format: SessionAudio
    user_agent: Annotated[str, Field(max_length=500)] | None = None


class Session(Camel):
    """A session (V001 to V006): ``session_id`` is made by the server, ``socket_id`` names the
    connection or the satellite.
    """

    session_id: Uuid7
    socket_id: Id
    status: SessionStatus
    state: ConversationState
    sampling_rate: SessionRate
    language: Language
    created_at: UnixMs
    last_activity_at: UnixMs
    ended_at: UnixMs | None = None
    metadata: SessionMetadata


# A conversation


class MessageMetadata(Camel):
    """What the workers know of a message (V010); ``duration`` in milliseconds."""

    transcript_confidence: Confidence | None = None
    is_final: bool | None = None
    token_count: Count | None = None
    utterance_id: Uuid7 | None = None
    duration: Ms | None = None
    interrupted: bool | None = None


class ConversationMessage(Camel):
    """Something that was said (V009)."""

    message_id: Uuid7
    role: Role
    content: Annotated[Content, Field(min_length=1)]
    source: Literal["stt", "llm", "system"]
    timestamp: UnixMs
    metadata: MessageMetadata | None = None


class CallDetails(Camel):
    """When a conversation took place; ``duration`` in milliseconds."""

    started_at: UnixMs
    ended_at: UnixMs | None = None
    duration: Ms | None = None


class LlmChoice(Camel):
    """What answers."""

    model: Id
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_tokens: Annotated[int, Field(ge=1)] = 150
    system_prompt: Content


class TtsChoice(Camel):
    """What speaks; ``speed`` 1.0 is the voice's own."""

    voice_id: Id
    speed: Annotated[float, Field(gt=0, le=4)] = 1.0


class ConversationChoices(Camel):
    """With what a conversation is led; the values of live configuration."""

    llm: LlmChoice
    tts: TtsChoice


class ConversationMetrics(Camel):
    """How long each message waited at each stage, in milliseconds."""

    transcript_latency: list[Ms] = []
    llm_latency: list[Ms] = []
    tts_latency: list[Ms] = []


class ConversationContext(Camel):
    """A conversation with all that was said in it (V008)."""

    session_id: Uuid7
    messages: list[ConversationMessage]
    call_details: CallDetails
    config: ConversationChoices
    current_utterance_id: Uuid7 | None = None
    is_interrupted: bool = False
    metrics: ConversationMetrics | None = None


# Hearing


class TranscriptSegment(Camel):
    """A piece of a transcript (V019)."""

    text: Content
    confidence: Confidence
    is_final: bool
    timestamp: UnixMs


class SttChoice(Camel):
    """With what a session is heard (V015)."""

    sampling_rate: SessionRate = 16000
    language: Language = "en-US"
    model: Id


class SttCounts(Camel):
    """What a session's hearing has counted (V018)."""

    chunks_received: Count = 0
    chunks_forwarded: Count = 0
    transcripts_received: Count = 0
    errors: Count = 0
    reconnections: Count = 0


class STTSession(Camel):
    """How a session is heard (V013 to V018).

    ``engine`` names the engine that listens, null while none does; S1 has the handle of a hosted
    one there. ``accumulated_transcript`` is all of it so far, at most 50,000 characters (V054).
    Moments of what has not happened yet are 0.
    """

    session_id: Uuid7
    connection_id: Id
    engine: Id | None = None
    connection_state: Literal["connecting", "connected", "disconnected", "error"]
    accumulated_transcript: Annotated[str, Field(max_length=50_000)] = ""
    interim_transcript: Annotated[str, Field(max_length=50_000)] = ""
    last_transcript_time: UnixMs = 0
    transcript_segments: list[TranscriptSegment] = []
    config: SttChoice
    retry_count: Count = 0
    last_retry_time: UnixMs = 0
    reconnect_attempts: Count = 0
    created_at: UnixMs
    last_activity_at: UnixMs
    is_active: bool
    metrics: SttCounts = SttCounts()


# Messages of different kinds


class UserMessage(Camel):
    """What a person said, and how surely it was heard."""

    type: Literal["user"] = "user"
    content: Content
    confidence: Confidence


class AssistantMessage(Camel):
    """What was answered, and in how many tokens."""

    type: Literal["assistant"] = "assistant"
    content: Content
    token_count: Count


class SystemMessage(Camel):
    """What the system said."""

    type: Literal["system"] = "system"
    content: Content


Message = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="type")]
"""A message whose fields follow from its ``type`` (V028)."""

_MESSAGE: TypeAdapter[UserMessage | AssistantMessage | SystemMessage] = TypeAdapter(Message)


def decode_message(payload: bytes) -> UserMessage | AssistantMessage | SystemMessage:
    """Read a message of any kind.

    Raises:
        pydantic.ValidationError: the bytes are none.
    """
    return _MESSAGE.validate_json(payload, by_alias=True, by_name=False)
