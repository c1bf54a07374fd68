"""A wake word that is a tone, for tests of satellites; it fits their protocol by its shape."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from parlour_audio.frames import Samples

RATE: Final = 16_000
WORD_HZ: Final = 1000.0


def wake_word(ms: float = 400.0) -> Samples:
    """What `ToneWake` takes for its word: 16 kHz, mono."""
    time = np.arange(round(ms * RATE / 1000)) / RATE
    return (np.sin(2 * np.pi * WORD_HZ * time) * 0.3).astype(np.float32)


def spoken(ms: float, loudness: float = 0.3) -> Samples:
    """What `LoudnessVad` takes for speech and `ToneWake` for none: 16 kHz, mono."""
    time = np.arange(round(ms * RATE / 1000)) / RATE
    return (np.sin(2 * np.pi * 300 * time) * loudness).astype(np.float32)


class ToneWake:
    """Sure of its word when the last 200 ms were a tone of 1 kHz.

    Attributes:
        resets: how often it had to forget.
    """

    word = "a tone"

    def __init__(self) -> None:
        self.resets = 0
        self._shares: deque[float] = deque(maxlen=6)

    def probability(self, window: Samples) -> float:
        """The mean share of the tone in the last six windows."""
        spectrum = np.abs(np.fft.rfft(window)) ** 2
        total = float(spectrum.sum())
        at = round(WORD_HZ * len(window) / RATE)
        share = float(spectrum[at - 2 : at + 3].sum()) / total if total > 1e-3 else 0.0
        self._shares.append(share)
        return sum(self._shares) / 6

    def reset(self) -> None:
        """Forget."""
        self.resets += 1
        self._shares.clear()

    def close(self) -> None:
        """Nothing is held."""
