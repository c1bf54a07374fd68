"""Loudness without wrapping or hard clipping (C025). Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tts_worker.engine import Samples

KNEE = 0.8
"""Below it the sound is untouched; above it is bent towards, and never beyond, full scale."""


def factor(volume_percent: int, request_volume: int | None) -> float:
    """The gain of the settings' volume and a request's, both in percent."""
    return volume_percent / 100 * (100 if request_volume is None else request_volume) / 100


def limit(samples: Samples) -> Samples:
    """Bend peaks softly: monotonic, odd, smooth at the knee, within ±1.

    It has no memory, so a sentence may be limited in pieces.
    """
    # A broken model can yield what is not a number; silence is the harmless reading.
    clean = np.nan_to_num(samples, nan=0.0, posinf=4.0, neginf=-4.0)
    size = np.abs(clean)
    room = 1.0 - KNEE
    bent = KNEE + room * np.tanh((size - KNEE) / room)
    return np.where(size <= KNEE, clean, np.copysign(bent, clean)).astype(np.float32)


def to_pcm16(samples: Samples, gain: float) -> NDArray[np.int16]:
    """Sound at a gain as 16-bit samples; -32768 is never used, so negating is safe."""
    scaled: NDArray[np.float32] = np.rint(limit(samples * np.float32(gain)) * 32767.0)
    return scaled.astype(np.int16)
