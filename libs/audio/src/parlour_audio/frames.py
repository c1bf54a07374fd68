"""Between bytes on the wire and arrays of samples.

``int16`` arrays hold little-endian PCM16; ``float32`` arrays hold the same in -1.0 to 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parlour_audio.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

Samples = NDArray[np.float32]
"""Mono sound in -1.0 to 1.0."""

Pcm16 = NDArray[np.int16]

_SCALE = 32_768.0


def pcm16_from_bytes(data: bytes) -> Pcm16:
    """Little-endian PCM16 bytes as samples; half a sample at the end is left out."""
    whole = len(data) - len(data) % 2
    return np.frombuffer(data[:whole], dtype="<i2").astype(np.int16, copy=False)


def pcm16_to_bytes(samples: Pcm16) -> bytes:
    """Samples as little-endian PCM16 bytes."""
    return samples.astype("<i2", copy=False).tobytes()


def to_float(samples: Pcm16) -> Samples:
    """PCM16 as -1.0 to 1.0."""
    return samples.astype(np.float32) / np.float32(_SCALE)


def to_pcm16(samples: Samples) -> Pcm16:
    """Samples as PCM16: what is too loud is clipped, never wrapped; what is no number is silent."""
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    scaled = np.rint(finite.astype(np.float64) * _SCALE)
    return np.clip(scaled, -32_768, 32_767).astype(np.int16)


def to_mono(samples: Pcm16, channels: int) -> Pcm16:
    """The mean of interleaved channels; an incomplete last frame is left out.

    Raises:
        AudioError: there is no channel.
    """
    if channels < 1:
        raise AudioError("sound without a channel", code="AUDIO_CHANNELS")
    if channels == 1:
        return samples
    whole = len(samples) - len(samples) % channels
    total = samples[:whole].reshape(-1, channels).astype(np.int32).sum(axis=1)
    mixed: Pcm16 = (total // channels).astype(np.int16)
    return mixed


def first_channel(samples: Pcm16, channels: int) -> Pcm16:
    """The first of the interleaved channels that is not digitally silent in this block.

    A microphone on a stereo card often feeds one side only, and not always the left one.
    """
    if channels == 1:
        return samples
    whole = len(samples) - len(samples) % channels
    columns = samples[:whole].reshape(-1, channels)
    live = np.flatnonzero(columns.any(axis=0))
    return np.ascontiguousarray(columns[:, live[0] if len(live) else 0])


def split(samples: Pcm16, rate: int, frame_ms: int, channels: int = 1) -> Iterator[Pcm16]:
    """Frames of ``frame_ms``, in order; the last one may be shorter.

    Raises:
        AudioError: a frame of this length has no sample.
    """
    size = rate * frame_ms // 1000 * channels
    if size < 1:
        raise AudioError(f"a frame of {frame_ms} ms has no sample", code="AUDIO_FRAME")
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
