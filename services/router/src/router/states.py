"""The states of a conversation and what leads from one to the next. Pure.

The names are those of the room's published state. What is not in the table does not happen: it
raises. Barge-in by voice will come in by ``Event.INTERRUPTED``, as a cancel does now.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from parlour_contracts.messages.room import ConversationState
from parlour_kit.errors import ParlourError


class Event(Enum):
    """What happens to a conversation."""

    READY = "ready"
    SETUP_FAILED = "set-up failed"
    COMMITTED = "committed"
    FIRST_SENTENCE = "first sentence"
    NO_ANSWER = "no answer"
    """The model failed, or was cancelled before its first sentence."""
    SLOW = "slow"
    HEARD = "heard"
    """Playback of the reply has finished."""
    INTERRUPTED = "interrupted"
    CUT = "cut"
    """The work is cancelled and the history tells how far it came."""
    END = "end"


TRANSITIONS: dict[tuple[ConversationState, Event], ConversationState] = {
    ("INITIALIZING", Event.READY): "LISTENING",
    ("INITIALIZING", Event.SETUP_FAILED): "ENDED",
    ("LISTENING", Event.COMMITTED): "THINKING",
    ("THINKING", Event.FIRST_SENTENCE): "RESPONDING",
    ("THINKING", Event.NO_ANSWER): "LISTENING",
    ("THINKING", Event.SLOW): "RESPONDING",
    ("RESPONDING", Event.HEARD): "LISTENING",
    ("RESPONDING", Event.INTERRUPTED): "INTERRUPTED",
    ("INTERRUPTED", Event.CUT): "LISTENING",
    ("INITIALIZING", Event.END): "ENDED",
    ("LISTENING", Event.END): "ENDED",
    ("THINKING", Event.END): "ENDED",
    ("RESPONDING", Event.END): "ENDED",
    ("INTERRUPTED", Event.END): "ENDED",
}


class InvalidTransition(ParlourError):  # noqa: N818  # the protocol's own name for it
    """An event came in a state that does not know it."""

    code = "INVALID_TRANSITION"


@dataclass(frozen=True, slots=True)
class Transition:
    """A step that was made; ``seconds`` is the time in the state left."""

    before: ConversationState
    after: ConversationState
    seconds: float


class Conversation:
    """Where a session stands."""

    def __init__(self, now: float) -> None:
        self.state: ConversationState = "INITIALIZING"
        self._since = now

    def on(self, event: Event, now: float) -> Transition:
        """Make a step.

        Raises:
            InvalidTransition: the table does not have it.
        """
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise InvalidTransition(f"no {event.value!r} in {self.state}")
        step = Transition(self.state, after, now - self._since)
        self.state, self._since = after, now
        return step
