"""Change of rate for sound that arrives in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

if TYPE_CHECKING:
    from parlour_audio.frames import Samples


class StreamResampler:
    """Mono sound at ``in_rate`` in, at ``out_rate`` out (Hz); nothing is done where they match.

    The filter looks ahead, so a piece of output may belong to earlier input: ``flush`` brings the
    rest. The first output sample is the time of the first input sample.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        self.in_rate = in_rate
        self.out_rate = out_rate
        self._stream = (
            None
            if in_rate == out_rate
            else soxr.ResampleStream(in_rate, out_rate, 1, dtype="float32", quality="HQ")
        )
        self._flushed = False

    def process(self, samples: Samples) -> Samples:
        """The output that this piece completes; often a little less than its length."""
        if self._stream is None or len(samples) == 0:
            return samples
        return np.asarray(self._stream.resample_chunk(samples), dtype=np.float32)

    def flush(self) -> Samples:
        """What the filter still holds; after it the stream is over."""
        empty = np.zeros(0, dtype=np.float32)
        if self._stream is None or self._flushed:
            return empty
        self._flushed = True
        return np.asarray(self._stream.resample_chunk(empty, last=True), dtype=np.float32)


def resample(samples: Samples, in_rate: int, out_rate: int) -> Samples:
    """A whole recording at another rate (Hz)."""
    if in_rate == out_rate:
        return samples
    return np.asarray(soxr.resample(samples, in_rate, out_rate), dtype=np.float32)
