"""``parlour watch``: each event of a conversation as one line. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parlour_contracts.messages.health import Health
from parlour_contracts.messages.room import RoomState, TurnTrace
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import Transcript, TurnAbort, TurnClaimed, TurnCommit
from parlour_contracts.topics import (
    HEALTH,
    ROOM_STATE,
    SPEECH,
    TRANSCRIPT,
    TURN_ABORT,
    TURN_CLAIMED,
    TURN_COMMIT,
    TURN_TRACE,
    Topic,
)
from pydantic import BaseModel

TOPICS: tuple[Topic[Any], ...] = (
    TURN_CLAIMED, TRANSCRIPT, TURN_COMMIT, TURN_ABORT, ROOM_STATE, SPEECH, TURN_TRACE, HEALTH,
)  # fmt: skip
"""What a person may read, and what tells a story."""


class Watcher:
    """Says of each event what a person wants to know; remembers what was said before."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._health: dict[str, tuple[str, bool]] = {}

    def line(self, message: BaseModel, levels: dict[str, str]) -> str | None:
        """The words for an event; None when it is no news."""
        if isinstance(message, RoomState):
            return self._state(message, levels.get("site", ""))
        if isinstance(message, Health):
            return self._healthy(message)
        words = _WORDS.get(type(message))
        return words(message) if words is not None else None

    def _state(self, message: RoomState, site: str) -> str | None:
        text = message.state.lower()
        if self._states.get(site) == text:
            return None
        self._states[site] = text
        return f"is {text}" if message.status != "ended" else "session ended"

    def _healthy(self, message: Health) -> str | None:
        now = (message.status, message.ready)
        before = self._health.get(message.instance)
        self._health[message.instance] = now
        if now == before:
            return None
        line = message.status + ("" if message.ready or message.status == "offline"
                                 else ", not ready")  # fmt: skip
        if message.err is not None:
            line += f": {message.err.message} [{message.err.code}]"
            line += f" ({message.err.hint})" if message.err.hint else ""
        return line


def _claim(message: TurnClaimed) -> str:
    return f"{message.instance} listens (attempt {message.attempt})"


def _commit(message: TurnCommit) -> str:
    return f"committed, revision {message.revision}"


def _abort(message: TurnAbort) -> str:
    return f"aborted up to revision {message.revision}: {message.reason}"


def _transcript(message: Transcript) -> str:
    match message.kind:
        case "final":
            spent = message.timings
            return (
                f"heard: {message.text}  "
                f"[end of speech seen after {spent.endpoint_wait_ms:.0f} ms, "
                f"recognised in {spent.transcribe_ms:.0f} ms]"
            )
        case "empty":
            return f"heard nothing: {message.reason or 'no speech'}"
        case "failed":
            return f"could not listen: {message.reason or 'unknown'}"
        case _:
            return f"hears: {message.text} …"


def _speech(message: Speech) -> str:
    match message.event:
        case "started":
            return f"says: {message.text}"
        case "sentence":
            return (
                f"sentence {message.seq + 1} is out: {message.duration_ms / 1000:.1f} s of sound, "
                f"first after {message.timings.first_audio_ms:.0f} ms"
            )
        case "completed":
            return "has said all"
        case "cancelled":
            return "falls silent"
        case "failed":
            error = message.error
            return f"could not speak: {error.message} [{error.code}]" if error else "failed"


def _trace(message: TurnTrace) -> str:
    spent = message.timings
    parts = [
        ("heard", spent.endpoint_wait_ms), ("transcribed", spent.transcribe_ms),
        ("first token", spent.final_to_first_token_ms),
        ("first sentence", spent.first_token_to_first_sentence_ms),
        ("first sound", spent.first_sentence_to_first_audio_ms),
    ]  # fmt: skip
    line = f"turn {message.outcome}"
    told = ", ".join(f"{name} {ms:.0f} ms" for name, ms in parts if ms is not None)
    line += f": {told}" if told else ""
    if message.error is not None:
        line += f"; {message.error.message} [{message.error.code}]"
    return line


_WORDS: dict[type[BaseModel], Callable[[Any], str]] = {
    TurnClaimed: _claim,
    Transcript: _transcript,
    TurnCommit: _commit,
    TurnAbort: _abort,
    Speech: _speech,
    TurnTrace: _trace,
}
