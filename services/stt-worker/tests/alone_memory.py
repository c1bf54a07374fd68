"""What a change of the real model leaves in memory; run by itself (see test_model_swap.py)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from parlour_contracts.config import STTWorkerConfig
from parlour_testkit import MemoryBroker, memory_service
from stt_worker.service import SttWorker


async def change(service: SttWorker, **settings: object) -> None:
    """Stage and commit, as a signed message would."""
    new = service.config.model_copy(update=settings)
    await (await service.stage(new)).commit()


@pytest.mark.model
async def test_models_that_are_gone_take_no_memory(house: Path, broker: MemoryBroker) -> None:
    config = STTWorkerConfig(whisper_model="base")
    process = psutil.Process()
    async with memory_service(SttWorker, broker, config=config, data_dir=house) as service:
        assert isinstance(service, SttWorker)
        await change(service, whisper_model="second")
        await asyncio.sleep(1)
        before = process.memory_info().rss
        for name in ("base", "second", "base", "second"):
            await change(service, whisper_model=name)
        for _ in range(100):  # a model goes when its thread has ended
            if process.memory_info().rss < before + 100_000_000:
                break
            await asyncio.sleep(0.1)
        assert process.memory_info().rss < before + 100_000_000  # one model more would be 140 MB
