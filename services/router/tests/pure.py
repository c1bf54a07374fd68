"""A room without a bus: a clock to turn by hand, and the messages that come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmCancel, LlmReply, LlmRequest, WireError
from parlour_contracts.messages.room import BargeIn, Playback, RoomState, TurnTrace
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest
from parlour_contracts.messages.turn import Transcript, TurnClaimed
from parlour_kit.ids import new_id
from router.ambient import Ambient, Publish
from router.room import Room
from router.states import Transition
from router.workers import Workers


@dataclass
class Bench:
    """A room and all that it has sent."""

    config: RouterConfig = field(default_factory=RouterConfig)
    now: float = 100.0
    sent: list[Any] = field(default_factory=list)
    steps: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = Workers(lambda: self.now)
        ambient = Ambient(
            lambda: self.now, lambda: "2026-01-01T00:00:00.000000Z", new_id, self.workers, "router"
        )
        self.room = Room(
            "kitchen", self.config, ambient, lambda _site, _session, step: self.steps.append(step)
        )

    def take(self, messages: list[Publish]) -> None:
        for publish in messages:
            publish.topic.topic(**publish.params)
            assert len(publish.message.encode()) <= publish.topic.max_bytes
        self.sent += [m.message for m in messages]

    def wait(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + seconds
        for _ in range(1000):
            due = self.room.deadline
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.take(self.room.tick())
        else:
            raise AssertionError("the room ticks without end")
        self.now = end

    def ask(self, text: str = "Sun?") -> str:
        turn_id = new_id()
        self.take(self.room.ask(text, turn_id))
        return turn_id

    def claim(self, turn_id: str | None = None) -> str:
        """A stt-worker listens to a turn."""
        turn_id = turn_id or new_id()
        claim = TurnClaimed(
            turn_id=turn_id, attempt=1, instance="stt-worker", audio_topic="a", lease_ms=5000
        )
        self.take(self.room.claimed(claim))
        return turn_id

    def hear(self, text: str, turn_id: str | None = None, kind: str = "final") -> str:
        """A stt-worker has understood a turn, or nothing of it."""
        turn_id = turn_id or self.claim()
        told = {"kind": kind, "turn_id": turn_id, "text": text}
        self.take(self.room.transcript(Transcript.model_validate(told)))
        return turn_id

    def barge_in(
        self, played_ms: float, *, utterance_id: str = "", confidence: float = 0.9,
        speech_ms: float = 250.0,
    ) -> None:  # fmt: skip
        """Somebody speaks over what is said."""
        report = BargeIn(
            utterance_id=utterance_id or self.sentences[-1].utterance_id,
            played_ms=played_ms, confidence=confidence, speech_ms=speech_ms,
        )  # fmt: skip
        self.take(self.room.barge_in(report))

    def played(self, event: str, played_ms: float) -> None:
        """The loudspeaker says how far it is."""
        said = {"utterance_id": self.sentences[-1].utterance_id, "event": event,
                "played_ms": played_ms}  # fmt: skip
        self.take(self.room.playback(Playback.model_validate(said)))

    def reply(self, kind: str, request: LlmRequest | None = None, **fields: Any) -> None:
        request_id = (request or self.requests[-1]).request_id
        instance = fields.pop("instance", "llm-worker")
        reply = {"kind": kind, "request_id": request_id, "instance": instance} | fields
        self.take(self.room.reply(LlmReply.model_validate(reply)))

    def answer(self, text: str) -> None:
        self.reply("claimed")
        self.reply("delta", seq=0, delta=text)
        self.reply("done", text=text, finish_reason="stop")

    def speech(self, request: TtsRequest, event: str = "sentence", **fields: Any) -> None:
        speech = {
            "event": event,
            "utterance_id": request.utterance_id,
            "instance": "tts-worker",
            "seq": request.seq,
        }
        if event == "sentence":
            speech["duration_ms"] = 1000.0
        if event == "failed":
            speech["error"] = WireError(code="TTS_BROKEN", message="scripted")
        self.take(self.room.speech(Speech.model_validate(speech | fields)))

    def speak_all(self) -> None:
        for request in self.sentences:
            self.speech(request, "sentence" if request.text else "completed")

    def of(self, kind: type[Any]) -> list[Any]:
        return [m for m in self.sent if isinstance(m, kind)]

    @property
    def requests(self) -> list[LlmRequest]:
        return self.of(LlmRequest)

    @property
    def sentences(self) -> list[TtsRequest]:
        return self.of(TtsRequest)

    @property
    def traces(self) -> list[TurnTrace]:
        return self.of(TurnTrace)

    @property
    def cancels(self) -> list[LlmCancel | TtsCancel]:
        return [*self.of(LlmCancel), *self.of(TtsCancel)]

    @property
    def state(self) -> RoomState:
        states = self.of(RoomState)
        assert states
        return states[-1]
