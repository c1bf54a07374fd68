"""The rest of a reply that was interrupted for nothing. Pure.

A cough over a reply stops it like a word does, because nobody can tell them apart soon enough.
When it turns out that no words came, or only a nod, what was not heard is spoken after all. It
belongs to the answer that was cut: the history ends up with one message, as if nothing had been.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from parlour_contracts.base import MAX_SPOKEN
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say
from parlour_contracts.messages.turn import TurnAbort, TurnCommit
from parlour_contracts.topics import TURN_ABORT, TURN_COMMIT

from router.ambient import Ambient, Publish
from router.delivery import Subject
from router.session import Session
from router.states import Event
from router.turn import Output
from router.utterance import Utterance

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


class Resumption(Utterance):
    """The rest of an answer on its way to the ear; ``turn_id`` is the turn that it answers."""

    def __init__(
        self,
        unheard: Unheard,
        turn_id: str,
        session: Session,
        config: RouterConfig,
        ambient: Ambient,
    ) -> None:
        # What was stopped is void; the rest is a revision of its own.
        subject = replace(unheard.subject, revision=unheard.subject.revision + 1)
        super().__init__(unheard.text, subject, config, ambient)
        self._turn_id = turn_id
        self._session = session
        self._responding = False

    def begin(self) -> Output:
        """Go on."""
        self._responding = True
        subject = self.subject
        commit = TurnCommit(turn_id=self._turn_id, revision=subject.revision, reason="resumed")
        output = super().begin()
        output.messages.insert(0, Publish(TURN_COMMIT, commit, {"site": subject.site}))
        output.events += [Event.COMMITTED, Event.FIRST_SENTENCE]
        return output

    def cancel(self, reason: str, played_ms: float | None = None) -> Output:
        """Be silent; ``played_ms``: how far the loudspeaker came, if it said so."""
        output = super().cancel(reason, played_ms)
        if not self._responding or self.cut is None:
            return output
        self._responding = False
        self._session.resumed(self.cut.heard, interrupted=True)
        subject = self.subject
        abort = TurnAbort(turn_id=self._turn_id, revision=subject.revision, reason=reason)
        output.messages.append(Publish(TURN_ABORT, abort, {"site": subject.site}))
        output.events += [Event.INTERRUPTED, Event.CUT]
        return output

    def _result(self, messages: list[Publish] | None = None) -> Output:
        output = super()._result(messages)
        if self._responding and self.over:
            self._responding = False
            self._session.resumed(self.sounded, interrupted=self._delivery.stopped)
            output.events.append(Event.HEARD)
        return output
