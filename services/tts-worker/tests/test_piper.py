"""The real voice."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from parlour_contracts.config.tts_worker import TTSWorkerConfig
from parlour_contracts.messages.tts import TtsRequest
from parlour_contracts.topics import AUDIO_OUT, SPEECH, TTS_REQUEST
from parlour_kit.ids import new_id
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from tts_worker.engine import CancelToken, Synthesis, Voice
from tts_worker.errors import VoiceBrokenError, VoiceUnavailableError
from tts_worker.patched import patched_model
from tts_worker.service import TtsWorker
from tts_worker.threaded import ThreadedEngine

pytestmark = pytest.mark.model

NAME = "en_US-joe-medium"
SENTENCES = [
    "The light in the kitchen is on.",
    "It is 42 degrees outside, and 10:30 in the morning.",
    "Of the people in the room, one of them is at a well-known place today!",
    "That costs $5 or 1,234 points; yes - really.",
    "Doctor Smith is here. He has a question? I do not know.",
]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def load(models_dir: Path, cache_dir: Path, threads: int = 1) -> Voice:
    from tts_worker.engines.piper import PiperVoiceEngine  # noqa: PLC0415  # heavy

    folder = models_dir / NAME
    return PiperVoiceEngine.load(
        folder / f"{NAME}.onnx",
        folder / f"{NAME}.onnx.json",
        name=NAME,
        threads=threads,
        cache_dir=cache_dir,
    )


@pytest.fixture(scope="module")
def voice(models_dir: Path, cache_dir: Path) -> Voice:
    return load(models_dir, cache_dir)


def say(voice: Voice, text: str, speed: float = 1.0):
    pieces = list(voice.synthesize(Synthesis(text, speed), CancelToken()))
    return np.concatenate([p.samples for p in pieces]), pieces[-1]


@pytest.mark.parametrize("text", SENTENCES)
def test_each_word_has_its_exact_time_in_order_inside_the_sound(voice: Voice, text: str):
    sound, end = say(voice, text)

    assert [w.text for w in end.words] == text.split()
    assert not end.words_estimated
    edges = [t for w in end.words for t in (w.start_ms, w.end_ms)]
    assert edges == sorted(edges)
    assert edges[-1] <= sound.size * 1000 / voice.rate
    spoken = [w for w in end.words if any(c.isalnum() for c in w.text)]
    assert all(w.end_ms - w.start_ms >= 20 for w in spoken)


def test_words_sound_and_the_pauses_between_them_do_not(voice: Voice):
    sound, end = say(voice, "Yes, no, yes, no.")

    def level(start_ms: float, end_ms: float) -> float:
        cut = sound[int(start_ms * voice.rate / 1000) : int(end_ms * voice.rate / 1000)]
        return float(np.sqrt(np.mean(np.square(cut))))

    words = end.words
    pauses = [level(a.end_ms, b.start_ms) for a, b in pairwise(words)]
    assert min(level(w.start_ms, w.end_ms) for w in words) > 3 * max(pauses)


def test_twice_the_speed_takes_about_half_the_time(voice: Voice):
    # The voice is never the same twice, so several readings count together.
    slow = sum(say(voice, SENTENCES[0])[0].size for _ in range(3))
    fast = sum(say(voice, SENTENCES[0], 2.0)[0].size for _ in range(3))

    assert 0.4 < fast / slow < 0.65


def test_usual_sentences_are_loud_and_seldom_reach_the_limiter(voice: Voice):
    sound, _ = say(voice, SENTENCES[0])

    assert 0.4 < np.abs(sound).max() < 1.5
    assert np.mean(np.abs(sound) > 0.8) < 0.01


def test_a_voice_that_is_not_loaded_is_refused(voice: Voice):
    with pytest.raises(VoiceUnavailableError):
        list(voice.synthesize(Synthesis("hi", voice="en_US-someone-else"), CancelToken()))


def test_a_text_without_a_full_stop_is_spoken_in_portions(voice: Voice):
    text = "the weather is fine and it goes on " * 12
    pieces = list(voice.synthesize(Synthesis(text), CancelToken()))

    assert len([p for p in pieces if p.samples.size]) >= 2
    assert [w.text for w in pieces[-1].words] == text.split()


def test_a_cancel_stops_the_model_in_the_middle_of_a_run(voice: Voice):
    text = "the weather is fine and I will go on and on about it for quite a while, " * 2
    token = CancelToken()
    alarm = threading.Timer(0.05, token.cancel)
    alarm.start()

    assert list(voice.synthesize(Synthesis(text), token)) == []
    alarm.join()


def test_an_unusable_file_is_an_error_that_names_the_voice(models_dir: Path, tmp_path: Path):
    bad = tmp_path / "bad"
    (bad / NAME).mkdir(parents=True)
    (bad / NAME / f"{NAME}.onnx").write_bytes(b"not a model")
    settings = (models_dir / NAME / f"{NAME}.onnx.json").read_text()
    (bad / NAME / f"{NAME}.onnx.json").write_text(settings)

    with pytest.raises(VoiceBrokenError, match=NAME):
        load(bad, tmp_path / "cache")


def test_the_patched_copy_is_made_once_and_again_when_it_is_damaged(
    voice: Voice, models_dir: Path, cache_dir: Path
):
    source = models_dir / NAME / f"{NAME}.onnx"
    before = source.stat().st_mtime_ns
    copy = patched_model(source, cache_dir)
    made = copy.stat().st_mtime_ns

    assert copy.parent == cache_dir
    assert patched_model(source, cache_dir).stat().st_mtime_ns == made

    with copy.open("r+b") as file:
        file.seek(1000)
        file.write(b"rot")
    (cache_dir / f".{NAME}-torn.partial").write_bytes(b"half")
    again = patched_model(source, cache_dir)

    assert again.stat().st_mtime_ns > made
    assert sorted(p.name for p in cache_dir.iterdir()) == [copy.name, f"{copy.name}.sha256"]
    assert source.stat().st_mtime_ns == before


def test_without_a_place_for_the_copy_the_voice_speaks_with_estimated_times(
    models_dir: Path, tmp_path: Path
):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    sound, end = say(load(models_dir, blocked / "cache"), SENTENCES[0])

    assert end.words_estimated
    assert [w.text for w in end.words] == SENTENCES[0].split()
    assert end.words[-1].end_ms <= sound.size * 1000 / 22_050


def test_loading_a_voice_leaves_the_patching_library_out_of_the_process(
    voice: Voice, models_dir: Path, cache_dir: Path
):
    code = (
        "import sys; from pathlib import Path; from tts_worker.engines.piper import *\n"
        f"m = Path({str(models_dir / NAME / NAME)!r} + '.onnx')\n"
        "PiperVoiceEngine.load(m, Path(str(m) + '.json'), name='v', threads=1, "
        f"cache_dir=Path({str(cache_dir)!r}))\n"
        "assert 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


@pytest.mark.req("C025")
async def test_half_the_volume_has_half_the_level_in_the_room(
    models_dir: Path, cache_dir: Path, broker: MemoryBroker
):
    engine = ThreadedEngine(load(models_dir, cache_dir))
    observer = await Observer(broker.client("observer")).watch(SPEECH, AUDIO_OUT)
    config = TTSWorkerConfig(piper_voice=NAME)
    async with memory_service(TtsWorker, broker, config=config, engine_factory=lambda *_: engine):
        levels: dict[int, list[float]] = {60: [], 30: []}
        for volume in (60, 30) * 3:
            text = "One two three four five six seven eight nine ten."
            request = TtsRequest(
                utterance_id=new_id(), text=text, last=True, volume=volume, site="den"
            )
            await observer.messenger.send(TTS_REQUEST, request)
            done = await observer.until(
                SPEECH,
                lambda s, u=request.utterance_id: s.event == "completed" and s.utterance_id == u,
            )
            frames = [
                s.message
                for s in observer.seen
                if s.topic is AUDIO_OUT and s.params["utterance_id"] == done.utterance_id
            ]
            sound = np.frombuffer(b"".join(f.payload for f in frames), "<i2").astype(float)
            levels[volume].append(float(np.sqrt(np.mean(np.square(sound)))))

    # The voice speaks with chance, so two readings differ a little, and several less.
    assert sum(levels[30]) / sum(levels[60]) == pytest.approx(0.5, rel=0.15)
