"""A frame of speech as it comes from a tts-worker: payload and properties in, samples out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from parlour_audio.frames import Pcm16, pcm16_from_bytes

RATES: Final = (8_000, 48_000)
"""The lowest and the highest rate of speech, in Hz."""

_NUMBER_MAX: Final = 10_000_000


@dataclass(frozen=True)
class SpokenFrame:
    """Mono samples and their place: sentence, milliseconds in it, and a number for equal places.

    ``end`` closes the sentence, ``last`` with it the utterance.
    """

    sentence: int
    start_ms: int
    seq: int
    rate: int
    samples: Pcm16
    end: bool
    last: bool

    @property
    def key(self) -> tuple[int, int, int]:
        """What frames of an utterance are ordered by."""
        return self.sentence, self.start_ms, self.seq

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.rate


def spoken_frame(payload: bytes, properties: Mapping[str, str]) -> SpokenFrame | None:
    """Read a frame; None when it is none."""
    numbers = [_number(properties.get(key, "0")) for key in ("sentence", "start_ms", "seq")]
    rate = _number(properties.get("rate"))
    if None in numbers or rate is None or not RATES[0] <= rate <= RATES[1] or len(payload) % 2:
        return None
    sentence, start_ms, seq = (n for n in numbers if n is not None)
    return SpokenFrame(
        sentence, start_ms, seq, rate, pcm16_from_bytes(payload),
        properties.get("end") == "1", properties.get("last") == "1",
    )  # fmt: skip


def _number(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 8:
        return None
    number = int(text)
    return number if number <= _NUMBER_MAX else None
