"""The topic registry: every topic is declared here, once.

From it come the subscriptions, the broker's access list, the AsyncAPI document, the docs
table and the tests. A pattern holds named levels, ``voice/{site}/turn/open``; a name fills one
whole level. Writers and readers are services, or ``satellite`` (a room's own user), ``person``
(somebody with a broker account), ``homeassistant`` (the account of that name, which is no
person's), ``*`` (every process), ``own`` (every process, on the levels of its own service and
instance) and ``user`` (everybody, on the level of the own name).
"""

from __future__ import annotations

from typing import Any

from parlour_contracts.config_topics import (
    CONFIG,
    CONFIG_ACCEPTED,
    CONFIG_APPLIED,
    CONFIG_EVENT,
    CONFIG_KEYS,
    CONFIG_LEADER,
    CONFIG_REJECTED,
    CONFIG_REQUEST,
    CONFIG_STATE,
    HOME_ASSISTANT_DEVICE,
    HOME_ASSISTANT_STATUS,
    RESTART,
)
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health, SelfTest
from parlour_contracts.messages.llm import LlmCancel, LlmReply, LlmRequest
from parlour_contracts.messages.room import (
    Ask,
    BargeIn,
    Cancel,
    Playback,
    RoomState,
    Say,
    TurnLatency,
    TurnTrace,
)
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest
from parlour_contracts.messages.turn import Transcript, TurnAbort, TurnClaimed, TurnCommit, TurnOpen
from parlour_contracts.topic import (
    MAX_FRAME_BYTES,
    MAX_LLM_BYTES,
    BadTopicError,
    FrameTopic,
    Payload,
    Topic,
    TopicBase,
    strip_share,
)

__all__ = [
    "CONFIG", "CONFIG_ACCEPTED", "CONFIG_APPLIED", "CONFIG_EVENT", "CONFIG_KEYS", "CONFIG_LEADER",
    "CONFIG_REJECTED", "CONFIG_REQUEST", "CONFIG_STATE",
    "HOME_ASSISTANT_DEVICE", "HOME_ASSISTANT_STATUS", "RESTART",
    "BadTopicError", "FrameTopic", "Payload", "Topic", "TopicBase", "strip_share",
]  # fmt: skip


def _is_partial(message: Transcript) -> bool:
    return message.kind == "partial"


def _is_delta(message: LlmReply) -> bool:
    return message.kind == "delta"


TURN_OPEN = Topic(
    "turn_open",
    "voice/{site}/turn/open",
    1,
    retain=False,
    writers=("satellite", "person"),
    readers=("stt-worker",),
    shared="stt-worker",
    model=TurnOpen,
    summary="Somebody begins to speak; one stt-worker claims the turn.",
)
TURN_CLAIMED = Topic(
    "turn_claimed",
    "voice/{site}/turn/claimed",
    1,
    retain=False,
    writers=("stt-worker",),
    readers=("satellite", "router", "person"),
    model=TurnClaimed,
    summary="The worker that will listen, and where it takes the frames.",
)
STT_AUDIO = FrameTopic(
    "stt_audio",
    "stt/{instance}/audio/{site}/{turn_id}",
    0,
    retain=False,
    writers=("satellite", "person"),
    readers=("stt-worker",),
    max_bytes=MAX_FRAME_BYTES,
    properties=("seq", "rate", "channels", "encoding", "end"),
    summary="Microphone frames of 10 to 100 ms, straight to the claiming worker.",
)
TRANSCRIPT = Topic(
    "transcript",
    "voice/{site}/transcript",
    1,
    retain=False,
    writers=("stt-worker",),
    readers=("router", "satellite", "person"),
    max_bytes=262_144,
    model=Transcript,
    streaming=_is_partial,
    summary="What was heard: partial, soft_final, final, empty or failed.",
)
TURN_COMMIT = Topic(
    "turn_commit",
    "voice/{site}/turn/commit",
    1,
    retain=False,
    writers=("router",),
    readers=("stt-worker", "llm-worker", "tts-worker", "satellite", "person"),
    model=TurnCommit,
    summary="This revision of the turn stands.",
)
TURN_ABORT = Topic(
    "turn_abort",
    "voice/{site}/turn/abort",
    1,
    retain=False,
    writers=("router",),
    readers=("stt-worker", "llm-worker", "tts-worker", "satellite", "person"),
    model=TurnAbort,
    summary="This revision of the turn is void; drop its work.",
)
LLM_REQUEST = Topic(
    "llm_request",
    "llm/request",
    1,
    retain=False,
    writers=("router",),
    readers=("llm-worker",),
    shared="llm-worker",
    max_bytes=MAX_LLM_BYTES,
    model=LlmRequest,
    summary="A conversation to continue; one llm-worker takes it.",
)
LLM_CANCEL = Topic(
    "llm_cancel",
    "llm/{instance}/cancel",
    1,
    retain=False,
    writers=("router",),
    readers=("llm-worker",),
    model=LlmCancel,
    summary="Stop this request within one token.",
)
LLM_REPLY = Topic(
    "llm_reply",
    "llm/reply/{instance}",
    1,
    retain=False,
    writers=("llm-worker",),
    readers=("router",),
    max_bytes=MAX_LLM_BYTES,
    model=LlmReply,
    streaming=_is_delta,
    summary="The stream of an answer, to the router that asked.",
)
TTS_REQUEST = Topic(
    "tts_request",
    "tts/request",
    1,
    retain=False,
    writers=("router", "person"),
    readers=("tts-worker",),
    shared="tts-worker",
    model=TtsRequest,
    summary="A sentence to speak in a room; one tts-worker takes it.",
)
TTS_CANCEL = Topic(
    "tts_cancel",
    "tts/{instance}/cancel",
    1,
    retain=False,
    writers=("router",),
    readers=("tts-worker",),
    model=TtsCancel,
    summary="Stop this utterance.",
)
AUDIO_OUT = FrameTopic(
    "audio_out",
    "voice/{site}/audio/out/{utterance_id}",
    0,
    retain=False,
    writers=("tts-worker",),
    readers=("satellite", "person"),
    max_bytes=MAX_FRAME_BYTES,
    properties=("seq", "rate", "start_ms", "sentence", "end", "last"),
    summary="The voice of the reply: raw little-endian PCM16, mono.",
)
SPEECH = Topic(
    "speech",
    "voice/{site}/speech",
    1,
    retain=False,
    writers=("tts-worker",),
    readers=("router", "satellite", "person"),
    max_bytes=262_144,
    model=Speech,
    summary="What happened to a sentence, with the times of its words.",
)
PLAYBACK = Topic(
    "playback",
    "voice/{site}/playback",
    1,
    retain=False,
    writers=("satellite", "person"),
    readers=("router",),
    model=Playback,
    summary="How far the loudspeaker is.",
)
BARGE_IN = Topic(
    "barge_in",
    "voice/{site}/barge-in",
    1,
    retain=False,
    writers=("satellite", "stt-worker"),
    readers=("router",),
    model=BargeIn,
    summary="Somebody speaks over the reply.",
)
ROOM_STATE = Topic(
    "room_state",
    "voice/{site}/state",
    1,
    retain=True,
    writers=("router",),
    readers=("satellite", "router", "person"),
    model=RoomState,
    summary="Where the conversation of the room stands.",
)
TURN_TRACE = Topic(
    "turn_trace",
    "voice/{site}/turn/trace",
    1,
    retain=False,
    writers=("router",),
    readers=("satellite", "person"),
    max_bytes=262_144,
    model=TurnTrace,
    summary="The waterfall of a finished turn.",
)
TURN_LATENCY = Topic(
    "turn_latency",
    "voice/{site}/turn/latency",
    1,
    retain=False,
    writers=("router",),
    readers=("satellite", "person", "homeassistant"),
    model=TurnLatency,
    summary="How long a finished turn took; nothing of what was said.",
)
SAY = Topic(
    "say",
    "voice/{site}/say",
    1,
    retain=False,
    writers=("person",),
    readers=("router",),
    model=Say,
    summary="Speak this in the room; plain text or JSON.",
)
ASK = Topic(
    "ask",
    "voice/{site}/ask",
    1,
    retain=False,
    writers=("person",),
    readers=("router",),
    model=Ask,
    summary="Answer this in the room; plain text or JSON.",
)
CANCEL = Topic(
    "cancel",
    "voice/{site}/cancel",
    1,
    retain=False,
    writers=("person", "satellite"),
    readers=("router", "satellite"),
    model=Cancel,
    summary="Stop the room; the payload may be empty.",
)
CONFIG_HEALTH = Topic(
    "config_health",
    "system/health/config-manager",
    1,
    retain=True,
    writers=("config-manager",),
    readers=("*", "person", "homeassistant"),
    model=ConfigHealthPayload,
    summary="The health of config-manager.",
)
HEALTH = Topic(
    "health",
    "system/health/{instance}",
    1,
    retain=True,
    writers=("*",),
    readers=("config-manager", "router", "satellite", "person", "homeassistant"),
    model=Health,
    summary="The health of a process; also its last will.",
)
SELF_TEST = Topic(
    "self_test",
    "system/selftest/{instance}",
    1,
    retain=False,
    writers=("*",),
    readers=("*",),
    model=SelfTest,
    summary="A process's watchdog, to itself.",
)

TOPICS: tuple[TopicBase, ...] = (
    TURN_OPEN, TURN_CLAIMED, STT_AUDIO, TRANSCRIPT, TURN_COMMIT, TURN_ABORT,
    LLM_REQUEST, LLM_CANCEL, LLM_REPLY,
    TTS_REQUEST, TTS_CANCEL, AUDIO_OUT, SPEECH,
    PLAYBACK, BARGE_IN, ROOM_STATE, TURN_TRACE, TURN_LATENCY, SAY, ASK, CANCEL,
    CONFIG, CONFIG_REQUEST, CONFIG_ACCEPTED, CONFIG_REJECTED, CONFIG_APPLIED, CONFIG_KEYS,
    CONFIG_LEADER, CONFIG_EVENT, RESTART,
    CONFIG_STATE, HOME_ASSISTANT_DEVICE, HOME_ASSISTANT_STATUS,
    CONFIG_HEALTH, HEALTH, SELF_TEST,
)  # fmt: skip


def find(topic: str) -> TopicBase | None:
    """The registered topic that these levels belong to, or None."""
    return next((t for t in TOPICS if t.parse(topic) is not None), None)


def models() -> tuple[type[Any], ...]:
    """Every payload model of the registry, each once."""
    return tuple(dict.fromkeys(t.model for t in TOPICS if isinstance(t, Topic)))
