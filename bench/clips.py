"""The recordings, and where speech ends in each by one offline pass that both sides share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parlour_audio.frames import to_float, to_pcm16
from parlour_audio.resample import resample
from parlour_audio.vad import VAD_RATE, SileroVad, WindowedVad
from parlour_audio.wav import read_wav

if TYPE_CHECKING:
    from parlour_audio.frames import Pcm16

SPEECH: Final = 0.5
"""Probability from which a window of the offline pass is speech."""

QUESTIONS: Final = (
    "What's the weather going to be like tomorrow?",
    "Turn off the lights in the kitchen.",
    "Set a timer for ten minutes, please.",
    "How far away is the moon?",
    "What can I cook with potatoes and eggs?",
    "Tell me something about the sea.",
)


@dataclass(frozen=True)
class Clip:
    """A recording: mono PCM16 at 16 kHz, and where its last window of speech ends."""

    name: str
    path: Path
    pcm: Pcm16
    speech_end_ms: float


def load(path: Path) -> Clip:
    """Read a recording and find its end of speech.

    Raises:
        AudioError: it cannot be read.
        ValueError: there is no speech in it.
    """
    wav = read_wav(path)
    samples = resample(to_float(wav.mono()), wav.rate, VAD_RATE)
    vad = WindowedVad(SileroVad())
    windows = [*vad.push(samples), *vad.finish()]
    ends = [end_ms for probability, _, end_ms in windows if probability >= SPEECH]
    if not ends:
        raise ValueError(f"{path.name}: no speech in it")
    return Clip(path.stem, path, to_pcm16(samples), ends[-1])


def find(folder: Path | None, voice: Path, scratch: Path) -> tuple[list[Clip], str]:
    """The clips of a folder, or questions spoken by Piper; and a line that says which.

    Args:
        folder: with ``*.wav`` files; None takes PARLOUR_TEST_AUDIO.
        voice: folder of the Piper voice that speaks when there are no recordings.
        scratch: where to put what it speaks.

    Raises:
        FileNotFoundError: a folder was named that has no recordings.
    """
    named = folder or (Path(p) if (p := os.environ.get("PARLOUR_TEST_AUDIO")) else None)
    if named is not None:
        paths = sorted(named.glob("*.wav")) or sorted(named.glob("en/*.wav"))
        if not paths:
            raise FileNotFoundError(f"no *.wav in {named}")
        return [load(path) for path in paths], f"{len(paths)} recordings of {named.name}/"
    clips = [load(_speak(text, voice, scratch / f"q{n}.wav")) for n, text in enumerate(QUESTIONS)]
    return clips, f"{len(clips)} questions spoken by Piper ({voice.name}), no recordings given"


def _speak(text: str, voice: Path, out: Path) -> Path:
    (model,) = voice.glob("*.onnx")
    subprocess.run(
        [sys.executable, "-m", "piper", "-m", str(model), "-f", str(out), "--", text],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    return out
