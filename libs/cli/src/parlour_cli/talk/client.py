"""A headless satellite that asks one question: microphone frames out, the spoken answer in.

What it decides lies in pure modules: `floor` (who listens), `microphone` (which frame when),
`player` (what is heard when), `turn_view` (what the messages mean). Here are the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from parlour_audio.frames import Pcm16
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.room import Ask, Playback, RoomState, TurnTrace
from parlour_contracts.messages.tts import Speech
from parlour_contracts.messages.turn import Transcript, TurnClaimed, TurnOpen
from parlour_contracts.topics import (
    ASK,
    AUDIO_OUT,
    HEALTH,
    PLAYBACK,
    ROOM_STATE,
    SPEECH,
    STT_AUDIO,
    TRANSCRIPT,
    TURN_CLAIMED,
    TURN_OPEN,
    TURN_TRACE,
)
from parlour_kit.attendance import Fleet
from parlour_kit.clock import utc_text
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.floor import Floor, Move
from parlour_kit.ids import new_id
from parlour_kit.messenger import Frame, Messenger

from parlour_cli.talk.errors import NotClaimedError, SilenceError
from parlour_cli.talk.loudspeakers import Loudspeakers, Played
from parlour_cli.talk.microphone import Microphone
from parlour_cli.talk.player import Chunk
from parlour_cli.talk.recording import Recording
from parlour_cli.talk.timings import Timings
from parlour_cli.talk.turn_view import Happening, Note, TurnView

ROUND_S: Final = 0.25
"""The longest time between two looks at what is due."""

TRANSCRIPT_S: Final = 15.0
"""After the end of the recording."""

ROUTER_S: Final = 15.0
"""A fleet without a ready router for so long does not answer."""

ASK_AGAIN_S: Final = 2.0
"""A typed question that the router has not begun by then is sent again."""

ANSWER_S: Final = 60.0
"""Without any news of the turn."""

TRACE_S: Final = 10.0
"""Between the last sound and the end of the turn, or the other way round."""

EARLY_TRACE_S: Final = 2.0
"""A turn that ended as replied has sound on its way for so long at most."""

T = TypeVar("T")
Show = Callable[[Note], None]
Hear = Callable[[Chunk], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a question. ``sound`` is mono at ``rate`` Hz and may be empty.

    ``turn_id`` is None when the question was never sent.
    """

    turn_id: str | None
    session_id: str | None
    transcript: str
    reply: str
    sound: Pcm16
    rate: int
    timings: Timings
    error: WireError | None


def _ignore(_: object) -> None:
    """Nobody wants to know."""


class Conversation:
    """One question in one room.

    Args:
        messenger: a person's or a satellite's connection.
        site: the room.
        show: told what is worth showing, as it happens.
        hear: given the sound of the reply in its order, as it comes.
    """

    def __init__(
        self, messenger: Messenger, site: str, *, show: Show = _ignore, hear: Hear = _ignore
    ) -> None:
        self.turn_id = new_id()
        self.site = site
        self._messenger = messenger
        self._clock = messenger.clock
        self._show = show
        self._hear = hear
        self._view = TurnView(self.turn_id)
        self._fleet = Fleet()
        self._speakers = Loudspeakers()
        self._reports: asyncio.Queue[Played] = asyncio.Queue()
        self._news = asyncio.Event()
        self._begun = 0.0
        self._floor: Floor | None = None
        self._microphone: Microphone | None = None
        self._router_away: float | None = None
        self._typed: Ask | None = None
        self._asked_at = 0.0

    async def ask_aloud(self, recording: Recording) -> Outcome:
        """Stream a recording in real time, then silence, until the fleet has heard enough.

        Raises:
            NotClaimedError: nobody listens.
            SilenceError: no transcript, or no answer, came.
            BusError: the broker is away and stays so.
        """
        await self._attend()
        floor = self._floor = Floor(self.turn_id, self._fleet, self._clock.monotonic())
        while self._view.heard is None and self._view.trace is None:
            now = self._clock.monotonic()
            move = floor.decide(now)
            if move is Move.GIVE_UP:
                message, hint = self._fleet.trouble("stt-worker", now)
                raise NotClaimedError(f"nobody listens: {message}", hint=hint)
            if move is Move.OPEN:
                await self._open(floor, recording)
                continue
            if floor.claim is not None:
                await self._stream(floor, recording, now)
            microphone = self._microphone
            if microphone is not None and now > microphone.ends_at + TRANSCRIPT_S:
                raise SilenceError(f"no transcript came within {TRANSCRIPT_S:.0f} s",
                                   code="NO_TRANSCRIPT")  # fmt: skip
            self._report(now)
            due = microphone.next_at if microphone is not None and floor.claim else None
            await self._wait(now, due)
        return await self._listen()

    async def ask_typed(self, text: str) -> Outcome:
        """Send a written question; errors as in :meth:`ask_aloud`."""
        await self._attend()
        self._typed = Ask(text=text, turn_id=self.turn_id)
        await self._messenger.send(ASK, self._typed, site=self.site)
        self._asked_at = self._view.final_at = self._clock.monotonic()
        return await self._listen()

    async def _ask_again(self, now: float) -> None:
        """What nobody took in may have gone to a router that died; it knows a turn by its id."""
        taken = self._view.last_news_at is not None
        if self._typed is None or taken or now - self._asked_at < ASK_AGAIN_S:
            return
        self._asked_at = now
        with contextlib.suppress(BusError):
            await self._messenger.send(ASK, self._typed, site=self.site)

    async def _attend(self) -> None:
        self._begun = self._clock.monotonic()
        messenger, site = self._messenger, self.site
        await messenger.on(HEALTH, self._on_health)
        await messenger.on(TURN_CLAIMED, self._on_claimed, site=site)
        await messenger.on(TRANSCRIPT, self._on_happening, site=site)
        await messenger.on(SPEECH, self._on_speech, site=site)
        await messenger.on(ROOM_STATE, self._on_happening, site=site)
        await messenger.on(TURN_TRACE, self._on_happening, site=site)
        await messenger.on_frame(AUDIO_OUT, self._on_frame, site=site)
        messenger.spawn(self._send_reports(), "playback")

    # What comes in; each handler notes it and wakes the loop.

    def _on_health(self, health: Health, _levels: dict[str, str]) -> None:
        self._fleet.see(health, self._clock.monotonic())
        self._news.set()

    def _on_claimed(self, claim: TurnClaimed, _levels: dict[str, str]) -> None:
        if self._floor is not None and self._floor.claimed(claim):
            if self._microphone is not None:
                self._microphone.rewind()
            self._news.set()

    def _on_happening(
        self, message: Transcript | RoomState | TurnTrace, _levels: dict[str, str]
    ) -> None:
        self._see(message)

    def _on_speech(self, speech: Speech, _levels: dict[str, str]) -> None:
        for played in self._speakers.speech(speech, self._clock.monotonic()):
            self._reports.put_nowait(played)
        self._see(speech)

    def _on_frame(self, frame: Frame, levels: dict[str, str]) -> None:
        now = self._clock.monotonic()
        self._speakers.frame(levels["utterance_id"], frame, now)
        self._hand_over()
        self._news.set()

    def _see(self, message: Happening) -> None:
        for note in self._view.see(message, self._clock.monotonic()):
            self._show(note)
        self._news.set()

    # What goes out

    async def _open(self, floor: Floor, recording: Recording) -> None:
        self._view.attempt = floor.attempt
        message = TurnOpen(
            turn_id=self.turn_id, attempt=floor.attempt, format=recording.form,
            client_type="cli", opened_at=utc_text(self._clock.wall()),
        )  # fmt: skip
        await self._messenger.send(TURN_OPEN, message, expiry_s=10, site=self.site)

    async def _stream(self, floor: Floor, recording: Recording, now: float) -> None:
        """Send the frames that exist by now; the microphone begins with the first claim."""
        assert floor.claim is not None
        if self._microphone is None:
            self._microphone = Microphone(
                recording.frames, recording.silence, recording.frame_s, now
            )
        form = recording.form
        try:
            for seq, payload in self._microphone.pending(now):
                properties = {
                    "seq": str(seq), "rate": str(form.rate), "channels": str(form.channels),
                    "encoding": form.encoding, "end": "0",
                }  # fmt: skip
                await self._messenger.send_frame(
                    STT_AUDIO, payload, properties, instance=floor.claim.instance,
                    site=self.site, turn_id=self.turn_id,
                )  # fmt: skip
                if seq == recording.speech_end_frame and self._view.speech_end_at is None:
                    self._view.speech_end_at = self._clock.monotonic()
        except BusError as error:
            # The microphone keeps what was not sent; the bus connects again by itself.
            if not error.retryable:
                raise

    async def _listen(self) -> Outcome:
        """Play the answer until the turn is over."""
        while not self._is_over(now := self._clock.monotonic()):
            self._complain(now)
            await self._ask_again(now)
            self._report(now)
            await self._wait(now, None)
        await self._reports.join()
        return self.outcome()

    def outcome(self, error: ParlourError | None = None) -> Outcome:
        """What came of it so far; ``error`` is why it went no further."""
        view = self._view
        sound, rate = self._speakers.sound(view.utterances)
        audible_at = self._speakers.audible_at(view.utterances)
        why = view.error(audible=audible_at is not None) if error is None else error.wire()
        return Outcome(
            self.turn_id, view.session_id, view.transcript, view.reply, sound, rate,
            view.timings(audible_at), why,
        )  # fmt: skip

    def _is_over(self, now: float) -> bool:
        view, speakers = self._view, self._speakers
        begun = [u for u in view.utterances if u in speakers.players]
        quiet_for = self._quiet_for(now)
        if view.trace is not None and view.trace_at is not None:
            if not begun:
                wanted = view.trace.outcome == "replied"
                return not wanted or now - view.trace_at > EARLY_TRACE_S
            if quiet_for > EARLY_TRACE_S:
                speakers.close()
            return speakers.is_quiet(begun)
        if begun and speakers.is_quiet(begun):
            return quiet_for > TRACE_S
        if view.heard is not None and view.heard.kind != "final":
            return quiet_for > TRACE_S
        return False

    def _quiet_for(self, now: float) -> float:
        news = (self._speakers.heard_at, self._view.last_news_at, self._begun)
        return now - max(at for at in news if at is not None)

    def _complain(self, now: float) -> None:
        """Give up when nothing will come any more."""
        if self._quiet_for(now) > ANSWER_S:
            raise SilenceError(f"nothing was heard of the answer for {ANSWER_S:.0f} s")
        if self._view.trace is not None or self._fleet.is_ready("router", now):
            self._router_away = None
            return
        self._router_away = self._router_away or now
        if now - self._router_away > ROUTER_S:
            message, hint = self._fleet.trouble("router", now)
            raise SilenceError(f"nobody answers: {message}", code="NO_ROUTER", hint=hint)

    def _report(self, now: float) -> None:
        for played in self._speakers.poll(now):
            self._reports.put_nowait(played)
        self._hand_over()

    def _hand_over(self) -> None:
        for chunk in self._speakers.fresh():
            self._hear(chunk)

    async def _send_reports(self) -> None:
        """One after the other, so that no report overtakes another."""
        while True:
            played = await self._reports.get()
            message = Playback(
                utterance_id=played.utterance_id, event=played.report.event,
                played_ms=played.report.played_ms,
            )  # fmt: skip
            try:
                await self._messenger.send(PLAYBACK, message, site=self.site)
            except ParlourError as error:
                self._show(Note("failed", str(error)))
            finally:
                self._reports.task_done()

    async def _wait(self, now: float, due: float | None) -> None:
        """Until there is news, or something is due."""
        times = [now + ROUND_S, *(t for t in (due, self._speakers.next_at) if t is not None)]
        try:
            async with asyncio.timeout(max(min(times) - now, 0.001)):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()
