"""A fleet with a script: it claims turns, hears their end, answers with a tone; on virtual time.

It stands in for stt-worker, router and tts-worker together, where the side that asks is tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.room import Ask, Playback, RoomState, Say, TurnTimings, TurnTrace
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.messages.turn import Transcript, TurnClaimed, TurnOpen
from parlour_contracts.topics import (
    ASK,
    AUDIO_OUT,
    HEALTH,
    PLAYBACK,
    ROOM_STATE,
    SAY,
    SPEECH,
    STT_AUDIO,
    TRANSCRIPT,
    TTS_REQUEST,
    TURN_CLAIMED,
    TURN_OPEN,
    TURN_TRACE,
)
from parlour_kit.clock import LoopClock, utc_text
from parlour_kit.ids import new_id
from parlour_kit.messenger import Frame, Messenger

from parlour_testkit.memory_bus import MemoryBroker

RATE = 16_000
FRAME_S = 0.1


@dataclass
class ScriptedFleet:
    """What it does can be changed at any time.

    Attributes:
        claims: how many ``open`` are answered before it falls deaf; None answers all.
        silence_frames: how many silent frames after speech end a turn.
        text: what it understands.
        sentences: its answer.
        think_s: from the transcript to the first sentence.
        outcome: how each turn ends.
        tone_s: how long a sentence sounds; 0 makes no sound.
        order: the order in which the frames of an answer are sent, by index; None keeps it.
        waits: whether a turn ends only when it has been played.
        opens: the ``open`` messages that came.
        heard: the frames of each attempt, with their properties.
        playback: what the loudspeaker told.
    """

    broker: MemoryBroker
    claims: int | None = None
    silence_frames: int = 25
    text: str = "what's the weather"
    kind: Literal["final", "empty", "failed"] = "final"
    sentences: tuple[str, ...] = ("It is sunny.", "Take no umbrella.")
    think_s: float = 0.2
    outcome: Literal["replied", "empty", "cancelled", "failed"] = "replied"
    error: WireError | None = None
    tone_s: float = 0.5
    order: tuple[int, ...] | None = None
    waits: bool = True
    opens: list[TurnOpen] = field(default_factory=list)
    heard: dict[int, list[tuple[bytes, Mapping[str, str]]]] = field(default_factory=dict)
    playback: list[Playback] = field(default_factory=list)

    async def start(self) -> ScriptedFleet:
        """Connect and be healthy."""
        clock = LoopClock()
        self._boots = {n: new_id() for n in ("stt-worker", "router", "tts-worker")}
        self._seq = 0
        self._turns: dict[str, tuple[str, int]] = {}
        self._session = new_id()
        self._done: set[str] = set()
        self._finished = asyncio.Event()
        self._messenger = Messenger(self.broker.client("fleet"), "stt-worker", clock)
        m = self._messenger
        await m.on(TURN_OPEN, self._opened)
        await m.on_frame(STT_AUDIO, self._frame)
        await m.on(ASK, self._asked)
        await m.on(SAY, self._said)
        await m.on(TTS_REQUEST, self._speak_request)
        await m.on(PLAYBACK, self._played)
        for service in self._boots:
            await self.health(service)
        return self

    async def health(self, service: str, *, boot: str | None = None, ready: bool = True) -> None:
        """Publish a health message; another ``boot`` is a restart."""
        self._boots[service] = boot or self._boots[service]
        self._seq += 1
        await self._messenger.send(
            HEALTH,
            Health(
                service=service, instance=service, status="healthy" if ready else "offline",
                ok=ready, ready=ready, version="0.1.0", boot=self._boots[service], conn=1,
                seq=self._seq, interval_s=1000.0, event="heartbeat" if ready else "lwt",
                issued_at=utc_text(self._messenger.clock.wall()),
            ),
            instance=service,
        )  # fmt: skip

    async def stop(self) -> None:
        """Be gone."""
        await self._messenger.close()

    async def _opened(self, opened: TurnOpen, levels: dict[str, str]) -> None:
        self.opens.append(opened)
        if self.claims is not None and len(self.opens) > self.claims:
            return
        site, turn_id = levels["site"], opened.turn_id
        self._turns[turn_id] = (site, opened.attempt)
        topic = STT_AUDIO.topic(instance="stt-worker", site=site, turn_id=turn_id)
        claim = TurnClaimed(turn_id=turn_id, attempt=opened.attempt, instance="stt-worker",
                            audio_topic=topic, lease_ms=5000)  # fmt: skip
        await self._messenger.send(TURN_CLAIMED, claim, site=site)

    def _frame(self, frame: Frame, levels: dict[str, str]) -> None:
        turn_id = levels["turn_id"]
        if turn_id not in self._turns or turn_id in self._done:
            return
        site, attempt = self._turns[turn_id]
        frames = self.heard.setdefault(attempt, [])
        frames.append((frame.payload, frame.properties))
        tail = [p for p, _ in frames[-self.silence_frames :]]
        spoken = any(any(p) for p, _ in frames)
        if spoken and len(tail) == self.silence_frames and not any(any(p) for p in tail):
            self._done.add(turn_id)
            self._messenger.spawn(self._conclude(site, turn_id, attempt), "conclude")

    async def _conclude(self, site: str, turn_id: str, attempt: int) -> None:
        text = self.text if self.kind == "final" else ""
        transcript = Transcript(
            kind=self.kind, turn_id=turn_id, attempt=attempt, text=text, confidence=0.9,
            is_final=self.kind == "final",
        )  # fmt: skip
        await self._messenger.send(TRANSCRIPT, transcript, site=site)
        await self._answer(site, turn_id)

    async def _asked(self, ask: Ask, levels: dict[str, str]) -> None:
        await self._answer(levels["site"], ask.turn_id or new_id())

    async def _said(self, say: Say, levels: dict[str, str]) -> None:
        await self._utter(levels["site"], new_id(), None, (say.text,))

    async def _speak_request(self, request: TtsRequest, _levels: dict[str, str]) -> None:
        await self._utter(request.site, request.utterance_id, None, (request.text,))

    async def _answer(self, site: str, turn_id: str) -> None:
        send, clock = self._messenger.send, self._messenger.clock
        state = RoomState(session_id=self._session, status="active", state="THINKING",
                          since=utc_text(clock.wall()), turn_id=turn_id)  # fmt: skip
        await send(ROOM_STATE, state, site=site)
        await asyncio.sleep(self.think_s)
        utterance_id = new_id()
        await self._utter(site, utterance_id, turn_id, self.sentences)
        if self.waits and self.tone_s and self.sentences:
            await self._finished.wait()
        timings = TurnTimings(final_to_first_token_ms=self.think_s * 600,
                              first_token_to_first_sentence_ms=self.think_s * 400)  # fmt: skip
        trace = TurnTrace(
            turn_id=turn_id, session_id=self._session, utterance_id=utterance_id,
            outcome=self.outcome, transcript=self.text, reply=" ".join(self.sentences),
            sentences=len(self.sentences), timings=timings, error=self.error,
        )  # fmt: skip
        await send(TURN_TRACE, trace, site=site)

    async def _utter(
        self, site: str, utterance_id: str, turn_id: str | None, sentences: tuple[str, ...]
    ) -> None:
        frames = [f for n in range(len(sentences)) for f in self._tone(n, len(sentences))]
        for index in self.order or range(len(frames)):
            payload, properties = frames[index]
            await self._messenger.send_frame(
                AUDIO_OUT, payload, properties, site=site, utterance_id=utterance_id
            )
        for number, text in enumerate(sentences):
            for event in ("started", "sentence"):
                await self._tell(site, utterance_id, turn_id, event, number, text)
        await self._tell(site, utterance_id, turn_id, "completed", len(sentences) - 1)

    async def _tell(
        self, site: str, utterance_id: str, turn_id: str | None, event: str, seq: int,
        text: str = "",
    ) -> None:  # fmt: skip
        speech = Speech.model_validate(
            {"event": event, "utterance_id": utterance_id, "turn_id": turn_id,
             "instance": "tts-worker", "seq": max(seq, 0), "text": text,
             "duration_ms": self.tone_s * 1000}
        )  # fmt: skip
        await self._messenger.send(SPEECH, speech, site=site)

    def _tone(self, sentence: int, sentences: int) -> list[tuple[bytes, dict[str, str]]]:
        count = round(self.tone_s / FRAME_S)
        tone = np.full(round(RATE * FRAME_S), 8000, "<i2").tobytes()
        return [
            (tone, {
                "seq": str(sentence * count + n), "rate": str(RATE), "sentence": str(sentence),
                "start_ms": str(round(n * FRAME_S * 1000)), "end": str(int(n == count - 1)),
                "last": str(int(n == count - 1 and sentence == sentences - 1)),
            })
            for n in range(count)
        ]  # fmt: skip

    def _played(self, playback: Playback, _levels: dict[str, str]) -> None:
        self.playback.append(playback)
        if playback.event == "finished":
            self._finished.set()
