"""One utterance on its way to the loudspeaker: in its order and at its rate. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from parlour_audio import StreamResampler
from parlour_audio.frames import Samples, to_float

from satellite.sequence import Sequence


class Utterance:
    """Sound to be handed out piece by piece.

    Args:
        utterance_id: its name.
        rate: of the loudspeaker, in Hz.

    Attributes:
        handed: samples that were handed to the loudspeaker.
        heard_at: when a frame of it came last, in seconds of the caller's clock.
    """

    def __init__(self, utterance_id: str, rate: int, now: float) -> None:
        self.utterance_id = utterance_id
        self.sequence = Sequence()
        self.handed = 0
        self.heard_at = now
        self._rate = rate
        self._resampler: StreamResampler | None = None
        self._ready: Samples = np.zeros(0, np.float32)
        self._flushed = False

    def put(self, payload: bytes, properties: Mapping[str, str], now: float) -> None:
        """Take a frame from the wire."""
        if self.sequence.put(payload, properties):
            self.heard_at = now

    def take(self, count: int, now: float) -> Samples:
        """The next samples, ``count`` at most: fewer where no more are there."""
        parts, there = [self._ready], len(self._ready)
        while there < count:
            sound = self.sequence.next(now)
            if sound is None:
                break
            parts.append(self._resampled(to_float(sound.samples), sound.rate))
            there += len(parts[-1])
        if there < count and self.sequence.complete and not self._flushed:
            self._flushed = True
            if self._resampler is not None:
                parts.append(self._resampler.flush())
        whole = np.concatenate(parts)
        taken, self._ready = whole[:count], whole[count:]
        self.handed += len(taken)
        return taken

    @property
    def over(self) -> bool:
        """Whether all of it was handed out."""
        return self.sequence.complete and self._flushed and len(self._ready) == 0

    @property
    def handed_ms(self) -> float:
        """How much was handed out."""
        return self.handed * 1000 / self._rate

    def _resampled(self, samples: Samples, rate: int) -> Samples:
        if self._resampler is None:
            self._resampler = StreamResampler(rate, self._rate)
        if self._resampler.in_rate == rate:
            return self._resampler.process(samples)
        before, self._resampler = self._resampler, StreamResampler(rate, self._rate)
        return np.concatenate((before.flush(), self._resampler.process(samples)))
