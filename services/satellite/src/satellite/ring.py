"""What the microphone heard a moment ago, so that no first word is lost. Pure."""

from __future__ import annotations

from collections import deque

from parlour_audio.frames import Samples

from satellite.windows import windows_of


class Ring:
    """The last windows, each with its number; older ones are forgotten.

    Args:
        keep_ms: how far back it reaches.
    """

    def __init__(self, keep_ms: float) -> None:
        self._windows: deque[Samples] = deque(maxlen=max(windows_of(keep_ms), 1))
        self.next = 0

    def push(self, window: Samples) -> int:
        """Keep a window; returns its number, which counts from 0 without gaps."""
        self._windows.append(window)
        self.next += 1
        return self.next - 1

    def since(self, number: int) -> list[Samples]:
        """The windows from this number on, as far as they are still there, in order."""
        first = self.next - len(self._windows)
        return list(self._windows)[max(number - first, 0) :]
