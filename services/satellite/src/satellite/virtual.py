"""A room without walls: what is spoken in it by a script, its noise, and its loudspeaker's echo.

Pure: it is advanced window by window. :class:`satellite.devices.virtual.VirtualDevice` drives a
satellite with it, on a clock that may be virtual; the same room plays a WAV file to a satellite
on a machine without a sound card.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from parlour_audio import resample
from parlour_audio.frames import Samples

from satellite.windows import RATE, WINDOW, WINDOW_S, factor, level_db

NEVER: Final = float("-inf")


@dataclass(frozen=True)
class _Said:
    start: int
    samples: Samples


@dataclass
class VirtualRoom:
    """A room; levels are the root mean square in dB of full scale.

    Attributes:
        echo_db: how much louder than it was played the loudspeaker comes back to the
            microphone; minus infinity: it is not heard there.
        echo_delay_s: after which time it comes back.
        noise_db: of the noise in the background; minus infinity: there is none.
        seed: of the noise, which is the same for the same seed.
        speaker_rate: of the loudspeaker, in Hz.
        remember: whether :meth:`sounded` is asked later; a room that lasts for ever does without.
    """

    echo_db: float = NEVER
    echo_delay_s: float = 0.04
    noise_db: float = NEVER
    seed: int = 0
    speaker_rate: int = RATE
    remember: bool = True
    _said: list[_Said] = field(default_factory=list)
    _captured: int = 0
    _played: list[Samples] = field(default_factory=list)
    _echo: Samples = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._echo = np.zeros(round(self.echo_delay_s * RATE), np.float32)

    @property
    def now(self) -> float:
        """How much sound was captured, in seconds."""
        return self._captured / RATE

    def say(
        self, samples: Samples, *, at: float | None = None, level_db: float | None = None,
        rate: int = RATE,
    ) -> float:  # fmt: skip
        """Have something said.

        Args:
            samples: mono, -1.0 to 1.0.
            at: when, in seconds of the room (see :attr:`now`); None: now.
            level_db: how loud it reaches the microphone; None: as it is.
            rate: of the samples, in Hz.

        Returns:
            When it will be over, in seconds of the room.
        """
        sound = resample(samples, rate, RATE)
        if level_db is not None:
            sound = at_level(sound, level_db)
        start = round(max(self.now if at is None else at, self.now) * RATE)
        self._said.append(_Said(start, sound))
        return (start + len(sound)) / RATE

    def capture(self, played: Samples) -> Samples:
        """Let 32 ms pass.

        Args:
            played: what the loudspeaker plays in that time, at its own rate.

        Returns:
            What the microphone hears: 512 samples at 16 kHz.
        """
        if self.remember:
            self._played.append(played)
        mic = self._voices()
        if self.echo_db > NEVER:
            back = resample(played, self.speaker_rate, RATE)
            back = np.pad(back, (0, max(WINDOW - len(back), 0)))[:WINDOW]
            self._echo = np.concatenate((self._echo, back))
            mic += self._echo[:WINDOW] * np.float32(factor(self.echo_db))
            self._echo = self._echo[WINDOW:]
        if self.noise_db > NEVER:
            noise = self._random.standard_normal(WINDOW).astype(np.float32)
            mic += noise * np.float32(factor(self.noise_db))
        self._captured += WINDOW
        return np.clip(mic, -1.0, 1.0).astype(np.float32)

    def sounded(self, begin: float = 0.0, end: float | None = None) -> Samples:
        """What the loudspeaker played between two times of the room, at its own rate."""
        first = round(begin / WINDOW_S)
        last = None if end is None else round(end / WINDOW_S)
        parts = self._played[first:last]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def silent(self, begin: float, end: float | None = None) -> bool:
        """Whether the loudspeaker was silent between two times of the room."""
        return not np.any(self.sounded(begin, end))

    def _voices(self) -> Samples:
        mic = np.zeros(WINDOW, np.float32)
        begin, end = self._captured, self._captured + WINDOW
        for said in self._said:
            first, last = max(said.start, begin), min(said.start + len(said.samples), end)
            if first < last:
                mic[first - begin : last - begin] += said.samples[
                    first - said.start : last - said.start
                ]
        self._said = [s for s in self._said if s.start + len(s.samples) > end]
        return mic


def at_level(samples: Samples, db: float) -> Samples:
    """The samples, so loud that their root mean square is ``db`` of full scale."""
    loud = (samples * np.float32(factor(db - level_db(samples)))).astype(np.float32)
    return np.clip(loud, -1.0, 1.0)
