"""What tts-worker's metrics say of the sentences that it had."""

from __future__ import annotations

import pytest
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.topics import SPEECH, TTS_REQUEST
from parlour_kit.ids import new_id
from parlour_kit.metrics import REGISTRY
from parlour_testkit.fakes_tts import FakeVoice
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from tts_worker.service import TtsWorker


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_sentence_leaves_how_fast_it_was_spoken(broker: MemoryBroker) -> None:
    names = ("parlour_tts_real_time_factor_sum", "parlour_tts_audio_seconds_total",
             "parlour_tts_first_audio_seconds_sum")  # fmt: skip
    before = [sample(n) for n in names]
    counted = sample("parlour_tts_sentences_total", outcome="spoken")
    doubled = sample("parlour_work_dropped_total", reason="duplicate")
    observer = await Observer(broker.client("observer")).watch(SPEECH)
    async with memory_service(TtsWorker, broker, engine_factory=FakeVoice().factory):
        request = TtsRequest(
            seq=0, last=True, text="Good morning", utterance_id=new_id(), site="den"
        )
        await observer.messenger.send(TTS_REQUEST, request)
        await observer.messenger.send(TTS_REQUEST, request)
        spoken = await observer.until(SPEECH, lambda s: s.event == "sentence")
        await observer.until(SPEECH, lambda s: s.event == "completed")

    factor, sound, first = (sample(n) - then for n, then in zip(names, before, strict=True))
    assert sound == pytest.approx(spoken.duration_ms / 1000)
    assert first == pytest.approx(spoken.timings.first_audio_ms / 1000)
    assert factor == pytest.approx(spoken.timings.total_ms / spoken.duration_ms)
    assert sample("parlour_tts_sentences_total", outcome="spoken") == counted + 1
    assert sample("parlour_work_dropped_total", reason="duplicate") == doubled + 1
