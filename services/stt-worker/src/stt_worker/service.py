"""stt-worker: claims turns, listens to their frames, says what was heard.

    voice/<site>/turn/open (shared) ─▶ claimed ─▶ stt/<instance>/audio/<site>/<turn> ─▶ transcript

Frames are decoded and judged where they arrive: 100 ms of sound cost about a millisecond, less
than handing them to a thread. The recogniser has a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from parlour_audio.errors import AudioError
from parlour_audio.vad import SileroVad, SpeechProbability
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import MUTED, TurnAbort, TurnOpen
from parlour_contracts.topics import STT_AUDIO, TURN_ABORT, TURN_OPEN
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.messenger import Frame
from parlour_kit.probes.checks import Check
from parlour_kit.service import Context, Service
from parlour_kit.switch import Switch, switch_of
from parlour_kit.vitals import ThrottleLevel

from stt_worker import report
from stt_worker.actions import Action, Clip, Concluded, Consider, LookAhead, Presume, Transcribe
from stt_worker.checking import ClipCheck
from stt_worker.ears import Ears
from stt_worker.engine import Options, Recognition
from stt_worker.measuring import Happenings, recognising
from stt_worker.recogniser import Recogniser, ThreadedRecogniser
from stt_worker.session import Hearing, HearingSettings, State
from stt_worker.telling import Teller
from stt_worker.turn import Turn

MAX_TURNS = 32
"""Turns heard at once: about a third of a core of a PC for the speech detector."""

TICK_S = 0.1
REMEMBERED = 256
"""Concluded turns that are remembered, so that a repeated ``open`` does not begin them again."""

RECHECK_S = 10.0
"""How often a recogniser in trouble is tried again."""


class SttWorker(Service[STTWorkerConfig]):
    """The process that hears."""

    name = "stt-worker"
    config_model = STTWorkerConfig

    def __init__(
        self,
        ctx: Context,
        config: STTWorkerConfig,
        *,
        recogniser: Callable[[], Recogniser] = ThreadedRecogniser,
        vad: Callable[[], SpeechProbability] = SileroVad,
    ) -> None:
        super().__init__(ctx, config)
        self.counts = Happenings()
        self.turns: dict[str, Turn] = {}
        self._ears = Ears(recogniser, ctx.data_dir, self.messenger.spawn)
        self._check = ClipCheck(
            self._ears,
            self.clock,
            lambda: self.config,
            busy=lambda: bool(self.turns) or self._draining or not self.cool.is_set(),
            computing=lambda: self.queue() > 0,
        )
        self._tell = Teller(self.messenger, self.clock, self.log, self.counts)
        self._make_vad = vad
        self._free_vads: list[SpeechProbability] = []
        self._past: OrderedDict[str, int] = OrderedDict()
        self._draining = False
        self._ticking = False

    async def load(self) -> None:
        """Load the model and the speech detector."""
        self._free_vads.append(await asyncio.to_thread(self._make_vad))
        await self._ears.load(self.config)

    async def serve(self) -> None:
        """Listen for turns, their frames and their ends."""
        self.messenger.spawn(self._recheck(), "recheck")
        await self.messenger.on_frame(STT_AUDIO, self._frame, instance=self.messenger.instance)
        await self.messenger.on(TURN_ABORT, self._aborted)
        await self.messenger.on(TURN_OPEN, self._opened)

    async def stage(self, new: STTWorkerConfig) -> Switch:
        """Load another recogniser beside the one in use, where the settings need one.

        Turns that were opened before the switch are heard to their end as they began; what is
        read at every frame counts for them at once.

        Raises:
            ParlourError: the recogniser cannot be loaded, or does not know the language.
        """
        recogniser = await self._ears.stage(self.config, new)
        if recogniser is None:
            return await super().stage(new)

        def commit() -> None:
            self.config = new
            self._ears.use(recogniser)

        return switch_of(commit, recogniser.close)

    async def drain(self) -> None:
        """Take no more turns; those that run fail at once, so that another worker can have them."""
        self._draining = True
        with contextlib.suppress(BusError):
            await self.messenger.off(TURN_OPEN)
        last = [
            self._tell.send(turn.site, self._tell.report(turn, over))
            for turn in list(self.turns.values())
            if (over := turn.hearing.broke("the worker stops")) is not None
        ]
        for turn in list(self.turns.values()):
            self._release(turn)
        await asyncio.gather(*last)

    async def close(self) -> None:
        """Free the model."""
        await self._ears.close()

    def components(self) -> dict[str, bool]:
        """Whether there is a recogniser, and it works."""
        return {"model": self._ears.working}

    def queue(self) -> int:
        """Turns that wait for the recogniser or are with it."""
        return sum(t.hearing.state is State.TRANSCRIBING for t in self.turns.values())

    def checks(self) -> list[Check]:
        """The recogniser understands a known clip, and none has crashed lately."""
        return self._check.checks

    # What comes in

    def _opened(self, opened: TurnOpen, params: dict[str, str]) -> None:
        site, turn_id = params["site"], opened.turn_id
        known = self.turns.get(turn_id)
        if known is not None and known.opened.attempt >= opened.attempt:
            self.counts.note("open_repeated")
            if known.opened.attempt == opened.attempt and known.site == site:
                self.messenger.spawn(self._tell.claim(known), "claim")
            return
        if self._past.get(turn_id, 0) >= opened.attempt:
            self.counts.note("open_repeated")
            return
        if known is not None:
            self._release(known)
        self._begin(site, opened, opened.language or self.config.language)

    def _begin(self, site: str, opened: TurnOpen, language: str) -> None:
        if (refusal := self._refusal()) is not None:
            self._refuse(site, opened, language, refusal)
            return
        vad = self._free_vads.pop() if self._free_vads else self._make_vad()
        vad.reset()
        settings = HearingSettings.of(self.config)
        try:
            hearing = Hearing(opened.format, vad, settings, self.clock.monotonic())
        except AudioError as error:
            self._free_vads.append(vad)
            self._refuse(site, opened, language, str(error))
            return
        turn = Turn(site, opened, language, hearing, vad, self._ears.take())
        self.turns[opened.turn_id] = turn
        self.counts.note("opened")
        self.messenger.spawn(self._tell.claim(turn), "claim")
        if not self._ticking:
            self._ticking = True
            self.messenger.spawn(self._tick(), "tick")

    def _refusal(self) -> str | None:
        reasons = {
            MUTED: self.config.muted,
            "the worker stops": self._draining,
            "no model is loaded": not self._ears.loaded,
            "the worker is busy": len(self.turns) >= MAX_TURNS,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _refuse(self, site: str, opened: TurnOpen, language: str, reason: str) -> None:
        self.counts.note("refused")
        self._remember(opened)
        message = report.transcript(opened, language, Concluded("failed", reason))
        self.messenger.spawn(self._tell.send(site, message), "refuse")

    def _frame(self, frame: Frame, params: dict[str, str]) -> None:
        turn = self.turns.get(params["turn_id"])
        if turn is None or turn.site != params["site"]:
            self.counts.note("frames_unknown")
            return
        if self.config.muted:  # in mid-sentence, too: what comes from now on is not kept
            if (over := turn.hearing.broke(MUTED)) is not None:
                self._conclude(turn, over)
            return
        self.counts.note("frames")
        turn.hearing.settings = HearingSettings.of(self.config)
        now = self.clock.monotonic()
        self._act(turn, turn.hearing.frame(frame.payload, frame.properties, now))
        turn.drop_void()

    def _aborted(self, abort: TurnAbort, params: dict[str, str]) -> None:
        turn = self.turns.get(abort.turn_id)
        if turn is None or turn.site != params["site"]:
            return
        self.counts.note("aborted")
        self._release(turn)

    # What follows from it

    def _act(self, turn: Turn, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Transcribe):
                self._job(turn, self._transcribe(turn, action.clip))
            elif isinstance(action, Presume):
                if self._may_presume(turn):
                    turn.presuming = (action.clip, self._job(turn, self._presume(turn, action)))
                else:
                    turn.hearing.presumed(action.clip, None)
            elif isinstance(action, Consider) and self.queue() == 0:
                self._job(turn, self._consider(turn, action.clip))
            elif isinstance(action, LookAhead) and self._may_glimpse(turn):
                turn.glimpsing = True
                self._job(turn, self._glimpse(turn, action.clip))
            elif isinstance(action, Concluded):
                self._conclude(turn, action)

    def _may_glimpse(self, turn: Turn) -> bool:
        """Whether there is nothing better to do; a partial text is worth no heat."""
        return not turn.glimpsing and self.queue() == 0 and self.throttle is ThrottleLevel.NONE

    def _may_presume(self, turn: Turn) -> bool:
        """Whether it delays nobody: one presumption at a time, and none on a warm machine."""
        others = any(t.presuming is not None for t in self.turns.values() if t is not turn)
        return not others and self.queue() == 0 and self.throttle is ThrottleLevel.NONE

    def _job(self, turn: Turn, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.messenger.spawn(work, "recognise")
        turn.jobs.add(task)
        task.add_done_callback(turn.jobs.discard)
        return task

    async def _presume(self, turn: Turn, presume: Presume) -> None:
        heard = None
        try:
            heard = await self._recognise(turn, presume.clip)
        except Exception as error:  # the endpoint will ask again, and tell
            self.log.debug("nothing could be presumed", exc_info=error)
        finally:
            if turn.presuming is not None and turn.presuming[0] is presume.clip:
                turn.presuming = None
            actions = turn.hearing.presumed(presume.clip, heard)
        if not actions and heard is not None and turn.hearing.still_presumes(presume.clip):
            message = report.soft_final(turn.opened, turn.language, presume, heard)
            self.messenger.spawn(self._tell.send(turn.site, message), "soft-final")
        for action in actions:
            if isinstance(action, Concluded):
                late_s = self.clock.monotonic() - turn.hearing.ended_s
                self._conclude(turn, action, late_s * 1000)
            else:
                self._act(turn, [action])

    async def _transcribe(self, turn: Turn, clip: Clip) -> None:
        started = self.clock.monotonic()
        try:
            heard = await self._recognise(turn, clip)
        except ParlourError as error:
            over = turn.hearing.broke(f"{error.code}: {error}")
        except Exception as error:  # whatever the engine raises, the room hears of it
            self.log.error(  # noqa: TRY400  # the trace may hold speech: DEBUG only
                "recogniser failed", turn_id=turn.opened.turn_id,
                           kind=type(error).__name__)  # fmt: skip
            self.log.debug("recogniser failed", exc_info=error)
            over = turn.hearing.broke("the recogniser failed")
        else:
            over = turn.hearing.heard(clip, heard)
        if over is not None:
            self._conclude(turn, over, (self.clock.monotonic() - started) * 1000)

    async def _consider(self, turn: Turn, clip: Clip) -> None:
        started = self.clock.monotonic()
        heard = await self._recognise(turn, clip, quick=True)
        over = turn.hearing.considered(clip, heard)
        if over is not None:
            self._conclude(turn, over, (self.clock.monotonic() - started) * 1000)

    async def _glimpse(self, turn: Turn, clip: Clip) -> None:
        try:
            heard = await self._recognise(turn, clip, quick=True)
        finally:
            turn.glimpsing = False
        text = turn.hearing.glimpsed(heard)
        if text is not None:
            await self._tell.send(
                turn.site, report.partial(turn.opened, turn.language, text, heard)
            )

    async def _recognise(self, turn: Turn, clip: Clip, *, quick: bool = False) -> Recognition:
        await self.until_cool()
        options = Options.of(self.config, turn.language, quick=quick)
        with recognising(self.clock, clip, quick=quick):
            return await self._ears.recognise(turn.ear, clip.samples, options)

    def _conclude(self, turn: Turn, over: Concluded, transcribe_ms: float = 0.0) -> None:
        message = self._tell.report(turn, over, transcribe_ms)
        self._release(turn)
        self.messenger.spawn(self._tell.send(turn.site, message), "transcript")

    def _release(self, turn: Turn) -> None:
        """Forget a turn and stop what runs for it; its detector serves the next one."""
        turn.hearing.abort()
        if self.turns.get(turn.opened.turn_id) is turn:
            del self.turns[turn.opened.turn_id]
        self._remember(turn.opened)
        for job in turn.jobs:
            if job is not asyncio.current_task():
                job.cancel()
        self._free_vads.append(turn.vad)
        self._ears.give_back(turn.ear)

    def _remember(self, opened: TurnOpen) -> None:
        self._past[opened.turn_id] = max(opened.attempt, self._past.get(opened.turn_id, 0))
        while len(self._past) > REMEMBERED:
            self._past.popitem(last=False)

    async def _tick(self) -> None:
        try:
            while self.turns:
                await self.clock.sleep(TICK_S)
                now = self.clock.monotonic()
                for turn in list(self.turns.values()):
                    self._act(turn, turn.hearing.tick(now))
        finally:
            self._ticking = False

    async def _recheck(self) -> None:
        while True:
            await self.clock.sleep(RECHECK_S)
            well = await self._ears.recheck(lambda: self.config)
            if well and self.health is not None:
                self.health.state.error, self.health.state.ready = None, True
