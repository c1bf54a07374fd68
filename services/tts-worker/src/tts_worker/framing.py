"""Cuts a sentence into frames as its sound arrives. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME_MS = 100
"""V057."""
SMALL_FRAME_MS = 20
"""With ``tts_streaming``, and for the first frame of an utterance: sound starts early."""


@dataclass(frozen=True, slots=True)
class OutFrame:
    """One message on the room's audio topic: PCM16 little-endian, mono, and its properties."""

    payload: bytes
    properties: dict[str, str]


class Framer:
    """The frames of one sentence.

    ``push`` returns what is complete but keeps the last frame back, because only ``finish``
    knows that it is the last. Frames are numbered from ``first_seq``; ``next_seq`` is where
    the utterance's next sentence goes on.
    """

    def __init__(
        self, *, rate: int, sentence: int, last: bool, first_seq: int, small: bool
    ) -> None:
        self._rate = rate
        self._sentence = sentence
        self._last = last
        self._size = rate * (SMALL_FRAME_MS if small else FRAME_MS) // 1000
        self._first_size = rate * SMALL_FRAME_MS // 1000 if first_seq == 0 else self._size
        self._sent = 0
        self._held = np.zeros(0, np.int16)
        self._finished = False
        self.next_seq = first_seq

    @property
    def duration_ms(self) -> float:
        """How long the sound pushed so far lasts."""
        return (self._sent + self._held.size) * 1000 / self._rate

    def push(self, samples: NDArray[np.int16]) -> Iterator[OutFrame]:
        """Take sound in and yield the frames that it completes."""
        assert not self._finished
        self._held = np.concatenate((self._held, samples))
        while self._held.size > (size := self._next_size()):
            frame, self._held = self._held[:size], self._held[size:]
            yield self._frame(frame, end=False)

    def finish(self) -> Iterator[OutFrame]:
        """Yield what is left; the sentence's last frame carries ``end``, and may be empty."""
        assert not self._finished
        self._finished = True
        yield self._frame(self._held, end=True)
        self._held = self._held[:0]

    def _next_size(self) -> int:
        return self._first_size if self._sent == 0 else self._size

    def _frame(self, samples: NDArray[np.int16], *, end: bool) -> OutFrame:
        properties = {
            "seq": str(self.next_seq),
            "rate": str(self._rate),
            "start_ms": str(round(self._sent * 1000 / self._rate)),
            "sentence": str(self._sentence),
            "end": "1" if end else "0",
            "last": "1" if end and self._last else "0",
        }
        self.next_seq += 1
        self._sent += samples.size
        return OutFrame(samples.astype("<i2", copy=False).tobytes(), properties)
