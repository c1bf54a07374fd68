"""The measure of time in a room: windows of 32 ms, and how loud they are."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from parlour_audio.frames import Samples
from parlour_audio.vad import VAD_RATE, VAD_WINDOW

RATE: Final = VAD_RATE
"""Hz of the microphone."""

WINDOW: Final = VAD_WINDOW
"""Samples that are captured between two decisions."""

WINDOW_S: Final = WINDOW / RATE
WINDOW_MS: Final = WINDOW_S * 1000

SILENT_DB: Final = -96.0
"""As quiet as 16 bits can be."""


def level_db(samples: Samples) -> float:
    """The root mean square of samples in dB of full scale; `SILENT_DB` at least."""
    if len(samples) == 0:
        return SILENT_DB
    mean = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(10 * math.log10(mean), SILENT_DB) if mean > 0 else SILENT_DB


def factor(db: float) -> float:
    """The factor of an amplitude that makes so many dB."""
    return float(10 ** (db / 20))


def windows_of(ms: float) -> int:
    """How many whole windows reach so far at least."""
    return math.ceil(ms / WINDOW_MS - 1e-9)
