"""What stt-worker's metrics say of what it heard."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
from parlour_audio.frames import split
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import Transcript, TurnOpen
from parlour_contracts.topics import STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.clock import utc_text
from parlour_kit.ids import new_id
from parlour_kit.metrics import REGISTRY
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from stt_worker.service import SttWorker

COUNTERS = ("received", "forwarded")


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def ask(broker: MemoryBroker, fake: FakeRecogniser) -> tuple[Transcript, int]:
    """A question of a second; what was heard, and the number of its frames."""
    observer = await Observer(broker.client("kitchen")).watch(TURN_CLAIMED, TRANSCRIPT)
    frames = list(split(np.concatenate([silence(300), tone(1000), silence(200)]), 16000, 100, 1))
    async with memory_service(
        SttWorker, broker, config=STTWorkerConfig(), recogniser=fake.factory(), vad=LoudnessVad
    ):
        moment = utc_text(datetime(2026, 1, 1, tzinfo=UTC))
        turn = TurnOpen(turn_id=new_id(), opened_at=moment)
        await observer.messenger.send(TURN_OPEN, turn, site="kitchen")
        await observer.until(TURN_CLAIMED, lambda c: c.turn_id == turn.turn_id)
        for number, frame in enumerate(frames):
            properties = {"seq": str(number), "rate": "16000", "channels": "1", "encoding": "pcm"}
            if number == len(frames) - 1:
                properties["end"] = "1"
            await observer.messenger.send_frame(
                STT_AUDIO, frame.tobytes(), properties,
                instance="stt-worker", site="kitchen", turn_id=turn.turn_id,
            )  # fmt: skip
            await asyncio.sleep(0.1)
        heard = await observer.until(TRANSCRIPT, lambda t: t.is_final)
    return heard, len(frames)


@pytest.mark.req("V018")
async def test_frames_transcripts_and_their_speed_are_counted(broker: MemoryBroker) -> None:
    names = ("parlour_stt_chunks_received_total", "parlour_stt_chunks_forwarded_total",
             "parlour_stt_transcripts_received_total", "parlour_stt_errors_total",
             "parlour_stt_real_time_factor_count")  # fmt: skip
    before = [sample(n) for n in names]
    took = sample("parlour_stt_recognise_seconds_sum", **{"pass": "whole"})

    heard, frames = await ask(broker, FakeRecogniser(["turn on the light"]))

    assert heard.kind == "final"
    after = [sample(n) - then for n, then in zip(names, before, strict=True)]
    assert after == [frames, frames, 1, 0, 1]
    spent = sample("parlour_stt_recognise_seconds_sum", **{"pass": "whole"}) - took
    assert spent == pytest.approx(heard.timings.transcribe_ms / 1000, abs=0.001)


@pytest.mark.req("V018")
async def test_a_recogniser_that_fails_is_an_error_and_no_transcript(broker: MemoryBroker) -> None:
    names = ("parlour_stt_errors_total", "parlour_stt_transcripts_received_total")
    before = [sample(n) for n in names]
    failed = sample("parlour_stt_turns_total", kind="failed")

    heard, _frames = await ask(broker, FakeRecogniser([RuntimeError("no")]))

    assert heard.kind == "failed"
    assert [sample(n) - then for n, then in zip(names, before, strict=True)] == [1, 0]
    assert sample("parlour_stt_turns_total", kind="failed") == failed + 1
