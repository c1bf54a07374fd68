"""One turn: a question heard, an answer thought and spoken, one end. Pure.

Values in, messages out. The turn ends exactly once, with a trace: ``replied``, ``empty``,
``cancelled`` or ``failed``; what fails is told in the trace and by a spoken line. After its end
it lives on until what it said was heard (``over``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmCancel, LlmReply, LlmRequest, WireError
from parlour_contracts.messages.room import Playback, TurnTimings, TurnTrace
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.messages.turn import TurnAbort, TurnCommit
from parlour_contracts.topics import (
    LLM_CANCEL,
    LLM_REPLY,
    LLM_REQUEST,
    TURN_ABORT,
    TURN_COMMIT,
    TURN_TRACE,
)

from router.ambient import Ambient, Publish, failure, ms
from router.chunker import Chunker, Limits
from router.delivery import Delivery, Subject
from router.progress import Cut
from router.session import MAX_QUESTION, Aside, Session
from router.states import Event
from router.thinking import Ask, Done, Drop, Step, Text, Thinking
from router.told import Told

NOBODY = ("TTS_SILENT", "BROKER_AWAY")
"""Failures after which nobody is there to say anything."""

Outcome = Literal["replied", "empty", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a turn begins with: words, nothing, or a failure to hear."""

    turn_id: str
    kind: Literal["said", "empty", "failed"] = "said"
    text: str = ""
    revision: int = 1
    worker: str | None = None
    endpoint_wait_ms: float | None = None
    transcribe_ms: float | None = None
    error: WireError | None = None


@dataclass(slots=True)
class _Times:
    """Moments of the turn, in seconds of the clock."""

    final: float
    first_token: float | None = None
    first_sentence: float | None = None


@dataclass(slots=True)
class Output:
    """What a step of a turn leads to: messages, and events for the room's state."""

    messages: list[Publish] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Turn:
    """One turn of a room; see the module.

    Args:
        site, heard, session, config, ambient: where, what, and in which world.
        told: the answer, where no language model need be asked.
        volume: how loud, in percent of what is configured; None is just that.
    """

    def __init__(
        self,
        site: str,
        heard: Heard,
        session: Session,
        config: RouterConfig,
        ambient: Ambient,
        *,
        told: Told | None = None,
        volume: int | None = None,
    ) -> None:
        self.heard = heard
        self.outcome: Outcome | None = None
        self.cut: Cut | None = None
        """What was heard of its answer, and what was not, once it was stopped."""
        self._site = site
        self.answer: list[str] = []
        """The sentences of its answer so far, heard or not."""
        self._told = told
        self._session = session if told is None or told.remembered else Aside(session)
        self._config = config
        self._ambient = ambient
        self.subject = Subject(site, session.id, heard.turn_id, heard.revision, volume=volume)
        self._thinking = Thinking(ambient)
        self._delivery = Delivery(self.subject, ambient)
        self._chunker = Chunker(Limits.of(config))
        self._held: str | None = None
        self._times = _Times(ambient.now())
        self._error: WireError | None = None
        self._fallback = False
        self._responding = False
        self._out = Output()

    @property
    def over(self) -> bool:
        """It has ended and was heard."""
        return self.outcome is not None and self._delivery.over

    @property
    def utterance_id(self) -> str | None:
        """What it says, once it says something."""
        return self._delivery.id if self._delivery.sentences else None

    @property
    def sounded(self) -> str:
        """What of its answer has sounded, or is about to."""
        return self._delivery.spoken()

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        times = [self._thinking.deadline, self._delivery.deadline, self._patience]
        return min((t for t in times if t is not None), default=None)

    @property
    def _patience(self) -> float | None:
        if self._thinking.over or self._times.first_sentence is not None:
            return None
        return self._times.final + self._config.think_timeout_s

    # Events

    def begin(self) -> Output:
        """Start: think, or say that there was nothing to think about."""
        heard = self.heard
        if heard.kind == "said":
            prompt = self._session.prompt(self._config, heard.text)
            self._prompt = prompt
            self._session.add("user", heard.text, interrupted=False)
            if self._told is None:
                self._steps(self._thinking.begin())
            commit = TurnCommit(turn_id=heard.turn_id, revision=heard.revision, reason="final")
            self._send(Publish(TURN_COMMIT, commit, {"site": self._site}))
            self._out.events.append(Event.COMMITTED)
            if self._told is not None:
                self._tell(self._told.text)
        else:
            self._thinking.over = True
            self._fallback = True
            if heard.kind == "empty":
                self._say(self._config.line_empty, last=True)
            else:
                self._error = heard.error
                self._say(self._session.failed(self._config), last=True)
        return self._result()

    def reply(self, reply: LlmReply) -> Output:
        """A llm-worker said something."""
        self._steps(self._thinking.reply(reply))
        return self._result()

    def speech(self, event: Speech) -> Output:
        """A tts-worker told about a sentence."""
        self._delivery.speech(event)
        if self._delivery.stopped:
            self._steps(self._thinking.cancel("the voice was stopped"))
        return self._result()

    def playback(self, report: Playback) -> Output:
        """The loudspeaker told how far it is."""
        self._delivery.playback(report)
        return self._result()

    def lost(self, instance: str) -> Output:
        """A worker died."""
        self._steps(self._thinking.lost(instance))
        self._send(*self._delivery.lost(instance))
        return self._result()

    def ready(self) -> Output:
        """A worker became ready."""
        self._send(*self._delivery.ready())
        return self._result()

    def unsent(self, message: LlmRequest | TtsRequest) -> Output:
        """A message could not be sent."""
        if isinstance(message, LlmRequest):
            self._steps(self._thinking.unsent(message.request_id))
        else:
            self._delivery.unsent(message)
        return self._result()

    def tick(self) -> Output:
        """Time has passed."""
        patience = self._patience
        if patience is not None and self._ambient.now() >= patience:
            self._steps(self._thinking.cancel("too slow"))
            self._fail(failure("LLM_TIMEOUT", "no sentence came in time"), self._config.line_slow)
        self._steps(self._thinking.tick())
        self._delivery.tick()
        return self._result()

    def cancel(self, reason: str, played_ms: float | None = None) -> Output:
        """Stop whatever it does; nothing of it is said from here on.

        Args:
            reason: for the records.
            played_ms: how far the loudspeaker came; None when it did not say.
        """
        if self.over:
            return self._result()
        self.cut = self._delivery.cut(played_ms)
        heard = self.cut.heard
        self._steps(self._thinking.cancel(reason))
        self._send(*self._delivery.cancel(reason))
        abort = TurnAbort(turn_id=self.heard.turn_id, revision=self.heard.revision, reason=reason)
        self._send(Publish(TURN_ABORT, abort, {"site": self._site}))
        if self.outcome is None:
            self._session.add("assistant", heard, interrupted=True)
            self._end("cancelled")
        else:
            self._session.interrupt(heard)
        if self._responding:
            self._responding = False
            self._out.events += [Event.INTERRUPTED, Event.CUT]
        elif self._is_thinking:
            self._out.events.append(Event.NO_ANSWER)
        return self._result()

    # The answer

    def _tell(self, text: str) -> None:
        """Answer without a language model."""
        self._thinking.over = True
        if not text:
            self._delivery.cancel("nothing to say")
            self._out.events.append(Event.NO_ANSWER)
            self._end("replied")
            return
        self._times.first_token = self._ambient.now()
        if len(text) <= self._config.router_stream_max_chars:
            self._say(text, last=True)
        else:
            self._speak(self._chunker.feed(text))
            self._answered(Done())

    @property
    def _is_thinking(self) -> bool:
        """The room still waits for the first sentence."""
        return self.heard.kind == "said" and not self._fallback and not self._responding

    def _steps(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, Ask):
                self._chunker = Chunker(Limits.of(self._config))
                self._held = None
                self._send(Publish(LLM_REQUEST, self._request(step)))
            elif isinstance(step, Drop):
                message = LlmCancel(request_id=step.request_id, reason=step.reason[:100])
                self._send(Publish(LLM_CANCEL, message, {"instance": step.instance}))
            elif isinstance(step, Text):
                if self._times.first_token is None:
                    self._times.first_token = self._ambient.now()
                self._speak(self._chunker.feed(step.text))
            else:
                self._answered(step)

    def _request(self, ask: Ask) -> LlmRequest:
        return LlmRequest(
            request_id=ask.request_id,
            session_id=self._session.id,
            turn_id=self.heard.turn_id,
            revision=self.heard.revision,
            attempt=ask.attempt,
            messages=self._prompt,
            reply_topic=LLM_REPLY.topic(instance=self._ambient.instance),
        )

    def _answered(self, done: Done) -> None:
        if done.error is None:
            self._speak(self._chunker.finish())
            if not self._delivery.closed:
                self._say("", last=True)
        elif done.error.code == "LLM_EMPTY":
            self._fail(done.error, self._config.line_slow)
        else:
            self._fail(done.error, None)

    def _speak(self, fragments: list[str]) -> None:
        for fragment in fragments:
            self._thinking.used = True
            self._say(fragment)

    def _say(self, text: str, *, last: bool = False) -> None:
        """Send a sentence; what comes first in an answer makes the room respond."""
        self._send(*self._delivery.say(text, last=last))
        self.answer += [text] if text else []
        if self._times.first_sentence is None and text:
            self._times.first_sentence = self._ambient.now()
            if self._is_thinking:
                self._responding = True
                self._out.events.append(Event.FIRST_SENTENCE)

    def _fail(self, error: WireError, line: str | None) -> None:
        """Tell that there is no answer, or no more of it."""
        self._error = self._error or error
        tier = self._session.failed(self._config)
        if self._is_thinking:
            slow = error.code == "LLM_TIMEOUT"
            self._out.events.append(Event.SLOW if slow else Event.NO_ANSWER)
            self._responding = slow
        self._fallback = True
        self._say(line or tier, last=True)

    # The end

    def _result(self) -> Output:
        if self.outcome is None and self._delivery.settled and self._thinking.over:
            self._settle()
        if self.over and self._responding:
            self._responding = False
            self._out.events.append(Event.HEARD)
        result, self._out = self._out, Output()
        return result

    def _settle(self) -> None:
        delivery = self._delivery
        mute = delivery.silent and not delivery.stopped and not self._fallback
        error = delivery.error or failure("TTS_FAILED", "nothing of the answer could be spoken")
        if mute and error.code not in NOBODY:
            self._another_voice(error)
            return
        self._error = self._error or (error if mute else delivery.error)
        if delivery.stopped:
            outcome: Outcome = "cancelled"
        elif self.heard.kind == "empty":
            outcome = "empty"
        else:
            outcome = "failed" if self._fallback or mute else "replied"
        if outcome == "replied":
            self._session.succeeded()
        elif mute:
            self._session.failed(self._config)
        self._session.add("assistant", delivery.spoken(), interrupted=delivery.stopped)
        self._end(outcome)

    @property
    def _reply(self) -> str:
        """What was to be said; where that failed, what was."""
        if self._fallback:
            return self._delivery.spoken()
        return self._thinking.text.strip() if self._told is None else self._told.text

    def _another_voice(self, error: WireError) -> None:
        """Nothing of the answer could be spoken: try to say at least that."""
        self._delivery = Delivery(self.subject, self._ambient)
        self._fail(error, None)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._session.touch(self._ambient.now())
        heard, times, delivery = self.heard, self._times, self._delivery
        workers = {"stt": heard.worker, "llm": self._thinking.worker or None}
        workers["tts"] = next(iter(delivery.instances), None)
        trace = TurnTrace(
            turn_id=heard.turn_id,
            session_id=self._session.id,
            revision=heard.revision,
            utterance_id=self.utterance_id,
            outcome=outcome,
            transcript=heard.text[:MAX_QUESTION],
            reply=self._reply,
            sentences=delivery.sentences,
            timings=TurnTimings(
                endpoint_wait_ms=heard.endpoint_wait_ms,
                transcribe_ms=heard.transcribe_ms,
                final_to_first_token_ms=_between(times.final, times.first_token),
                first_token_to_first_sentence_ms=_between(times.first_token, times.first_sentence),
                first_sentence_to_first_audio_ms=_between(
                    times.first_sentence, delivery.first_audio_at
                ),
                final_to_end_ms=_between(times.final, self._ambient.now()),
            ),
            workers={k: v for k, v in workers.items() if v},
            error=self._error,
        )
        self._send(Publish(TURN_TRACE, trace, {"site": self._site}))

    def _send(self, *messages: Publish) -> None:
        self._out.messages.extend(messages)


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else ms(end - begin)
