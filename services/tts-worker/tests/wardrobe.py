"""Voices by name, each with a sound of its own, and somebody who listens to them change."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import Speech, TtsRequest
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_REQUEST
from parlour_kit.ids import new_id
from parlour_testkit.fakes_tts import FakeVoice
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from tts_worker.errors import VoiceBrokenError
from tts_worker.service import TtsWorker


@dataclass
class Wardrobe:
    """Makes voices; each has its own rate, so that one can hear which it was.

    Attributes:
        rates: name → samples per second; other names cannot be loaded.
        made: the settings that a voice was loaded for, and the voice, in order.
        gate: a load waits for it, in its thread.
        make_s: how long a word takes to make.
    """

    rates: dict[str, int] = field(default_factory=lambda: {"anna": 16_000, "bob": 8000})
    made: list[tuple[TTSWorkerConfig, FakeVoice]] = field(default_factory=list)
    gate: threading.Event | None = None
    make_s: float = 0.05

    def make(self, config: TTSWorkerConfig, _data_dir: Path) -> FakeVoice:
        if self.gate is not None:
            self.gate.wait(10)
        if config.piper_voice not in self.rates:
            raise VoiceBrokenError(f"{config.piper_voice} cannot be loaded")
        voice = FakeVoice(self.rates[config.piper_voice], self.make_s)
        self.made.append((config, voice))
        return voice

    @property
    def voices(self) -> list[FakeVoice]:
        return [voice for _, voice in self.made]


@dataclass
class Listener:
    """Asks a worker for sentences, hears them, and changes its settings."""

    worker: TtsWorker
    observer: Observer
    wardrobe: Wardrobe
    utterance: str = field(default_factory=new_id)

    def changed(self, **update) -> TTSWorkerConfig:
        return TTSWorkerConfig.model_validate({**self.worker.config.model_dump(), **update})

    async def change(self, **update) -> None:
        """Both phases, as the fleet does them."""
        switch = await self.worker.stage(self.changed(**update))
        assert await switch.commit() == "applied"

    async def ask(self, text: str, seq: int = 0, *, last: bool = False, **more) -> str:
        fields = {"utterance_id": self.utterance, "site": "den"} | more
        request = TtsRequest(seq=seq, last=last, text=text, **fields)
        await self.observer.messenger.send(TTS_REQUEST, request)
        return request.utterance_id

    async def event(self, kind: str, within: float = 30.0, **match) -> Speech:
        return await self.observer.until(
            SPEECH,
            lambda s: s.event == kind and all(getattr(s, k) == v for k, v in match.items()),
            within,
        )

    async def say(self, text: str) -> Speech:
        """Have a sentence spoken by itself; what was told of it."""
        utterance = await self.ask(text, last=True, utterance_id=new_id())
        await self.event("completed", utterance_id=utterance)
        return await self.event("sentence", utterance_id=utterance)

    def started(self) -> list[tuple[str, float]]:
        """What was begun, and when."""
        seen = [s for s in self.observer.seen if s.topic is SPEECH]
        return [(s.message.text, s.at) for s in seen if s.message.event == "started"]

    def frames(self, utterance: str) -> list[tuple[dict[str, str], np.ndarray]]:
        """The frames of an utterance."""
        return [
            (s.message.properties, np.frombuffer(s.message.payload, "<i2"))
            for s in self.observer.seen
            if s.topic is AUDIO_OUT and s.params["utterance_id"] == utterance
        ]

    def rates(self, utterance: str) -> list[int]:
        """The rate of each sentence of an utterance, in their order."""
        rates = {int(p["sentence"]): int(p["rate"]) for p, _ in self.frames(utterance)}
        return [rates[n] for n in sorted(rates)]


@asynccontextmanager
async def listening(
    broker: MemoryBroker, wardrobe: Wardrobe | None = None, **config
) -> AsyncIterator[Listener]:
    """A worker with the voice of Anna, and who listens to it; all voices are freed at the end."""
    wardrobe = wardrobe or Wardrobe()
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    async with memory_service(
        TtsWorker,
        broker,
        config=TTSWorkerConfig(**{"piper_voice": "anna"} | config),
        engine_factory=wardrobe.make,
    ) as worker:
        yield Listener(worker, observer, wardrobe)
    assert all(voice.closed for voice in wardrobe.voices)
