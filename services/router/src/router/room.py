"""A room: its session, its state, one turn at a time, and what waits behind it. Pure.

The rules:

1. Somebody who speaks is next: a final transcript stops what runs.
2. ``say``, ``ask`` and turns without words wait behind what runs, at most ``MAX_WAITING`` of them.
3. Speech over a reply stops it at once; when it turns out that nobody said anything, the reply goes
   on where it was cut.
4. A turn whose worker died, and that no other claims again within seconds, has failed.
5. A turn that has ended does not begin again.
6. What the room's desk can answer is not asked of a language model. Who says "stop" also stops
   what waits and what rings. A timer rings when nothing else sounds and nobody speaks.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import LlmReply, LlmRequest
from parlour_contracts.messages.room import BargeIn, Playback, RoomState, Say
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.messages.turn import MUTED, Transcript, TurnClaimed

from router.ambient import Ambient, Publish
from router.announcement import Announcement
from router.desk import Desk
from router.left_behind import ended, orphan_of
from router.listeners import Listeners
from router.overlap import Overlap, is_interruption
from router.resumption import Resumption
from router.session import Aside, Session
from router.shown import Shown
from router.states import Conversation, Event, Transition
from router.told import Told
from router.turn import Heard, Output, Turn

MAX_WAITING = 10
REMEMBERED = 256


class Room:
    """One room; every method returns the messages to send."""

    def __init__(
        self,
        site: str,
        config: RouterConfig,
        ambient: Ambient,
        on_transition: Callable[[str, str, Transition], None] = lambda *_: None,
        on_command: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.site = site
        self.config = config
        self.session: Session | None = None
        self.current: Turn | Announcement | Resumption | None = None
        self.waiting: deque[Heard | Say] = deque()
        self.desk = Desk(ambient)
        self._ambient = ambient
        self._conversation: Conversation | None = None
        self._hearing = Listeners(ambient)
        self._past: OrderedDict[str, None] = OrderedDict()
        self._overlap = Overlap(ambient)
        self._on_transition = on_transition
        self._on_command = on_command
        self._last: Turn | None = None
        self._aside: str | None = None
        """The turn that runs, where the conversation remembers nothing of it."""
        self._shown = Shown(site)
        self._out: list[Publish] = []

    # What comes in

    def claimed(self, claim: TurnClaimed) -> list[Publish]:
        """A stt-worker listens to a turn."""
        if claim.turn_id not in self._past and self._hearing.claimed(claim):
            self._overlap.claimed()
            self._open_session()
        return self._result()

    def transcript(self, transcript: Transcript) -> list[Publish]:
        """A stt-worker told what it heard; what is not final is left to speculation."""
        if transcript.kind not in ("final", "empty", "failed"):
            return []
        understood = self._hearing.ended(transcript)
        if understood is None:
            return []
        self._begin(*understood)
        return self._result()

    def barge_in(self, report: BargeIn) -> list[Publish]:
        """Somebody speaks over what is being said: be silent, and wait for what they say."""
        current = self.current
        if current is None or current.over or not is_interruption(report, self.config):
            return []
        if current.utterance_id == report.utterance_id:
            self._stop("barge-in", report.played_ms)
            self._overlap.interrupted(current, somebody_listens=bool(self._hearing))
        return self._result()

    def reply(self, reply: LlmReply) -> list[Publish]:
        """A llm-worker said something about a request of this room."""
        if isinstance(self.current, Turn):
            self._take(self.current.reply(reply))
        return self._result()

    def speech(self, event: Speech) -> list[Publish]:
        """A tts-worker told about a sentence."""
        if self.current is not None:
            self._take(self.current.speech(event))
        return self._result()

    def playback(self, report: Playback) -> list[Publish]:
        """The loudspeaker told how far it is."""
        if self.current is not None:
            self._take(self.current.playback(report))
        return self._result()

    def ask(self, text: str, turn_id: str | None) -> list[Publish]:
        """A question that was typed."""
        heard = Heard(turn_id or self._ambient.new_id(), text=text)
        if self.desk.stops(text, self.config):
            self._begin(heard)
        else:
            self._wait(heard)
        return self._result()

    def say(self, say: Say) -> list[Publish]:
        """Something to announce."""
        self._wait(say)
        return self._result()

    def cancel(self, reason: str) -> list[Publish]:
        """Stop the room, silence what rings, and forget what waits."""
        self._clear(reason)
        self.desk.silence()
        return self._result()

    def lost(self, instance: str) -> list[Publish]:
        """A worker died."""
        self._hearing.lost(instance)
        if self.current is not None:
            self._take(self.current.lost(instance))
        return self._result()

    def ready(self) -> list[Publish]:
        """A worker became ready."""
        if self.current is not None:
            self._take(self.current.ready())
        return self._result()

    def unsent(self, message: LlmRequest | TtsRequest) -> list[Publish]:
        """A message could not be sent."""
        if self.current is not None:
            self._take(self.current.unsent(message))
        return self._result()

    # Time

    @property
    def deadline(self) -> float | None:
        """When to call :meth:`tick`."""
        times = self._hearing.deadlines
        if self.current is not None and self.current.deadline is not None:
            times.append(self.current.deadline)
        times += self._overlap.deadlines
        if self._is_free and self.desk.deadline is not None:
            times.append(self.desk.deadline)
        return min(times, default=None)

    def tick(self) -> list[Publish]:
        """Time has passed."""
        for heard in self._hearing.given_up():
            self._begin(heard)
        if self.current is not None:
            self._take(self.current.tick())
        if any(self._ambient.now() >= due for due in self._overlap.deadlines):
            self._go_on()
        return self._result()

    def sweep(self) -> list[Publish]:
        """End the session if it has been idle, or open, for too long."""
        busy = self.current is not None or bool(self._hearing)
        session = self.session
        if session is not None and not busy and session.expired(self.config, self._ambient.now()):
            self._end_session()
        return self._result()

    @property
    def idle(self) -> bool:
        """Nothing is remembered that would be missed."""
        return self.session is None and self._is_free and self.desk.is_empty

    @property
    def _is_free(self) -> bool:
        """Nothing sounds and nobody speaks."""
        return self.current is None and not self._hearing

    def recover(self, left: RoomState) -> list[Publish]:
        """Clear up what an earlier run of the router left in the retained state."""
        if left.status == "idle" or left.state == "ENDED":
            return []
        if (orphan := orphan_of(left)) is not None:
            self._past[orphan] = None
            self._out += ended(self.site, left, orphan)
        return self.restate()

    def restate(self) -> list[Publish]:
        """Publish the state again, whatever was published."""
        self._shown.forget()
        return self._result()

    # What runs

    def _wait(self, item: Heard | Say) -> None:
        if isinstance(item, Heard) and self._known(item.turn_id):
            return
        if self.current is not None and len(self.waiting) >= MAX_WAITING:
            if isinstance(item, Heard):
                self._refuse(item, "queue full")
            return
        self.waiting.append(item)

    def _known(self, turn_id: str) -> bool:
        running = isinstance(self.current, Turn) and self.current.heard.turn_id == turn_id
        waits = any(isinstance(w, Heard) and w.turn_id == turn_id for w in self.waiting)
        return running or waits or turn_id in self._past

    def _begin(self, heard: Heard, began: float | None = None) -> None:
        """A turn that somebody spoke; where no words were heard, what runs goes on.

        Args:
            heard: what was understood.
            began: when a stt-worker began to listen, if that is known.
        """
        self._hearing.forget(heard.turn_id)
        if self._known(heard.turn_id):
            return
        if heard.error is not None and heard.error.code == MUTED:
            self._refuse(heard, MUTED)
            return
        running = self.current if self.current is not None and not self.current.over else None
        nothing = self._overlap.verdict(heard, began, running, self.config)
        if nothing is not None:
            self._refuse(heard, nothing)
            self._go_on()
            return
        self._overlap.take()
        if heard.kind != "said":
            self._wait(heard)
            return
        if self.desk.stops(heard.text, self.config):
            self._clear("somebody said so")
        self._stop("somebody speaks")
        self._start(heard)

    def _go_on(self) -> None:
        """Speak the rest of what was interrupted for nothing."""
        unheard = self._overlap.take()
        if unheard is None or self.current is not None or not self.config.resume_reply:
            return
        turn_id = unheard.subject.turn_id
        if turn_id is None:  # an announcement: no part of the conversation
            self.waiting.appendleft(unheard.announced)
            return
        session = self._open_session()
        if turn_id == self._aside:
            session = Aside(session)
        self.current = Resumption(unheard, turn_id, session, self.config, self._ambient)
        self._take(self.current.begin())

    def _start(self, heard: Heard) -> None:
        self._past[heard.turn_id] = None
        while len(self._past) > REMEMBERED:
            self._past.popitem(last=False)
        session = self._open_session()
        told = self._told(heard)
        volume = self.desk.spoken_volume
        turn = Turn(self.site, heard, session, self.config, self._ambient, told=told, volume=volume)
        self._aside = None
        if told is not None and not told.remembered:
            self._aside = heard.turn_id
        elif heard.kind == "said":
            self._last = turn
        self.current = turn
        self._take(turn.begin())

    def _told(self, heard: Heard) -> Told | None:
        """The answer, if no language model need be asked for it."""
        if heard.kind != "said":
            return None
        last = " ".join(self._last.answer) if self._last is not None else ""
        told = self.desk.told(heard.text, self.config, last)
        if told is not None:
            self._on_command(told.intent)
        return told

    def _refuse(self, heard: Heard, reason: str) -> None:
        """End a turn that will not run, so that it, too, has its end."""
        self._past[heard.turn_id] = None
        turn = Turn(self.site, heard, self._open_session(), self.config, self._ambient)
        self._out += turn.cancel(reason).messages

    def _clear(self, reason: str) -> None:
        """Stop what runs, and forget what waits."""
        waiting, self.waiting = list(self.waiting), deque()
        self._overlap.take()
        self._stop(reason)
        for item in waiting:
            if isinstance(item, Heard):
                self._refuse(item, reason)

    def _stop(self, reason: str, played_ms: float | None = None) -> None:
        if self.current is not None:
            self._take(self.current.cancel(reason, played_ms))
            self._overlap.ended(self.current)
            self.current = None

    def _take(self, output: Output) -> None:
        self._out += output.messages
        for event in output.events:
            self._step(event)

    def _step(self, event: Event) -> None:
        if self._conversation is None:
            return
        step = self._conversation.on(event, self._ambient.now())
        self._on_transition(self.site, self.session.id if self.session else "", step)
        self._publish_state()

    def _result(self) -> list[Publish]:
        while self.current is None or self.current.over:
            if self.current is not None:
                self._overlap.ended(self.current)
            self.current = None
            item = self._next()
            if item is None:
                break
            if isinstance(item, Heard):
                self._start(item)
            else:
                if item.volume is None:
                    item = item.model_copy(update={"volume": self.desk.spoken_volume})
                self.current = Announcement(self.site, item, self.config, self._ambient)
                self._take(self.current.begin())
        self._publish_state()
        result, self._out = self._out, []
        return result

    def _next(self) -> Heard | Say | None:
        """What waits; a timer's ring waits behind all of it, and for whoever speaks."""
        if self._overlap.unheard is not None:
            return None  # somebody has taken the floor
        if self.waiting:
            return self.waiting.popleft()
        return self.desk.ring(self.config) if self._is_free else None

    # Session and state

    def _open_session(self) -> Session:
        now = self._ambient.now()
        if self.session is not None and self.session.expired(self.config, now):
            self._end_session()
        if self.session is None:
            self.session = Session(self._ambient.new_id(), now)
            self._conversation = Conversation(now)
            self._step(Event.READY)
        self.session.touch(now)
        return self.session

    def _end_session(self) -> None:
        self._step(Event.END)
        self.session = self._conversation = self._last = None

    def _publish_state(self) -> None:
        """Publish the state if it is another one than before."""
        state = self._conversation.state if self._conversation else "LISTENING"
        turn = self.current if isinstance(self.current, Turn) and not self.current.over else None
        speaking = self.current if self.current is not None and not self.current.over else None
        message = RoomState(
            session_id=self.session.id if self.session else None,
            status="ended" if state == "ENDED" else "active" if self.session else "idle",
            state=state,
            since=self._ambient.utc(),
            turn_id=turn.heard.turn_id if turn else self._hearing.newest,
            utterance_id=speaking.utterance_id if speaking else None,
        )
        self._out += self._shown.show(message)
