"""The real speech detector and the real Whisper on speech of people."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import jiwer
import numpy as np
import pytest
from parlour_audio import StreamDecoder, read_wav, resample
from parlour_audio.frames import Pcm16, split, to_float, to_pcm16
from parlour_audio.vad import SileroVad, WindowedVad
from parlour_contracts.config import STTWorkerConfig
from parlour_contracts.messages.turn import AudioFormat, Transcript
from parlour_contracts.topics import STT_AUDIO, TRANSCRIPT, TURN_CLAIMED, TURN_OPEN
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, Observer, memory_service
from stt_worker.engine import Engine, Options
from stt_worker.engines.cores import choose_threads
from stt_worker.errors import LanguageError, ModelBrokenError
from stt_worker.service import SttWorker

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

CONFIG = STTWorkerConfig(whisper_model="base")
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def load(folder: Path) -> Engine:
    """Imported here, so that collecting the tests stays fast."""
    return import_module("stt_worker.engines.whisper").WhisperEngine.load(folder, 0)


def in_words(number: int) -> str:
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f" {ONES[number % 10]}" if number % 10 else "")
    return " ".join(ONES[int(digit)] for digit in str(number))


def normal(text: str) -> str:
    """Lower case, no punctuation, numbers as words."""
    text = text.lower().replace("%", " percent").replace("'", "").replace("\u2019", "")
    text = re.sub(r"\d+", lambda found: in_words(int(found[0])), text)
    return " ".join(re.sub(r"[^\w\s]", " ", text).split())


def spoken(folder: Path) -> list[tuple[Path, str]]:
    """Each recording with its words."""
    files = sorted(folder.glob("*/*.wav"))
    beside = [f.with_suffix(".txt") for f in files]
    words = [t.read_text() if t.exists() else f.stem for f, t in zip(files, beside, strict=True)]
    return list(zip(files, map(normal, words), strict=True))


def at_16_khz(path: Path) -> Pcm16:
    wav = read_wav(path)
    return to_pcm16(resample(to_float(wav.mono()), wav.rate, 16_000))


@asynccontextmanager
async def listening(data_dir: Path, broker: MemoryBroker) -> AsyncIterator[Observer]:
    async with memory_service(SttWorker, broker, config=CONFIG, data_dir=data_dir) as service:
        assert service.components() == {"model": True}
        yield await Observer(broker.client("kitchen")).watch(TURN_CLAIMED, TRANSCRIPT)


async def ask(here: Observer, sound: Pcm16, form: AudioFormat | None = None) -> Transcript:
    """Stream a recording, not in real time, and mark its end."""
    form = form or AudioFormat()
    turn_id = new_id()
    opened = TURN_OPEN.model(turn_id=turn_id, format=form, opened_at="2026-01-01T00:00:00.000000Z")
    await here.messenger.send(TURN_OPEN, opened, site="kitchen")
    claim = await here.until(TURN_CLAIMED, lambda c: c.turn_id == turn_id)
    frames = list(split(sound, form.rate, 20, form.channels))
    for n, frame in enumerate(frames):
        end = {"end": "1"} if n == len(frames) - 1 else {}
        await here.messenger.send_frame(
            STT_AUDIO, frame.tobytes(), {"seq": str(n), **end},
            instance=claim.instance, site="kitchen", turn_id=turn_id,
        )  # fmt: skip
    return await here.until(TRANSCRIPT, lambda t: t.turn_id == turn_id and t.is_final)


@pytest.fixture(scope="module")
def direct(models_dir: Path) -> object:
    """faster-whisper itself, the same model with the same beam."""
    library = import_module("faster_whisper")
    return library.WhisperModel(
        str(models_dir / "base"), device="cpu", compute_type="int8", cpu_threads=choose_threads(0)
    )


async def test_recorded_speech_is_heard_as_well_as_by_the_recogniser_alone(
    data_dir: Path, recordings: Path, broker: MemoryBroker, direct: object
) -> None:
    """Every recording gets a text, and the word error rate is that of faster-whisper alone.

    One word of difference is left to the rounding of another processor.
    """
    files = spoken(recordings)
    assert files
    references = [words for _, words in files]
    alone, heard = [], []
    async with listening(data_dir, broker) as here:
        for path, _ in files:
            sound = at_16_khz(path)
            result = await ask(here, sound)
            assert (result.kind, bool(result.text)) == ("final", True), path.name
            heard.append(normal(result.text))
            segments, _ = direct.transcribe(  # type: ignore[attr-defined]
                to_float(sound), language="en", beam_size=CONFIG.beam_size,
                condition_on_previous_text=False,
            )  # fmt: skip
            alone.append(normal("".join(s.text for s in segments)))
    ours, theirs = jiwer.wer(references, heard), jiwer.wer(references, alone)
    one_word = 1 / sum(len(words.split()) for words in references)
    assert ours <= theirs + one_word * 1.01, f"word error rate {ours:.4f}, alone {theirs:.4f}"


@pytest.mark.req("F27")
async def test_speech_from_the_first_sample_keeps_its_first_word(
    data_dir: Path, recordings: Path, broker: MemoryBroker
) -> None:
    """A recording cut right where the speech begins."""
    sound = at_16_khz(recordings / "en" / "is the Front Door locked.wav")
    size = np.abs(sound[8000:].astype(int))
    loud = np.flatnonzero(size > size.max() / 8)[0] + 8000
    async with listening(data_dir, broker) as here:
        result = await ask(here, sound[loud:])
    assert normal(result.text).split()[0] == "is"


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (24_000, 2), (44_100, 1), (48_000, 2)])
async def test_other_formats_are_understood(
    data_dir: Path, recordings: Path, broker: MemoryBroker, rate: int, channels: int
) -> None:
    sound = to_float(at_16_khz(recordings / "en" / "turn off lights in the Office.wav"))
    form = AudioFormat.model_validate({"rate": rate, "channels": channels})
    async with listening(data_dir, broker) as here:
        result = await ask(here, np.repeat(to_pcm16(resample(sound, 16_000, rate)), channels), form)
    assert jiwer.wer("turn off lights in the office", normal(result.text)) < 0.34


async def test_noise_is_empty(data_dir: Path, broker: MemoryBroker) -> None:
    noise = np.random.default_rng(5).normal(0, 400, 16_000 * 4).astype(np.int16)
    async with listening(data_dir, broker) as here:
        assert (await ask(here, noise)).kind == "empty"


def test_judging_a_frame_does_not_hold_up_the_loop() -> None:
    """100 ms of the most expensive format take a few milliseconds of CPU at most."""
    decoder, vad = StreamDecoder(48_000, 2), WindowedVad(SileroVad())
    frame = np.random.default_rng(1).normal(0, 3000, 9600).astype(np.int16).tobytes()
    spent = []
    for _ in range(50):
        started = time.thread_time()
        list(vad.push(decoder.feed(frame)))
        spent.append(time.thread_time() - started)
    assert np.median(spent) < 0.020


def test_a_language_that_the_model_does_not_know_is_refused(models_dir: Path) -> None:
    engine = load(models_dir / "base")
    with pytest.raises(LanguageError):
        engine.transcribe(np.zeros(16_000, np.float32), Options(language="tlh-QO"))


def test_a_folder_without_a_tokenizer_never_asks_a_hub(models_dir: Path, tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "vocabulary.json"):
        (tmp_path / name).symlink_to(models_dir / "base" / name)
    with pytest.raises(ModelBrokenError, match=r"tokenizer\.json"):
        load(tmp_path)


def test_a_broken_model_is_an_error_with_a_hint(models_dir: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "vocabulary.json"):
        (tmp_path / name).symlink_to(models_dir / "base" / name)
    (tmp_path / "model.bin").write_bytes(b"\0" * 100)
    with pytest.raises(ModelBrokenError) as caught:
        load(tmp_path)
    assert caught.value.hint


def test_a_long_clip_takes_the_full_window(models_dir: Path, recordings: Path) -> None:
    """Longer than 30 s: faster-whisper goes through it window by window."""
    files = spoken(recordings)
    sound = np.concatenate([to_float(at_16_khz(path)) for path, _ in files])
    assert len(sound) > 30 * 16_000
    heard = load(models_dir / "base").transcribe(sound, Options())
    assert jiwer.wer(" ".join(words for _, words in files), normal(heard.text)) < 0.5
    assert heard.pieces[-1].end_s > 30
