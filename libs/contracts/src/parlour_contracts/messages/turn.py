"""A turn: opened by a satellite, claimed by a stt-worker, committed or aborted by the router."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parlour_contracts.base import Language, Ms, Name, Part, SpokenText, UtcTime, Uuid7, WireModel

Encoding = Literal["pcm", "ulaw"]
Rate = Literal[8000, 16000, 24000, 44100, 48000]
Revision = Annotated[int, Field(ge=1, le=1_000_000)]
Attempt = Annotated[int, Field(ge=1, le=100)]
MUTED = "MUTED"
"""Why a turn failed that nobody may listen to: its room stays silent, since nobody asked."""

Confidence = Annotated[float, Field(ge=0, le=1)]


class AudioFormat(Part):
    """How the frames of a turn are coded. One sample is 16-bit PCM or one µ-law byte."""

    rate: Rate = 16000
    channels: Literal[1, 2] = 1
    encoding: Encoding = "pcm"


class Wake(Part):
    """The wake word that opened the turn."""

    word: Annotated[str, Field(max_length=100)]
    confidence: Confidence


class TurnOpen(WireModel):
    """Somebody begins to speak: which worker will listen?"""

    turn_id: Uuid7
    attempt: Attempt = 1
    format: AudioFormat = AudioFormat()
    language: Language | None = None
    """None: the language of the room's settings."""
    wake: Wake | None = None
    client_type: Literal["satellite", "browser", "twilio", "cli"] = "satellite"
    opened_at: UtcTime


class TurnClaimed(WireModel):
    """The answer to an open turn: stream your frames to ``audio_topic``."""

    turn_id: Uuid7
    attempt: Attempt
    instance: Name
    audio_topic: Annotated[str, Field(max_length=300)]
    lease_ms: Annotated[int, Field(gt=0)]


class Segment(Part):
    """A piece of a transcript (V019); times in milliseconds from the first sample of the turn."""

    text: SpokenText
    start_ms: Ms
    end_ms: Ms
    confidence: Confidence


class SttTimings(Part):
    """Where a stt-worker spent its time, in milliseconds.

    ``endpoint_wait_ms``: from the last frame with speech to the decision that the turn is over.
    ``transcribe_ms``: the recogniser. ``audio_ms``: length of the audio given to it.
    """

    endpoint_wait_ms: Ms = 0
    transcribe_ms: Ms = 0
    audio_ms: Ms = 0


class Transcript(WireModel):
    """What was heard. Exactly one of ``final``, ``empty`` and ``failed`` ends a turn's hearing."""

    kind: Literal["partial", "soft_final", "final", "empty", "failed"]
    turn_id: Uuid7
    attempt: Attempt = 1
    revision: Revision = 1
    text: Annotated[str, Field(max_length=50_000)] = ""
    language: Language = "en-US"
    confidence: Confidence = 0.0
    is_final: bool = False
    segments: Annotated[list[Segment], Field(max_length=1000)] = []
    speech_start_ms: Ms | None = None
    speech_end_ms: Ms | None = None
    timings: SttTimings = SttTimings()
    reason: Annotated[str, Field(max_length=300)] | None = None


class TurnCommit(WireModel):
    """This revision stands: what was prepared for it may be heard."""

    turn_id: Uuid7
    revision: Revision
    reason: Annotated[str, Field(max_length=100)]


class TurnAbort(WireModel):
    """This revision, and each before it, is void: drop the work and play nothing of it."""

    turn_id: Uuid7
    revision: Revision
    reason: Annotated[str, Field(max_length=100)]
