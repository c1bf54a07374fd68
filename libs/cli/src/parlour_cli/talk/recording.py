"""A recorded question as a microphone would deliver it: frames, and where the speech ends."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from parlour_audio import RATES, read_wav, resample, ulaw
from parlour_audio.frames import Pcm16, pcm16_to_bytes, split, to_float, to_pcm16
from parlour_audio.vad import VAD_RATE, SileroVad, SpeechProbability, WindowedVad
from parlour_contracts.messages.turn import AudioFormat, Encoding, Rate

from parlour_cli.talk.errors import InputError

FRAME_MS: Final = 20
SPEECH: Final = 0.5
"""Probability from which a window of 512 samples at 16 kHz counts as speech."""

_ULAW = 7
_EXTENSIBLE = 0xFFFE
_FALLBACK_RATE: Final = 16_000


@dataclass(frozen=True)
class Recording:
    """A question cut into frames of `FRAME_MS`, all of the same length.

    Attributes:
        form: how the frames are coded.
        frames: what goes on the wire, in order.
        silence: one frame in which nobody speaks.
        speech_end_frame: index of the frame that holds the last sample of speech; None when
            nobody speaks in the recording.
    """

    form: AudioFormat
    frames: tuple[bytes, ...]
    silence: bytes
    speech_end_frame: int | None

    @property
    def frame_s(self) -> float:
        """The length of a frame in seconds."""
        return FRAME_MS / 1000


def load_recording(path: Path, vad: SpeechProbability | None = None) -> Recording:
    """Read a WAV file; what the fleet does not take as it is becomes 16 kHz mono.

    Args:
        path: the file.
        vad: judges where the speech ends; Silero's model when None.

    Raises:
        AudioError: it is no WAV file that can be read, is empty or longer than 300 s.
        InputError: ``WAV_TRUNCATED``, its header promises more than it holds.
    """
    wav = read_wav(path)
    if wav.truncated:
        raise InputError(
            "the WAV file is cut off: it holds less sound than its header says",
            code="WAV_TRUNCATED",
            hint="copy or record it again",
        )
    encoding: Encoding = "ulaw" if wav_codec(path) == _ULAW else "pcm"
    samples, rate, channels = wav.samples.reshape(-1), wav.rate, wav.channels
    if rate not in RATES or channels > 2:
        mono = wav.mono()
        target = rate if rate in RATES else _FALLBACK_RATE
        samples, rate, channels = to_pcm16(resample(to_float(mono), rate, target)), target, 1
    end_s = speech_end_s(to_float(wav.mono()), wav.rate, vad or SileroVad())
    form = AudioFormat(
        rate=cast("Rate", rate), channels=2 if channels == 2 else 1, encoding=encoding
    )
    return _cut(form, samples, end_s)


def speech_end_s(
    samples: np.typing.NDArray[np.float32], rate: int, vad: SpeechProbability
) -> float | None:
    """When the last window with speech ends, in seconds; None when there is none.

    Args:
        samples: mono, -1.0 to 1.0.
        rate: in Hz.
        vad: judges windows of 512 samples at 16 kHz.
    """
    vad.reset()
    windows = WindowedVad(vad)
    found = list(windows.push(resample(samples, rate, VAD_RATE)))
    found += windows.finish()
    spoken = [end_ms for probability, _, end_ms in found if probability >= SPEECH]
    return spoken[-1] / 1000 if spoken else None


def wav_codec(path: Path) -> int:
    """The coding tag of a WAV file that has been read without an error; 0 when unknown."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(b"fmt ", 12)
    if at < 0 or len(head) < at + 34:
        return 0
    (codec,) = struct.unpack_from("<H", head, at + 8)
    if codec == _EXTENSIBLE:
        (codec,) = struct.unpack_from("<H", head, at + 32)
    return int(codec)


def _cut(form: AudioFormat, samples: Pcm16, end_s: float | None) -> Recording:
    size = form.rate * FRAME_MS // 1000 * form.channels
    pieces = [
        np.pad(piece, (0, size - len(piece)))
        for piece in split(samples, form.rate, FRAME_MS, form.channels)
    ]
    code = ulaw.encode if form.encoding == "ulaw" else pcm16_to_bytes
    end_frame: int | None = None
    if end_s is not None:
        # The last sample of the window lies before its end.
        end_frame = min(int(max(end_s * form.rate - 1, 0) // (size // form.channels)),
                        len(pieces) - 1)  # fmt: skip
    return Recording(
        form, tuple(code(p) for p in pieces), code(np.zeros(size, np.int16)), end_frame
    )
