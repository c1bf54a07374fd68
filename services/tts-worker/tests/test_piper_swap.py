"""A real voice takes another's place under a running reply."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_REQUEST
from parlour_kit.ids import new_id
from parlour_kit.models import ModelCorruptError, ModelMissingError, ModelUnknownError
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from tts_worker.service import TtsWorker

pytestmark = pytest.mark.model

JOE = "en_US-joe-medium"
DEEP = "en_US-deep-medium"
"""The same voice, played slower: one hears, and sees by its rate, which of the two speaks."""
GONE = "en_US-gone-medium"
REPLY = [
    "The light in the kitchen is on.",
    "Outside it is warm, with a little wind from the south.",
    "Your next appointment is at half past ten.",
    "Do not forget the umbrella.",
    "That is all for now.",
]


@pytest.fixture(scope="module")
def house(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two voices, and a third that is listed but not here."""
    data = tmp_path_factory.mktemp("data")
    models = data / "models"
    models.mkdir()
    (models / JOE).symlink_to(models_dir / JOE)
    deep = models / DEEP
    deep.mkdir()
    onnx = deep / f"{DEEP}.onnx"
    try:
        os.link(models_dir / JOE / f"{JOE}.onnx", onnx)
    except OSError:
        shutil.copyfile(models_dir / JOE / f"{JOE}.onnx", onnx)
    settings = json.loads((models_dir / JOE / f"{JOE}.onnx.json").read_text("utf-8"))
    settings["audio"]["sample_rate"] = 16_000
    (deep / f"{DEEP}.onnx.json").write_text(json.dumps(settings), "utf-8")
    listed = [_entry(DEEP, [onnx, deep / f"{DEEP}.onnx.json"]), _entry(GONE, [onnx])]
    (data / "models.toml").write_text("\n".join(listed), "utf-8")
    return data


def _entry(name: str, files: list[Path]) -> str:
    rows = [
        f'  {{ path = "{f.name}", size = {f.stat().st_size}, '
        f'sha256 = "{hashlib.sha256(f.read_bytes()).hexdigest()}" }},'
        for f in files
    ]
    return "\n".join(
        [
            f"[models.{name}]",
            'kind = "tts"',
            'licence = "MIT"',
            'description = "A voice of a test"',
            "files = [",
            *rows,
            "]",
            "",
        ]
    )


@pytest.mark.req("C020", "C085")
async def test_a_real_voice_changes_under_a_running_reply_and_no_sentence_is_lost(
    house: Path, broker: MemoryBroker
):
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    config = TTSWorkerConfig(piper_voice=JOE)
    async with memory_service(TtsWorker, broker, config=config, data_dir=house) as worker:
        changed = asyncio.Event()
        talking = asyncio.create_task(_talk(observer, changed))
        await observer.until(SPEECH, lambda s: s.event == "started" and s.seq == 1)
        switch = await worker.stage(TTSWorkerConfig(piper_voice=DEEP))
        await switch.commit()
        changed.set()
        asked = await talking
        await observer.until(SPEECH, lambda s: s.event == "completed", 60)

    events = observer.of(SPEECH)
    assert [s.text for s in events if s.event == "sentence"] == asked
    assert not [s for s in events if s.event in ("failed", "cancelled")]
    frames = observer.frames(AUDIO_OUT)
    assert [int(f.properties["seq"]) for f in frames] == list(range(len(frames)))
    sentences = [
        [f for f in frames if f.properties["sentence"] == str(n)] for n in range(len(asked))
    ]
    rates = [{int(f.properties["rate"]) for f in sentence} for sentence in sentences]
    assert rates == sorted(rates, key=max, reverse=True)
    assert (rates[0], rates[-1]) == ({22_050}, {16_000})
    for sentence in sentences:
        sound = np.frombuffer(b"".join(f.payload for f in sentence), "<i2")
        assert np.abs(sound).max() > 3000


async def _talk(observer: Observer, changed: asyncio.Event) -> list[str]:
    """A reply that goes on until some while after the change, always two sentences ahead."""
    utterance = new_id()
    asked: list[str] = []
    more = 3
    while more:
        more -= changed.is_set()
        seq = len(asked)
        asked.append(REPLY[seq % len(REPLY)])
        request = TtsRequest(
            utterance_id=utterance, seq=seq, text=asked[-1], last=more == 0, site="den"
        )
        await observer.messenger.send(TTS_REQUEST, request)
        if seq:
            await observer.until(SPEECH, lambda s, n=seq - 1: s.event == "started" and s.seq == n)
    return asked


@pytest.mark.req("C085")
async def test_a_voice_that_is_not_here_is_refused_and_the_running_one_speaks_on(
    house: Path, broker: MemoryBroker
):
    observer = await Observer(broker.client("observer")).watch(SPEECH)
    config = TTSWorkerConfig(piper_voice=JOE)
    async with memory_service(TtsWorker, broker, config=config, data_dir=house) as worker:
        with pytest.raises((ModelMissingError, ModelCorruptError)):
            await worker.stage(TTSWorkerConfig(piper_voice=GONE))
        with pytest.raises(ModelUnknownError):
            await worker.stage(TTSWorkerConfig(piper_voice="en_US-nobody-medium"))
        request = TtsRequest(utterance_id=new_id(), text="Still here.", last=True, site="den")
        await observer.messenger.send(TTS_REQUEST, request)
        await observer.until(SPEECH, lambda s: s.event == "completed")

        assert worker.config.piper_voice == JOE


@pytest.mark.req("C085")
async def test_a_real_voice_takes_another_number_of_threads(house: Path, broker: MemoryBroker):
    observer = await Observer(broker.client("observer")).watch(SPEECH)
    config = TTSWorkerConfig(piper_voice=JOE, threads=1)
    async with memory_service(TtsWorker, broker, config=config, data_dir=house) as worker:
        switch = await worker.stage(TTSWorkerConfig(piper_voice=JOE, threads=2))
        await switch.commit()
        request = TtsRequest(utterance_id=new_id(), text="Two at once.", last=True, site="den")
        await observer.messenger.send(TTS_REQUEST, request)
        await observer.until(SPEECH, lambda s: s.event == "completed")
