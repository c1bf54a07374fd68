"""Workers with timelines, on the bus: they claim, stream and speak as the real ones do.

They use the real topics and models, so that what stands between them is tested as it is. All
times are seconds of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from parlour_contracts.base import Uuid7
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import (
    LlmCancel,
    LlmReply,
    LlmRequest,
    WireError,
)
from parlour_contracts.messages.tts import Speech, TtsCancel, TtsRequest, TtsTimings
from parlour_contracts.messages.turn import SttTimings, Transcript, TurnAbort, TurnClaimed, TurnOpen
from parlour_contracts.topics import (
    AUDIO_OUT,
    HEALTH,
    LLM_CANCEL,
    LLM_REPLY,
    LLM_REQUEST,
    SPEECH,
    STT_AUDIO,
    TRANSCRIPT,
    TTS_CANCEL,
    TTS_REQUEST,
    TURN_ABORT,
    TURN_CLAIMED,
    TURN_OPEN,
)
from parlour_kit.bus import Will
from parlour_kit.clock import LoopClock, utc_text
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger

from parlour_testkit.memory_bus import MemoryBroker

FRAME_MS = 100
RATE = 16_000


class ScriptedWorker:
    """What the fakes share: a connection, a health with a last will, tasks that end with it."""

    service = "worker"

    def __init__(self, broker: MemoryBroker, instance: str) -> None:
        self.instance = instance
        self.boot: Uuid7 = new_id()
        self.bus = broker.client(instance, self._will())
        self.messenger = Messenger(self.bus, instance, LoopClock())
        self._seq = 0

    def _health(self, event: str, *, seq: int) -> Health:
        gone = event in ("lwt", "stopping")
        return Health(
            service=self.service,
            instance=self.instance,
            status="offline" if gone else "healthy",
            ok=not gone,
            ready=not gone,
            version="0.1.0",
            boot=self.boot,
            conn=1,
            seq=seq,
            interval_s=5.0,
            issued_at=utc_text(LoopClock().wall()),
            event=event,  # type: ignore[arg-type]  # one of the literals
        )

    def _will(self) -> Will:
        message = self._health("lwt", seq=0)
        return Will(HEALTH.topic(instance=self.instance), message.encode())

    async def start(self) -> None:
        """Listen; then tell that it is there."""
        await self.listen()
        await self.beat("birth")
        self.messenger.spawn(self._beat_forever(), "health")

    async def listen(self) -> None:
        """Subscribe."""

    async def beat(self, event: str = "heartbeat") -> None:
        """Tell its health."""
        self._seq += 1
        await self.messenger.send(
            HEALTH, self._health(event, seq=self._seq), instance=self.instance
        )

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            await self.beat()

    async def kill(self) -> None:
        """Die without a word, as of -9."""
        self.bus.kill()
        await self.messenger.close()


class ScriptedSttWorker(ScriptedWorker):
    """Claims turns and hears what its script says, without listening.

    Attributes:
        script: text by text, one for each turn; None is an empty turn.
        final_s: how long after the claim the transcript comes; None is never.
    """

    service = "stt-worker"

    def __init__(
        self,
        broker: MemoryBroker,
        *script: str | None,
        final_s: float | None = 1.0,
        instance: str = "stt-worker",
    ) -> None:
        super().__init__(broker, instance)
        self.script = list(script)
        self.final_s = final_s

    async def listen(self) -> None:
        """Take turns."""
        await self.messenger.on(TURN_OPEN, self._opened)

    async def _opened(self, opened: TurnOpen, params: dict[str, str]) -> None:
        site = params["site"]
        text = self.script.pop(0) if self.script else None
        topic = STT_AUDIO.topic(instance=self.instance, site=site, turn_id=opened.turn_id)
        claim = TurnClaimed(
            turn_id=opened.turn_id,
            attempt=opened.attempt,
            instance=self.instance,
            audio_topic=topic,
            lease_ms=5000,
        )
        await self.messenger.send(TURN_CLAIMED, claim, site=site)
        if self.final_s is None:
            return
        await asyncio.sleep(self.final_s)
        final = Transcript(
            kind="final" if text else "empty",
            turn_id=opened.turn_id,
            attempt=opened.attempt,
            text=text or "",
            is_final=bool(text),
            confidence=0.9 if text else 0.0,
            timings=SttTimings(endpoint_wait_ms=500, transcribe_ms=200, audio_ms=2000),
        )
        await self.messenger.send(TRANSCRIPT, final, site=site)


@dataclass(frozen=True)
class Answer:
    """What a model says to one request.

    Attributes:
        deltas: the pieces of the answer.
        first_s: from the claim to the first piece.
        each_s: from one piece to the next.
        fails: the code of a failure that ends it instead of ``done``.
        retryable: whether that failure is worth another attempt.
        hangs: it falls silent after its pieces.
        unclaimed: it does not even claim.
    """

    deltas: Sequence[str] = ()
    first_s: float = 0.2
    each_s: float = 0.05
    fails: str | None = None
    retryable: bool = False
    hangs: bool = False
    unclaimed: bool = False

    @classmethod
    def of(cls, text: str, *, first_s: float = 0.2, each_s: float = 0.05) -> Answer:
        """A text, a word at a time, as models make them."""
        first, *others = text.split(" ")
        return cls((first, *(f" {w}" for w in others)), first_s, each_s)


class ScriptedLlmWorker(ScriptedWorker):
    """Answers as its script says.

    Attributes:
        script: one answer for each request, or a function from the request; the last stays.
        requests: what came.
        cancelled: the requests that were cancelled while they ran.
        sent: when each piece went out, by request.
    """

    service = "llm-worker"

    def __init__(
        self,
        broker: MemoryBroker,
        *script: Answer | str | Callable[[LlmRequest], Answer],
        instance: str = "llm-worker",
    ) -> None:
        super().__init__(broker, instance)
        self.script = [Answer.of(s) if isinstance(s, str) else s for s in script]
        self.requests: list[LlmRequest] = []
        self.cancelled: list[str] = []
        self.sent: dict[str, list[float]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turns: dict[str, str] = {}

    async def listen(self) -> None:
        """Take requests and cancels."""
        await self.messenger.on(LLM_CANCEL, self._on_cancel, instance=self.instance)
        await self.messenger.on(TURN_ABORT, self._on_abort)
        await self.messenger.on(LLM_REQUEST, self._on_request)

    def _on_request(self, request: LlmRequest, _params: dict[str, str]) -> None:
        self.requests.append(request)
        scripted = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        answer = scripted(request) if callable(scripted) else scripted
        task = self.messenger.spawn(self._answer(request, answer), "answer")
        self._running[request.request_id] = task
        self._turns[request.request_id] = request.turn_id

    def _on_cancel(self, cancel: LlmCancel, _params: dict[str, str]) -> None:
        self._stop(cancel.request_id)

    def _on_abort(self, abort: TurnAbort, _params: dict[str, str]) -> None:
        for request_id, turn_id in list(self._turns.items()):
            if turn_id == abort.turn_id:
                self._stop(request_id)

    def _stop(self, request_id: str) -> None:
        task = self._running.pop(request_id, None)
        if task is not None and not task.done():
            task.cancel()
            self.cancelled.append(request_id)

    async def _answer(self, request: LlmRequest, answer: Answer) -> None:
        if answer.unclaimed:
            return
        router = request.reply_topic.rsplit("/", 1)[1]

        async def send(kind: str, **fields: object) -> None:
            reply = LlmReply.model_validate(
                {"kind": kind, "request_id": request.request_id, "instance": self.instance} | fields
            )
            await self.messenger.send(LLM_REPLY, reply, instance=router)

        await send("claimed")
        for seq, delta in enumerate(answer.deltas):
            await asyncio.sleep(answer.first_s if seq == 0 else answer.each_s)
            now = asyncio.get_running_loop().time()
            self.sent.setdefault(request.request_id, []).append(now)
            await send("delta", seq=seq, delta=delta)
        if answer.hangs:
            await asyncio.Event().wait()
        if answer.fails is not None:
            error = WireError(code=answer.fails, message="scripted", retryable=answer.retryable)
            await send("failed", error=error, done=True, finish_reason="error")
            return
        text = "".join(answer.deltas)
        await send("done", seq=len(answer.deltas), text=text, done=True, finish_reason="stop")


@dataclass
class Spoken:
    """What a room was told: the sentences that sounded, in order, and when."""

    texts: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)


class ScriptedTtsWorker(ScriptedWorker):
    """Speaks sentence by sentence: frames of silence, then what happened.

    Attributes:
        make_s: how long a sentence takes to make.
        char_s: how long a character sounds.
        faults: texts that fail.
        mute: it takes sentences and says nothing.
        sample: the value of each sample of its sound; 0 is silence.
        spoken: by room, what sounded.
        requests: what came.
        cancelled: the utterances that were stopped.
    """

    service = "tts-worker"

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        make_s: float = 0.1,
        char_s: float = 0.06,
        faults: Callable[[str], bool] = lambda _text: False,
        mute: bool = False,
        sample: int = 0,
        instance: str = "tts-worker",
    ) -> None:
        super().__init__(broker, instance)
        self.make_s = make_s
        self.char_s = char_s
        self.faults = faults
        self.mute = mute
        self.sample = sample
        self.spoken: dict[str, Spoken] = {}
        self.requests: list[TtsRequest] = []
        self.cancelled: list[str] = []
        self._queue: asyncio.Queue[TtsRequest] = asyncio.Queue()
        self._void_turns: set[str] = set()

    async def listen(self) -> None:
        """Take sentences and cancels."""
        self.messenger.spawn(self._speak_forever(), "speak")
        await self.messenger.on(TTS_CANCEL, self._on_cancel, instance=self.instance)
        await self.messenger.on(TURN_ABORT, self._on_abort)
        await self.messenger.on(TTS_REQUEST, self._on_request)

    def _on_request(self, request: TtsRequest, _params: dict[str, str]) -> None:
        self.requests.append(request)
        if not self.mute:
            self._queue.put_nowait(request)

    def _on_cancel(self, cancel: TtsCancel, _params: dict[str, str]) -> None:
        self.cancelled.append(cancel.utterance_id)

    def _on_abort(self, abort: TurnAbort, _params: dict[str, str]) -> None:
        self._void_turns.add(abort.turn_id)

    def _void(self, request: TtsRequest) -> bool:
        return request.utterance_id in self.cancelled or request.turn_id in self._void_turns

    async def _speak_forever(self) -> None:
        while True:
            request = await self._queue.get()
            if not self._void(request):
                await self._speak(request)

    async def _speak(self, request: TtsRequest) -> None:
        async def tell(event: str, **fields: object) -> None:
            speech = Speech.model_validate(
                {
                    "event": event,
                    "utterance_id": request.utterance_id,
                    "turn_id": request.turn_id,
                    "instance": self.instance,
                    "seq": request.seq,
                }
                | fields
            )
            await self.messenger.send(SPEECH, speech, site=request.site)

        if request.text:
            await tell("started", text=request.text)
            await asyncio.sleep(self.make_s)
            if self._void(request):
                await tell("cancelled")
                return
            if self.faults(request.text):
                await tell("failed", error=WireError(code="TTS_BROKEN", message="scripted"))
                return
            await self._sound(request)
            duration = len(request.text) * self.char_s * 1000
            timings = TtsTimings(first_audio_ms=self.make_s * 1000, total_ms=self.make_s * 1000)
            await tell("sentence", text=request.text, duration_ms=duration, timings=timings)
        if request.last:
            await tell("completed")

    async def _sound(self, request: TtsRequest) -> None:
        spoken = self.spoken.setdefault(request.site, Spoken())
        spoken.texts.append(request.text)
        spoken.at.append(asyncio.get_running_loop().time())
        frame = self.sample.to_bytes(2, "little", signed=True) * (RATE * FRAME_MS // 1000)
        for seq in range(max(1, round(len(request.text) * self.char_s * 1000 / FRAME_MS))):
            properties = {
                "seq": str(seq), "rate": str(RATE), "start_ms": str(seq * FRAME_MS),
                "sentence": str(request.seq), "end": "0", "last": "0",
            }  # fmt: skip
            await self.messenger.send_frame(
                AUDIO_OUT, frame, properties, site=request.site, utterance_id=request.utterance_id
            )
