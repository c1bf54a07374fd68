"""tts-worker's whole traffic: sentences in, frames and what happened to them out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TypedDict

from parlour_contracts.config import needs_reload
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest, TtsTimings
from parlour_contracts.messages.turn import TurnAbort
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_CANCEL, TTS_REQUEST, TURN_ABORT
from parlour_kit.errors import ParlourError, TooHotError
from parlour_kit.probes.checks import Check
from parlour_kit.service import PAUSE_S, Context, Service
from parlour_kit.switch import Switch, switch_of
from parlour_kit.vitals import ThrottleLevel

from tts_worker import measuring
from tts_worker.backends import make_engine
from tts_worker.checking import VoiceCheck
from tts_worker.engine import Engine, EngineFactory
from tts_worker.errors import QueueFullError, StoppingError, SynthesisError
from tts_worker.framing import OutFrame
from tts_worker.queueing import REMEMBERED, Dropped, Offer, SpeechQueue, Waiting
from tts_worker.session import SentenceSession, Spoken
from tts_worker.text import speakable
from tts_worker.voices import Voices

DRAIN_S = 2.0


class _Subject(TypedDict):
    """What every event about a sentence says of it."""

    utterance_id: str
    turn_id: str | None
    instance: str
    seq: int


class TtsWorker(Service[TTSWorkerConfig]):
    """Speaks sentences, one at a time, in the order that :mod:`tts_worker.queueing` decides.

    Handlers only note what came and return; one task speaks and one publishes the events, so
    a cancel is seen while the voice computes, and no event overtakes another.
    """

    name = "tts-worker"
    config_model = TTSWorkerConfig

    def __init__(
        self, ctx: Context, config: TTSWorkerConfig, engine_factory: EngineFactory = make_engine
    ) -> None:
        super().__init__(ctx, config)
        self._voices = Voices(engine_factory, ctx.data_dir)
        self._listening = False
        self._queue = SpeechQueue()
        self._session: SentenceSession | None = None
        self._wake = asyncio.Event()
        self._events: asyncio.Queue[tuple[str, Speech]] = asyncio.Queue()
        self._next_frame: OrderedDict[str, int] = OrderedDict()
        self._playing_until = 0.0
        self._stopping = False
        self._check = VoiceCheck(
            self._voices,
            self.clock,
            busy=lambda: self.queue() > 0 or self._stopping or not self.cool.is_set(),
            computing=lambda: self._session is not None,
        )

    async def load(self) -> None:
        """Load the voice; errors as in :func:`tts_worker.backends.make_engine`."""
        self._take(await self._voices.load(self.config), self.config)

    async def serve(self) -> None:
        """Listen. Without a voice no work is taken: it is left to other instances."""
        self.messenger.spawn(self._speak_forever(), "speak")
        self.messenger.spawn(self._publish_forever(), "publish")
        await self.messenger.on(TTS_CANCEL, self._on_cancel, instance=self.messenger.instance)
        await self.messenger.on(TURN_ABORT, self._on_abort)
        if self._voices.ready:
            await self._listen()

    async def stage(self, new: TTSWorkerConfig) -> Switch:
        """Load another voice where the settings want one, or none could be loaded so far.

        From the switch on, the next sentence is spoken as ``new`` says; the volume also in the
        middle of one.

        Raises:
            ParlourError: as :func:`tts_worker.backends.make_engine`; the old voice goes on.
        """
        if self._voices.ready and not needs_reload(self.config, new):
            return switch_of(lambda: self._use(new))
        engine = await self._voices.load(new)

        async def commit() -> None:
            self._take(engine, new)
            self._use(new)
            if not self._listening:
                try:
                    await self._listen()
                except ParlourError as error:  # the next connection listens again
                    self.log.warning("not_listening", code=error.code)

        return switch_of(commit, lambda: self._voices.free(engine))

    def _take(self, engine: Engine, config: TTSWorkerConfig) -> None:
        self._voices.take(engine, config.piper_voice, self.clock.monotonic())

    def _use(self, new: TTSWorkerConfig) -> None:
        self.config = new
        self._wake.set()  # what comes next may depend on it

    async def _listen(self) -> None:
        """Take work."""
        self._listening = True
        await self.messenger.on(TTS_REQUEST, self._on_request)

    async def drain(self) -> None:
        """Take no more; what is not spoken fails, retryably, so that another may speak it."""
        self._stopping = True
        error = StoppingError("this worker is stopping").wire()
        if self._session is not None and not self._session.stopped:
            self._session.stop()
            self._failed(self._session.request, error)
        for waiting in self._queue.clear():
            self._failed(waiting.request, error)
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.messenger.off(TTS_REQUEST)
                await self._events.join()
        except (TimeoutError, ParlourError) as late:
            self.log.warning("events_unsent", kind=type(late).__name__)

    async def close(self) -> None:
        """Free the voice."""
        await self._voices.close()

    def throttled(self, level: ThrottleLevel) -> None:
        """On a hot machine the sentence that is being made is the last one until it cools down."""
        super().throttled(level)
        self._wake.set()

    def components(self) -> dict[str, bool]:
        """The voice is loaded and has spoken its test phrase."""
        return {"tts": self._voices.ready}

    def queue(self) -> int:
        """Sentences that wait or are being spoken."""
        return len(self._queue) + (self._session is not None)

    def checks(self) -> list[Check]:
        """The voice says a word."""
        return [self._check.check]

    def _on_request(self, request: TtsRequest, _params: dict[str, str]) -> None:
        if self._stopping:
            self._failed(request, StoppingError("this worker is stopping").wire())
            return
        self._check.give_way()
        offer, dropped = self._queue.offer(request, self.clock.monotonic())
        self._stop_void(dropped)
        measuring.offered(offer)
        if offer is Offer.VOID:
            self._publish(request, Speech(event="cancelled", **self._of(request)))
        elif offer is Offer.FULL:
            self._failed(request, QueueFullError("too many sentences wait").wire())
        self._wake.set()

    def _on_cancel(self, message: TtsCancel, _params: dict[str, str]) -> None:
        dropped = self._queue.cancel(message.utterance_id)
        self._stop_void([dropped] if dropped else [])

    def _on_abort(self, message: TurnAbort, _params: dict[str, str]) -> None:
        self._stop_void(self._queue.abort(message.turn_id, message.revision))

    def _stop_void(self, dropped: list[Dropped]) -> None:
        """Silence what became void and tell so, once for each utterance."""
        measuring.cancelled(len(dropped))
        session = self._session
        if session is not None and not session.stopped and self._queue.is_void(session.request):
            session.stop()
            self._publish(session.request, Speech(event="cancelled", **self._of(session.request)))
            dropped = [d for d in dropped if d.utterance_id != session.request.utterance_id]
            self._playing_until = 0.0
        for d in dropped:
            self._playing_until = 0.0
            event = Speech(
                event="cancelled",
                utterance_id=d.utterance_id,
                turn_id=d.turn_id,
                instance=self.messenger.instance,
                seq=d.seq,
            )
            self._events.put_nowait((d.site, event))
            self._next_frame.pop(d.utterance_id, None)
        self._wake.set()

    async def _speak_forever(self) -> None:
        while True:
            self._wake.clear()
            now = self.clock.monotonic()
            waiting, again = self._next(now)
            if waiting is not None:
                with self._voices.lent() as engine:
                    await self._speak(waiting, engine)
                self._queue.spoken(waiting.request, self.clock.monotonic())
                continue
            try:
                async with asyncio.timeout(None if again is None else max(0.0, again - now)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _next(self, now: float) -> tuple[Waiting | None, float | None]:
        """What to speak now, or when to look again."""
        if not self.cool.is_set():
            for late in self._queue.overdue(now, PAUSE_S):
                error = TooHotError("this machine was too hot to speak in time")
                self._failed(late.request, error.wire())
            oldest = self._queue.oldest
            return None, None if oldest is None else oldest + PAUSE_S
        if not self.config.tts_pipeline and now < self._playing_until:
            return None, self._playing_until
        return self._queue.take(
            now,
            keep_together=self.config.tts_aggregate_by_utt,
            hold_s=self.config.tts_aggregate_timeout_sec,
        )

    async def _speak(self, waiting: Waiting, engine: Engine) -> None:
        voice = self._voices.asked(waiting.request.voice, waiting.arrived)
        request = waiting.request.model_copy(update={"voice": voice})
        taken = self.clock.monotonic()
        text = speakable(request.text)
        only_end = request.last and not request.text.strip()
        session = self._session = SentenceSession(
            request,
            text,
            engine,
            lambda frame: self._send_frame(request, frame),
            self.clock,
            lambda: self.config,
            self._next_frame.get(request.utterance_id, 0),
        )
        queue_ms = (taken - waiting.arrived) * 1000
        if not only_end:
            timings = TtsTimings(queue_ms=queue_ms)
            self._publish(
                request, Speech(event="started", text=text, timings=timings, **self._of(request))
            )
        try:
            spoken = await session.run()
        except ParlourError as error:
            self._give_up(session, error)
        except Exception as error:  # noqa: BLE001  # an engine may raise anything; the worker goes on
            self._give_up(session, SynthesisError(f"the engine failed ({type(error).__name__})"))
        else:
            if spoken is not None:
                self._completed(request, text, spoken, queue_ms, taken, only_end=only_end)
        finally:
            self._session = None

    def _completed(
        self, request: TtsRequest, text: str, spoken: Spoken, queue_ms: float, taken: float,
        *, only_end: bool,
    ) -> None:  # fmt: skip
        timings = TtsTimings(
            queue_ms=queue_ms, first_audio_ms=spoken.first_audio_ms, total_ms=spoken.total_ms
        )
        if not only_end:
            measuring.spoken(spoken, timings)
            self._check.spoke()
            sentence = Speech(
                event="sentence",
                text=text,
                words=spoken.words,
                words_estimated=spoken.words_estimated,
                duration_ms=spoken.duration_ms,
                timings=timings,
                **self._of(request),
            )
            self._publish(request, sentence)
        if request.last:
            self._next_frame.pop(request.utterance_id, None)
            self._publish(request, Speech(event="completed", timings=timings, **self._of(request)))
        else:
            self._next_frame[request.utterance_id] = spoken.next_frame
            while len(self._next_frame) > REMEMBERED:
                self._next_frame.popitem(last=False)
        begins = max(self._playing_until, taken + spoken.first_audio_ms / 1000)
        self._playing_until = begins + spoken.duration_ms / 1000
        self.log.info(
            "sentence spoken",
            utterance_id=request.utterance_id,
            turn_id=request.turn_id,
            seq=request.seq,
            characters=len(text),
            duration_ms=round(spoken.duration_ms),
            queue_ms=round(queue_ms),
            first_audio_ms=round(spoken.first_audio_ms),
            total_ms=round(spoken.total_ms),
            words_estimated=spoken.words_estimated,
        )

    def _give_up(self, session: SentenceSession, error: ParlourError) -> None:
        if session.stopped:
            return
        session.stop()
        self._check.spoke(error)
        self.log.error("sentence failed", utterance_id=session.request.utterance_id,
                       seq=session.request.seq, code=error.code)  # fmt: skip
        self._failed(session.request, error.wire())

    def _failed(self, request: TtsRequest, error: WireError) -> None:
        measuring.failed()
        self._publish(request, Speech(event="failed", error=error, **self._of(request)))

    async def _send_frame(self, request: TtsRequest, frame: OutFrame) -> None:
        levels = {"site": request.site, "utterance_id": request.utterance_id}
        await self.messenger.send_frame(AUDIO_OUT, frame.payload, frame.properties, **levels)

    def _of(self, request: TtsRequest) -> _Subject:
        """Which sentence an event is about."""
        return {
            "utterance_id": request.utterance_id,
            "turn_id": request.turn_id,
            "instance": self.messenger.instance,
            "seq": request.seq,
        }

    def _publish(self, request: TtsRequest, event: Speech) -> None:
        self._events.put_nowait((request.site, event))

    async def _publish_forever(self) -> None:
        while True:
            site, event = await self._events.get()
            try:
                await self.messenger.send(SPEECH, event, site=site)
            except ParlourError as error:
                self.log.warning("event_unsent", kind=event.event, code=error.code)
            finally:
                self._events.task_done()
