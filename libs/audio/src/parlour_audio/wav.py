"""WAV files: written plainly, read with suspicion.

Reads PCM of 8, 16, 24 and 32 bits, float of 32 and 64 bits and µ-law, also in the extensible
form, and headers whose sizes are not to be trusted, as streaming writers leave them.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from parlour_audio import ulaw
from parlour_audio.errors import AudioError
from parlour_audio.frames import Pcm16, pcm16_to_bytes, to_mono, to_pcm16

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_SECONDS: Final = 300.0
"""A question is not longer than this; a longer file is refused before it fills the memory."""

_PCM, _FLOAT, _ULAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)


@dataclass(frozen=True)
class Wav:
    """A recording: PCM16 samples of shape ``(frames, channels)`` at ``rate`` Hz.

    ``truncated`` tells that the header promised more than the file holds.
    """

    samples: Pcm16
    rate: int
    truncated: bool = False

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / self.rate

    def mono(self) -> Pcm16:
        """The mean of its channels."""
        if self.channels == 1:
            return self.samples[:, 0]
        return to_mono(self.samples.reshape(-1), self.channels)


@dataclass(frozen=True)
class _Format:
    codec: int
    channels: int
    rate: int
    bits: int


def read_wav(
    source: Path | bytes, *, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> Wav:
    """Read a recording.

    Args:
        source: a file, or its bytes.
        max_bytes: a larger file is not read.
        max_seconds: a longer recording is not decoded.

    Raises:
        AudioError: ``WAV_UNREADABLE`` (no such file), ``WAV_TOO_LARGE``, ``WAV_TOO_LONG``,
            ``WAV_INVALID`` (not a WAV file), ``WAV_CODEC`` (a coding that is not read here) or
            ``WAV_EMPTY`` (no sample).
    """
    data = _load(source, max_bytes)
    form, body, truncated = _chunks(data)
    frame_bytes = form.channels * form.bits // 8
    count = len(body) // frame_bytes
    if count == 0:
        raise AudioError(
            "the WAV file holds no sound", code="WAV_EMPTY", hint="Record again: nothing is in it."
        )
    if count / form.rate > max_seconds:
        raise AudioError(
            f"the WAV file is longer than {max_seconds:g} s",
            code="WAV_TOO_LONG",
            hint="Cut the recording to the question.",
        )
    samples = _decode(body[: count * frame_bytes], form)
    return Wav(samples.reshape(-1, form.channels), form.rate, truncated)


def wav_bytes(samples: Pcm16, rate: int, *, channels: int = 1, encoding: str = "pcm") -> bytes:
    """The bytes of a WAV file.

    Args:
        samples: PCM16, interleaved where there are several channels.
        rate: in Hz.
        channels: how many are interleaved.
        encoding: ``pcm`` (16 bits) or ``ulaw``.
    """
    if encoding == "ulaw":
        body, codec, width = ulaw.encode(samples), _ULAW, 1
    elif encoding == "pcm":
        body, codec, width = pcm16_to_bytes(samples), _PCM, 2
    else:
        raise AudioError("a WAV file is written as pcm or ulaw", code="WAV_CODEC")
    step = channels * width
    form = struct.pack("<HHIIHH", codec, channels, rate, rate * step, step, width * 8)
    padding = b"\0" * (len(body) % 2)
    out = io.BytesIO()
    out.write(b"RIFF" + struct.pack("<I", 20 + len(form) + len(body) + len(padding)) + b"WAVE")
    out.write(b"fmt " + struct.pack("<I", len(form)) + form)
    out.write(b"data" + struct.pack("<I", len(body)) + body + padding)
    return out.getvalue()


def write_wav(
    path: Path, samples: Pcm16, rate: int, *, channels: int = 1, encoding: str = "pcm"
) -> None:
    """Write a WAV file; see `wav_bytes`."""
    path.write_bytes(wav_bytes(samples, rate, channels=channels, encoding=encoding))


def _load(source: Path | bytes, max_bytes: int) -> bytes:
    too_large = AudioError(
        f"the WAV file is larger than {max_bytes} bytes",
        code="WAV_TOO_LARGE",
        hint="Cut the recording to the question.",
    )
    if isinstance(source, bytes):
        if len(source) > max_bytes:
            raise too_large
        return source
    try:
        with source.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise AudioError(
            f"the WAV file cannot be read: {error.strerror}",
            code="WAV_UNREADABLE",
            hint="Check the path and its permissions.",
        ) from error
    if len(data) > max_bytes:
        raise too_large
    return data


def _invalid(why: str) -> AudioError:
    return AudioError(
        f"not a WAV file: {why}", code="WAV_INVALID", hint="Convert it to a 16-bit PCM WAV file."
    )


def _chunks(data: bytes) -> tuple[_Format, bytes, bool]:
    """The format, the bytes of sound, and whether some of them are missing."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _invalid("it has no RIFF header")
    (riff_size,) = struct.unpack_from("<I", data, 4)
    form: _Format | None = None
    position = 12
    while position + 8 <= len(data):
        name = data[position : position + 4]
        (size,) = struct.unpack_from("<I", data, position + 4)
        position += 8
        there = len(data) - position
        if name == b"fmt ":
            form = _format(data[position : position + min(size, there)])
        elif name == b"data":
            if form is None:
                raise _invalid("its format does not come before its sound")
            streamed = size == 0xFFFFFFFF or (size == 0 and riff_size in _UNKNOWN_SIZES)
            taken = there if streamed else min(size, there)
            return form, data[position : position + taken], not streamed and size > there
        position += size + size % 2
    raise _invalid("it ends before its sound")


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise _invalid("its format is cut off")
    codec, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if codec == _EXTENSIBLE and len(chunk) >= 26:
        (codec,) = struct.unpack_from("<H", chunk, 24)
    if not 1 <= channels <= 8:
        raise _invalid(f"{channels} channels")
    if not 1_000 <= rate <= 384_000:
        raise _invalid(f"a rate of {rate} Hz")
    known = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ULAW: (8,)}
    if bits not in known.get(codec, ()):
        raise AudioError(
            f"the WAV file has a coding that is not read here ({codec}, {bits} bits)",
            code="WAV_CODEC",
            hint="Convert it to a 16-bit PCM WAV file.",
        )
    return _Format(codec, channels, rate, bits)


def _decode(body: bytes, form: _Format) -> Pcm16:
    """Interleaved PCM16 of sound in any of the codings that are read."""
    if form.codec == _ULAW:
        return ulaw.decode(body)
    if form.codec == _FLOAT:
        return to_pcm16(np.frombuffer(body, dtype="<f4" if form.bits == 32 else "<f8"))
    if form.bits == 8:
        return (np.frombuffer(body, dtype=np.uint8).astype(np.int16) - 128) * np.int16(256)
    if form.bits == 16:
        return np.frombuffer(body, dtype="<i2").astype(np.int16)
    width = form.bits // 8
    octets: NDArray[np.uint8] = np.frombuffer(body, dtype=np.uint8).reshape(-1, width)
    # The two upper bytes of a little-endian sample are its 16 most significant bits.
    return np.ascontiguousarray(octets[:, width - 2 :]).view("<i2")[:, 0].astype(np.int16)
