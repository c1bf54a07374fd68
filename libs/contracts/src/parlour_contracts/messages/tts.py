"""Work for a voice, and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parlour_contracts.base import Ms, Name, Part, SpokenText, Uuid7, WireModel
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.turn import Revision

Sentence = Annotated[int, Field(ge=0, le=10_000)]


class TtsRequest(WireModel):
    """Speak one sentence of an utterance in a room.

    ``seq`` counts the sentences of the utterance from 0. ``last`` marks its last one; its text
    may be empty, which only closes the utterance. ``volume`` is a percentage of the
    configured loudness.
    """

    utterance_id: Uuid7
    session_id: Uuid7 | None = None
    turn_id: Uuid7 | None = None
    revision: Revision = 1
    seq: Sentence = 0
    last: bool = False
    text: SpokenText
    voice: Annotated[str, Field(max_length=100)] | None = None
    speed: Annotated[float, Field(ge=0.25, le=4)] | None = None
    volume: Annotated[int, Field(ge=0, le=200)] | None = None
    site: Name


class TtsCancel(WireModel):
    """Be silent: no frame of this utterance after those in flight."""

    utterance_id: Uuid7
    reason: Annotated[str, Field(max_length=100)]


class Word(Part):
    """A word and when it sounds, in milliseconds from the first sample of its sentence."""

    text: Annotated[str, Field(max_length=200)]
    start_ms: Ms
    end_ms: Ms


class TtsTimings(Part):
    """Where a tts-worker spent its time, in milliseconds."""

    queue_ms: Ms = 0
    first_audio_ms: Ms = 0
    total_ms: Ms = 0


class Speech(WireModel):
    """What happened to one sentence.

    ``started``: a worker took it. ``sentence``: its words and times are known and its audio is
    out. ``completed``: the utterance's last sentence is out. ``cancelled``, ``failed``: no more
    audio of it will come.
    """

    event: Literal["started", "sentence", "completed", "cancelled", "failed"]
    utterance_id: Uuid7
    turn_id: Uuid7 | None = None
    instance: Name
    seq: Sentence
    text: SpokenText = ""
    words: Annotated[list[Word], Field(max_length=5000)] = []
    words_estimated: bool = False
    duration_ms: Ms = 0
    timings: TtsTimings = TtsTimings()
    error: WireError | None = None
