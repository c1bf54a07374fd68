"""Frames of any accepted format in, mono samples at one rate out."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from parlour_audio import ulaw
from parlour_audio.errors import AudioError
from parlour_audio.frames import Samples, first_channel, pcm16_from_bytes, to_float, to_mono
from parlour_audio.resample import StreamResampler

Encoding = Literal["pcm", "ulaw"]

RATES: Final = (8_000, 16_000, 24_000, 44_100, 48_000)
"""Accepted sampling rates in Hz."""

_FORMATS_HINT = (
    "Send 8, 16, 24, 44.1 or 48 kHz, one or two channels, encoding pcm (16-bit little-endian) "
    "or ulaw."
)


class StreamDecoder:
    """Bytes of one stream → mono float samples at ``out_rate`` Hz.

    A piece may end within a sample: the rest is kept for the next one.

    Args:
        rate: 8000, 16000, 24000, 44100 or 48000 Hz.
        channels: 1 or 2, interleaved.
        encoding: ``pcm`` (16-bit little-endian) or ``ulaw``.
        out_rate: rate of the result in Hz.
        mix: whether both channels of a stereo stream are mixed; else its first live one is taken.

    Raises:
        AudioError: the format is none of these (``AUDIO_FORMAT``).
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        encoding: str = "pcm",
        out_rate: int = 16_000,
        *,
        mix: bool = True,
    ) -> None:
        if rate not in RATES or channels not in (1, 2) or encoding not in ("pcm", "ulaw"):
            raise AudioError(
                "the audio format is not supported", code="AUDIO_FORMAT", hint=_FORMATS_HINT
            )
        self.rate = rate
        self.channels = channels
        self.encoding = encoding
        self.out_rate = out_rate
        self._mix = mix
        self._step = channels * (2 if encoding == "pcm" else 1)
        self._rest = b""
        self._resampler = StreamResampler(rate, out_rate)

    def duration_ms(self, data: bytes) -> float:
        """How long so many bytes sound, in milliseconds."""
        return len(data) / self._step * 1000 / self.rate

    def feed(self, data: bytes) -> Samples:
        """The samples that these bytes complete."""
        data = self._rest + data
        whole = len(data) - len(data) % self._step
        data, self._rest = data[:whole], data[whole:]
        coded = ulaw.decode(data) if self.encoding == "ulaw" else pcm16_from_bytes(data)
        pick = to_mono if self._mix else first_channel
        return self._resampler.process(to_float(pick(coded, self.channels)))

    def conceal(self, duration_ms: float) -> Samples:
        """Silence in place of so much lost sound, so that later sound keeps its time.

        Half a sample kept from before the loss is dropped: its other half is gone.
        """
        self._rest = b""
        count = round(max(duration_ms, 0.0) * self.rate / 1000)
        return self._resampler.process(np.zeros(count, dtype=np.float32))

    def finish(self) -> Samples:
        """What the filter still holds; half a sample at the end is dropped."""
        self._rest = b""
        return self._resampler.flush()
