"""Loudness that cannot overflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from parlour_audio.frames import Samples

KNEE = 0.8
"""Up to here the limiter leaves a sample as it is; above, it bends towards full scale."""


def limit(samples: Samples, knee: float = KNEE) -> Samples:
    """Bend what is above the knee towards ±1.0, smoothly and without memory.

    Louder stays louder: the curve never falls, so nothing wraps and nothing is cut flat before
    full scale.
    """
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    size = np.abs(finite)
    room = np.float32(1.0 - knee)
    bent = knee + room * np.tanh((size - knee) / room)
    return np.where(size <= knee, finite, np.copysign(bent, finite)).astype(np.float32)


def apply_gain(samples: Samples, gain: float) -> Samples:
    """Make samples ``gain`` times as loud (a factor ≥ 0), limited to ±1.0."""
    if gain < 0:
        raise ValueError("a gain is not negative")
    return limit((samples * np.float32(gain)).astype(np.float32))
