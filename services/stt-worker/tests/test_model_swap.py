"""The real Whisper is changed while people speak: every turn is heard, by one model or the other."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import jiwer
import pytest
from parlour_audio import read_wav, resample
from parlour_audio.frames import Pcm16, split, to_float, to_pcm16
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import Transcript, TurnOpen
from parlour_contracts.topics import STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_kit.models import ModelCorruptError, ModelUnknownError
from parlour_testkit import MemoryBroker, Observer, memory_service
from stt_worker.service import SttWorker

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

SENTENCE = "turn off lights in the Office"


@pytest.fixture
def sound(recordings: Path) -> Pcm16:
    wav = read_wav(recordings / "en" / f"{SENTENCE}.wav")
    return to_pcm16(resample(to_float(wav.mono()), wav.rate, 16_000))


async def ask(here: Observer, site: str, sound: Pcm16) -> Transcript:
    """Stream a recording, faster than in real time, and mark its end."""
    turn = TurnOpen(turn_id=new_id(), opened_at="2026-01-01T00:00:00.000000Z")
    await here.messenger.send(TURN_OPEN, turn, site=site)
    claim = await here.until(TURN_CLAIMED, lambda c: c.turn_id == turn.turn_id)
    frames = list(split(sound, 16_000, 100))
    for n, frame in enumerate(frames):
        end = {"end": "1"} if n == len(frames) - 1 else {}
        await here.messenger.send_frame(
            STT_AUDIO, frame.tobytes(), {"seq": str(n), **end},
            instance=claim.instance, site=site, turn_id=turn.turn_id,
        )  # fmt: skip
        await asyncio.sleep(0.02)
    return await here.until(TRANSCRIPT, lambda t: t.turn_id == turn.turn_id and t.is_final, 60)


async def change(service: SttWorker, **fields: object) -> None:
    new = STTWorkerConfig.model_validate({**service.config.model_dump(), **fields}, strict=True)
    switch = await service.stage(new)
    assert await switch.commit() == "applied"


def well_heard(turns: Sequence[Transcript]) -> bool:
    return all(
        t.kind == "final" and jiwer.wer(SENTENCE.lower(), t.text.lower().strip(" .")) < 0.34
        for t in turns
    )


@pytest.mark.req("C011")
async def test_the_model_changes_under_load_and_no_turn_is_lost(
    house: Path, sound: Pcm16, broker: MemoryBroker
) -> None:
    """Two rooms keep talking while the model changes four times."""
    config = STTWorkerConfig(whisper_model="base")
    async with memory_service(SttWorker, broker, config=config, data_dir=house) as service:
        assert isinstance(service, SttWorker)
        here = await Observer(broker.client("rooms")).watch(TURN_CLAIMED, TRANSCRIPT)
        going = True
        turns: list[Transcript] = []

        async def room(site: str) -> None:
            while going:
                turns.append(await ask(here, site, sound))

        rooms = [asyncio.ensure_future(room(site)) for site in ("kitchen", "attic")]
        during = 0
        for name in ("second", "base", "second", "base"):
            before = len(turns)
            await change(service, whisper_model=name)
            during += len(turns) - before
            await ask(here, "cellar", sound)
        going = False
        await asyncio.gather(*rooms)

        assert well_heard(turns)
        assert len(turns) >= 8
        assert during >= 1, "turns were heard while a model was loaded"
        assert service.counts["failed"] == 0
        assert len(service._ears._kept) == 1


async def test_a_damaged_or_unknown_model_is_refused_and_the_old_one_goes_on(
    house: Path, sound: Pcm16, broker: MemoryBroker
) -> None:
    config = STTWorkerConfig(whisper_model="base")
    async with memory_service(SttWorker, broker, config=config, data_dir=house) as service:
        here = await Observer(broker.client("rooms")).watch(TURN_CLAIMED, TRANSCRIPT)
        for name, error in (("broken", ModelCorruptError), ("absent", ModelUnknownError)):
            with pytest.raises(error):
                await change(service, whisper_model=name)
        assert well_heard([await ask(here, "kitchen", sound)])


@pytest.mark.req("C018")
async def test_speech_at_the_rate_of_a_telephone_is_still_understood(
    house: Path, sound: Pcm16, broker: MemoryBroker
) -> None:
    config = STTWorkerConfig(whisper_model="base", sample_rate=8_000)
    async with memory_service(SttWorker, broker, config=config, data_dir=house):
        here = await Observer(broker.client("rooms")).watch(TURN_CLAIMED, TRANSCRIPT)
        assert well_heard([await ask(here, "kitchen", sound)])


def test_models_that_are_gone_take_no_memory(data_dir: Path, pytestconfig: pytest.Config) -> None:
    """Measured in a process of its own: what other tests leave behind would be counted, too."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", str(Path(__file__).with_name("alone_memory.py")), "-q",
            "-p", "no:cacheprovider", "-o", "python_files=alone_*.py",
            "--rootdir", str(pytestconfig.rootpath),
            "-c", str(pytestconfig.rootpath / "pyproject.toml"), "-rs",
        ],
        capture_output=True, text=True, check=False, cwd=pytestconfig.rootpath,
    )  # fmt: skip
    assert data_dir
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
