"""The sound of a turn by position: what may still be wanted is kept, the rest forgotten."""

from __future__ import annotations

from collections import deque

import numpy as np
from parlour_audio.frames import Samples

from stt_worker.engine import RATE


class Sound:
    """Mono samples at 16 kHz; positions in milliseconds from the first sample of the turn."""

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()
        self._start = 0
        self._end = 0

    @property
    def end_ms(self) -> float:
        """How much has come so far."""
        return self._end * 1000 / RATE

    @property
    def start_ms(self) -> float:
        """From here on it is kept."""
        return self._start * 1000 / RATE

    def append(self, samples: Samples) -> None:
        """Add what came next."""
        if len(samples):
            self._blocks.append(samples)
            self._end += len(samples)

    def forget(self, before_ms: float) -> None:
        """Drop whole blocks that end before a position."""
        limit = before_ms * RATE / 1000
        while self._blocks and self._start + len(self._blocks[0]) <= limit:
            self._start += len(self._blocks.popleft())

    def cut(self, start_ms: float, end_ms: float) -> tuple[Samples, float]:
        """The samples between two positions, as far as they are kept, and where they start."""
        first = max(round(start_ms * RATE / 1000), self._start)
        last = min(round(end_ms * RATE / 1000), self._end)
        if last <= first:
            return np.zeros(0, dtype=np.float32), first * 1000 / RATE
        whole = np.concatenate(list(self._blocks))
        return whole[first - self._start : last - self._start].copy(), first * 1000 / RATE
