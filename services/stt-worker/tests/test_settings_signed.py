"""Signed settings on their whole way into stt-worker, while somebody speaks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parlour_audio.frames import split
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import Transcript, TurnOpen
from parlour_contracts.topics import HEALTH, STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import ConfigAuthority, MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad, silence, tone
from stt_worker.errors import ModelBrokenError
from stt_worker.service import SttWorker

NAME = "stt-worker"


class Named(FakeRecogniser):
    """Understands the name of its model; ``broken`` cannot be loaded."""

    async def load(self, config: STTWorkerConfig, data_dir: Path) -> None:
        del data_dir
        if config.whisper_model == "broken":
            raise ModelBrokenError("the model lacks model.bin")
        self.script = [config.whisper_model]


@pytest.fixture
async def authority(broker: MemoryBroker) -> ConfigAuthority:
    return await ConfigAuthority(broker.client("config-manager")).watch()


@pytest.fixture
async def kitchen(broker: MemoryBroker) -> Observer:
    return await Observer(broker.client("kitchen")).watch(TURN_CLAIMED, TRANSCRIPT, HEALTH)


async def ask(kitchen: Observer) -> Transcript:
    turn = TurnOpen(turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z")
    await kitchen.messenger.send(TURN_OPEN, turn, site="kitchen")
    await kitchen.until(TURN_CLAIMED, lambda c: c.turn_id == turn.turn_id)
    frames = split(np.concatenate([tone(1000), silence(1500)]), 16_000, 100)
    for n, frame in enumerate(frames):
        await kitchen.messenger.send_frame(
            STT_AUDIO, frame.tobytes(), {"seq": str(n)},
            instance=NAME, site="kitchen", turn_id=turn.turn_id,
        )  # fmt: skip
        await asyncio.sleep(0.1)
    return await kitchen.until(TRANSCRIPT, lambda t: t.turn_id == turn.turn_id and t.is_final)


def worker(broker: MemoryBroker, authority: ConfigAuthority, folder: Path) -> Any:
    return memory_service(
        SttWorker, broker, feed=authority.feed(folder), recogniser=Named, vad=LoudnessVad
    )


@pytest.mark.req("C011", "C085")
async def test_a_signed_change_of_model_takes_the_next_turn_and_a_wrong_one_is_refused(
    broker: MemoryBroker, authority: ConfigAuthority, kitchen: Observer, tmp_path: Path
) -> None:
    first = await authority.publish(NAME, STTWorkerConfig(whisper_model="base"))
    async with worker(broker, authority, tmp_path):
        await authority.applied(first)
        speaking = asyncio.ensure_future(ask(kitchen))
        await asyncio.sleep(0.5)
        await authority.change(NAME, STTWorkerConfig(whisper_model="tiny.en"))
        assert (await speaking).text == "base"
        assert (await ask(kitchen)).text == "tiny.en"
        await authority.publish(NAME, STTWorkerConfig(whisper_model="broken"))
        refused = await authority.until(lambda r: r.status == "rejected")
        assert refused.error == "HOOK_FAILED"
        assert (await ask(kitchen)).text == "tiny.en"


@pytest.mark.req("C011")
async def test_a_worker_whose_model_is_absent_names_it_and_is_healed_by_a_signed_change(
    broker: MemoryBroker, authority: ConfigAuthority, kitchen: Observer, tmp_path: Path
) -> None:
    await authority.publish(NAME, STTWorkerConfig(whisper_model="broken"))
    async with worker(broker, authority, tmp_path):
        ill = await kitchen.until(HEALTH, lambda h: h.instance == NAME and h.err is not None)
        assert ill.err is not None
        assert ill.err.code == "MODEL_BROKEN"
        await authority.change(NAME, STTWorkerConfig(whisper_model="base"))
        await kitchen.until(HEALTH, lambda h: h.instance == NAME and h.ok and h.seq > ill.seq)
        assert (await ask(kitchen)).text == "base"
