"""A room without a bus: a clock to turn by hand, and the messages that come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmCancel, LlmReply, LlmRequest, WireError
from parlour_contracts.messages.room import RoomState, TurnTrace
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest
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
