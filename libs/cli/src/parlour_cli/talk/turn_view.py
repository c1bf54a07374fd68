"""What one turn looks like from outside: messages in, a view and notes for people out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.room import RoomState, TurnTrace
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import Transcript

from parlour_cli.talk.timings import Timings, measure

Happening = Transcript | Speech | RoomState | TurnTrace
NoteKind = Literal["partial", "heard", "thinking", "sentence", "failed"]


def _error(code: str, message: str, hint: str = "") -> WireError:
    return WireError(code=code, message=message, hint=hint)


_EMPTY = _error("EMPTY", "nothing intelligible was heard", "speak louder or nearer")
_CANCELLED = _error("CANCELLED", "the turn was cancelled")
_FAILED = _error("REPLY_FAILED", "no answer could be made", "parlour doctor looks for the cause")
_SILENT = _error(
    "SILENT_REPLY", "the answer was made but no sound of it arrived", "see the log of tts-worker"
)
_UNFINISHED = _error(
    "TURN_UNFINISHED",
    "the fleet never said how the turn ended",
    "the router may have been restarted; ask again",
)


@dataclass(frozen=True)
class Note:
    """Something worth showing to the person who waits."""

    kind: NoteKind
    text: str = ""


@dataclass
class TurnView:
    """The story of a turn; times are seconds of the caller's clock.

    Attributes:
        attempt: the ``open`` that counts; a failure of an earlier one is no news.
        final_at: when the transcript was final, or a typed question was sent.
        speech_end_at: when the last frame with speech was sent.
        utterances: the utterances that belong to the turn, in order.
    """

    turn_id: str
    attempt: int = 1
    session_id: str | None = None
    heard: Transcript | None = None
    partial: str = ""
    final_at: float | None = None
    speech_end_at: float | None = None
    trace: TurnTrace | None = None
    trace_at: float | None = None
    utterances: list[str] = field(default_factory=list)
    last_news_at: float | None = None
    _sentences: dict[tuple[int, int], str] = field(default_factory=dict)
    _shown: set[tuple[int, int]] = field(default_factory=set)
    _failures: list[WireError] = field(default_factory=list)

    def see(self, happening: Happening, now: float) -> list[Note]:
        """Take a message of the room in; what concerns another turn changes nothing."""
        if happening.turn_id != self.turn_id:
            return []
        self.last_news_at = now
        match happening:
            case Transcript():
                return self._transcript(happening, now)
            case Speech():
                return self._speech(happening)
            case RoomState():
                return self._state(happening)
            case TurnTrace():
                return self._traced(happening, now)

    @property
    def transcript(self) -> str:
        """What the fleet understood."""
        if self.heard is not None and self.heard.kind == "final":
            return self.heard.text
        return self.trace.transcript if self.trace is not None else ""

    @property
    def reply(self) -> str:
        """What was spoken, its sentences in order."""
        return " ".join(self._sentences[key] for key in sorted(self._sentences))

    def timings(self, audible_at: float | None) -> Timings:
        """The waterfall, given when the reply's first audible sample is heard."""
        if self.trace is None:
            return Timings()
        return measure(
            speech_end=self.speech_end_at, final=self.final_at, audible=audible_at,
            router=self.trace.timings,
        )  # fmt: skip

    def error(self, *, audible: bool) -> WireError | None:
        """Why this turn is no answered question; None when it is one.

        Args:
            audible: whether sound of the reply was received.
        """
        trace = self.trace
        if trace is None:
            return self._unfinished()
        if trace.outcome == "replied":
            wanted_silence = not trace.sentences and not trace.reply
            if audible or (wanted_silence and not self._failures):
                return None
            return self._failures[-1] if self._failures else _SILENT
        known = {"empty": _EMPTY, "cancelled": _CANCELLED}
        return known.get(trace.outcome) or trace.error or _FAILED

    def _unfinished(self) -> WireError:
        """Why a turn has no end."""
        heard = self.heard
        if heard is not None and heard.kind == "empty":
            return _EMPTY
        if heard is not None and heard.kind == "failed":
            return _error("HEARING_FAILED", heard.reason or "the question was not heard",
                          "ask again")  # fmt: skip
        return _UNFINISHED

    def _transcript(self, message: Transcript, now: float) -> list[Note]:
        if self.heard is not None or message.attempt > self.attempt:
            return []
        if message.kind in ("partial", "soft_final"):
            self.partial = message.text
            return [Note("partial", message.text)]
        if message.kind == "failed" and message.attempt != self.attempt:
            return []
        self.heard, self.final_at = message, now
        return [Note("heard", message.text)] if message.kind == "final" else []

    def _speech(self, message: Speech) -> list[Note]:
        self._utterance(message.utterance_id)
        if message.event == "failed" and message.error is not None:
            self._failures.append(message.error)
            return [Note("failed", message.error.message)]
        key = (self.utterances.index(message.utterance_id), message.seq)
        text = message.text.strip()
        if message.event not in ("started", "sentence") or not text:
            return []
        if message.event == "sentence":
            self._sentences.setdefault(key, text)
        if key in self._shown:
            return []
        self._shown.add(key)
        return [Note("sentence", text)]

    def _state(self, message: RoomState) -> list[Note]:
        self.session_id = message.session_id or self.session_id
        if message.utterance_id is not None:
            self._utterance(message.utterance_id)
        return [Note("thinking")] if message.state == "THINKING" else []

    def _traced(self, message: TurnTrace, now: float) -> list[Note]:
        if self.trace is None:
            self.trace, self.trace_at = message, now
            self.session_id = message.session_id
            if message.utterance_id is not None:
                self._utterance(message.utterance_id)
        return []

    def _utterance(self, utterance_id: str) -> None:
        if utterance_id not in self.utterances:
            self.utterances.append(utterance_id)
