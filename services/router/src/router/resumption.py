"""The rest of a reply that was interrupted for nothing. Pure.

A cough over a reply stops it like a word does, because nobody can tell them apart soon enough.
When it turns out that no words came, or only a nod, what was not heard is spoken after all. It
belongs to the answer that was cut: the history ends up with one message, as if nothing had been.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from parlour_contracts.base import MAX_SPOKEN
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmRequest
from parlour_contracts.messages.room import Playback, Say
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.messages.turn import TurnAbort, TurnCommit
from parlour_contracts.topics import TURN_ABORT, TURN_COMMIT

from router.ambient import Ambient, Publish
from router.chunker import Chunker, Limits
from router.delivery import Delivery, Subject
from router.progress import Cut
from router.session import Session
from router.states import Event
from router.turn import Output

UNCLAIMED_S = 3.0
"""An interruption after which nobody listens to anybody was none."""


@dataclass(slots=True)
class Unheard:
    """What an interruption left.

    Attributes:
        text: what was not heard.
        heard: what was, before it.
        subject: where and how it was said.
        until: when a turn must have followed; None once one does.
    """

    text: str
    heard: str
    subject: Subject
    until: float | None

    @property
    def announced(self) -> Say:
        """The rest of an announcement, as one of its own."""
        text = self.text[:MAX_SPOKEN]
        return Say(text=text, voice=self.subject.voice, volume=self.subject.volume)


class Resumption:
    """The rest of an answer on its way to the ear."""

    def __init__(
        self, unheard: Unheard, session: Session, config: RouterConfig, ambient: Ambient
    ) -> None:
        chunker = Chunker(Limits.of(config))
        self._fragments = chunker.feed(unheard.text) + chunker.finish()
        # What was stopped is void; the rest is a revision of its own.
        self.subject = replace(unheard.subject, revision=unheard.subject.revision + 1)
        self.cut: Cut | None = None
        self._session = session
        self._delivery = Delivery(self.subject, ambient)
        self._responding = False

    @property
    def over(self) -> bool:
        """It was heard, or stopped."""
        return self._delivery.over

    @property
    def utterance_id(self) -> str:
        """What it says."""
        return self._delivery.id

    @property
    def sounded(self) -> str:
        """What of it has sounded, or is about to."""
        return self._delivery.spoken()

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        return self._delivery.deadline

    def begin(self) -> Output:
        """Go on."""
        self._responding = True
        subject = self.subject
        assert subject.turn_id is not None, "an announcement belongs to no turn"
        commit = TurnCommit(turn_id=subject.turn_id, revision=subject.revision, reason="resumed")
        output = Output(
            [Publish(TURN_COMMIT, commit, {"site": subject.site})],
            [Event.COMMITTED, Event.FIRST_SENTENCE],
        )
        for number, fragment in enumerate(self._fragments, start=1):
            last = number == len(self._fragments)
            output.messages += self._delivery.say(fragment, last=last)
        return output

    def speech(self, event: Speech) -> Output:
        """A tts-worker told about a sentence."""
        self._delivery.speech(event)
        return self._result()

    def playback(self, report: Playback) -> Output:
        """The loudspeaker told how far it is."""
        self._delivery.playback(report)
        return self._result()

    def lost(self, instance: str) -> Output:
        """A worker died."""
        return self._result(Output(self._delivery.lost(instance)))

    def ready(self) -> Output:
        """A worker became ready."""
        return self._result(Output(self._delivery.ready()))

    def unsent(self, message: LlmRequest | TtsRequest) -> Output:
        """A message could not be sent."""
        if isinstance(message, TtsRequest):
            self._delivery.unsent(message)
        return self._result()

    def tick(self) -> Output:
        """Time has passed."""
        self._delivery.tick()
        return self._result()

    def cancel(self, reason: str, played_ms: float | None = None) -> Output:
        """Be silent; ``played_ms``: how far the loudspeaker came, if it said so."""
        if not self._responding:
            return Output()
        self._responding = False
        self.cut = self._delivery.cut(played_ms)
        self._session.resumed(self.cut.heard, interrupted=True)
        subject = self.subject
        assert subject.turn_id is not None, "an announcement belongs to no turn"
        abort = TurnAbort(turn_id=subject.turn_id, revision=subject.revision, reason=reason)
        stop = [Publish(TURN_ABORT, abort, {"site": subject.site})]
        return Output(self._delivery.cancel(reason) + stop, [Event.INTERRUPTED, Event.CUT])

    def _result(self, output: Output | None = None) -> Output:
        output = output or Output()
        if self._responding and self._delivery.over:
            self._responding = False
            self._session.resumed(self._delivery.spoken(), interrupted=self._delivery.stopped)
            output.events.append(Event.HEARD)
        return output
