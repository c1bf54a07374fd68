"""A room that speaks to stt-worker, and changes of its settings, for the tests beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from parlour_audio.frames import Pcm16, split
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat, Transcript, TurnOpen
from parlour_contracts.topics import HEALTH, STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from stt_worker.recogniser import Recogniser
from stt_worker.service import SttWorker

QUESTION = (silence(300), tone(1000), silence(1500))


class Room:
    """A satellite: opens a turn, streams in real time or at once, waits for the transcript."""

    def __init__(self, observer: Observer, site: str) -> None:
        self.observer = observer
        self.site = site

    async def open(self, form: AudioFormat | None = None) -> TurnOpen:
        turn = TurnOpen(
            turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z", format=form or AudioFormat()
        )
        await self.observer.messenger.send(TURN_OPEN, turn, site=self.site)
        await self.observer.until(TURN_CLAIMED, lambda c: c.turn_id == turn.turn_id)
        return turn

    async def play(self, turn: TurnOpen, *sounds: Pcm16, pace_s: float = 0.1) -> None:
        channels = turn.format.channels
        frames = list(split(np.concatenate(sounds), turn.format.rate, 100, channels))
        for n, frame in enumerate(frames):
            # Who does not play in real time says where the end is.
            end = {"end": "1"} if not pace_s and n == len(frames) - 1 else {}
            await self.observer.messenger.send_frame(
                STT_AUDIO, frame.tobytes(), {"seq": str(n), **end},
                instance="stt-worker", site=self.site, turn_id=turn.turn_id,
            )  # fmt: skip
            await asyncio.sleep(pace_s)

    async def result(self, turn: TurnOpen) -> Transcript:
        return await self.observer.until(
            TRANSCRIPT, lambda t: t.turn_id == turn.turn_id and t.is_final
        )

    async def ask(
        self, *sounds: Pcm16, form: AudioFormat | None = None, pace_s: float = 0.1
    ) -> Transcript:
        turn = await self.open(form)
        await self.play(turn, *(sounds or QUESTION), pace_s=pace_s)
        return await self.result(turn)


async def room(broker: MemoryBroker, site: str = "kitchen") -> Room:
    observer = await Observer(broker.client(site)).watch(TURN_CLAIMED, TRANSCRIPT, HEALTH)
    return Room(observer, site)


def changed(config: STTWorkerConfig, **fields: object) -> STTWorkerConfig:
    return STTWorkerConfig.model_validate({**config.model_dump(), **fields}, strict=True)


async def change(service: SttWorker, **fields: object) -> None:
    """Both phases of a change, as the process does them."""
    switch = await service.stage(changed(service.config, **fields))
    assert await switch.commit() == "applied"


@asynccontextmanager
async def worker(
    broker: MemoryBroker, recogniser: Callable[[], Recogniser], **config: object
) -> AsyncIterator[SttWorker]:
    """A worker; it transcribes ahead only where a test says so."""
    settings = changed(STTWorkerConfig(), **{"transcribe_ahead": False, **config})
    async with memory_service(
        SttWorker, broker, config=settings, recogniser=recogniser, vad=LoudnessVad
    ) as service:
        assert isinstance(service, SttWorker)
        yield service


def fake(recogniser: FakeRecogniser) -> Callable[[], Any]:
    return recogniser.factory()
