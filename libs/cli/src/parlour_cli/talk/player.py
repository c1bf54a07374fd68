"""A loudspeaker without sound: orders the frames of an utterance and tells when each is heard.

Pure: frames and times in, what is heard and what to report out. The frames of a sentence are
ordered by ``start_ms``, their place in it, so a sentence that a second worker makes again goes
on where the first one stopped; ``seq`` only tells equal places apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from parlour_audio import resample
from parlour_audio.frames import Pcm16, to_float, to_pcm16
from parlour_audio.spoken_frame import SpokenFrame, spoken_frame

AUDIBLE: Final = 0.01 * 32_768
"""A sample beyond 1 % of full scale can be heard."""

POSITION_S: Final = 0.5
LOST_FRAME_S: Final = 0.3
"""So long a frame waits for one before it in its sentence."""
LOST_SENTENCE_S: Final = 5.0
"""So long a sentence waits for one before it: another worker may still be making that."""

_SLACK_MS: Final = 1.5

Event = Literal["started", "position", "finished", "stopped"]


@dataclass(frozen=True)
class Report:
    """What a satellite tells of its loudspeaker."""

    event: Event
    played_ms: float


@dataclass(frozen=True)
class Chunk:
    """Sound in its order, and when its first sample is heard (seconds of the caller's clock)."""

    samples: Pcm16
    rate: int
    at: float


class Player:
    """Plays one utterance, from the arrival of its first frame on.

    Attributes:
        chunks: what was or will be heard.
        audible_at: when the first audible sample is heard; None so far.
        underruns: how often the sound ran out before its end.
        underrun_s: for how long in all; that silence is heard but is no part of ``chunks``.
        malformed: frames that were none.
        lost: frames that were not waited for any longer.
    """

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.audible_at: float | None = None
        self.underruns = 0
        self.underrun_s = 0.0
        self.malformed = 0
        self.lost = 0
        self.over = False
        self._waiting: dict[tuple[int, int, int], SpokenFrame] = {}
        self._sentence = 0
        self._ms = 0.0
        self._blocked_since: float | None = None
        self._complete = False
        self._total_s = 0.0
        self._runs_out = 0.0
        self._told: float | None = None
        self._handed = 0

    def frame(self, payload: bytes, properties: Mapping[str, str], now: float) -> None:
        """Take a frame as it came from the wire."""
        frame = spoken_frame(payload, properties)
        if frame is None:
            self.malformed += 1
        elif not self.over:
            self._waiting.setdefault(frame.key, frame)
            self._advance(now)

    def fresh(self) -> list[Chunk]:
        """The sound that has come into its order since the last call."""
        begin, self._handed = self._handed, len(self.chunks)
        return self.chunks[begin:]

    def close(self) -> None:
        """No more comes at all: it is over when what it has is heard."""
        self._complete = True

    def stop(self, now: float) -> list[Report]:
        """Be silent at once."""
        if self.over:
            return []
        played = self.played_ms(now)
        self.over = True
        self._waiting.clear()
        return [Report("stopped", played)] if self._told is not None else []

    def played_ms(self, now: float) -> float:
        """How much of the utterance has been heard."""
        return max(self._total_s - max(self._runs_out - now, 0.0), 0.0) * 1000

    def poll(self, now: float) -> list[Report]:
        """What is to be reported by this time; also gives up waiting for what was lost."""
        self._advance(now)
        if self.over:
            return []
        reports: list[Report] = []
        if self.chunks and self._told is None:
            self._told = self.chunks[0].at
            reports.append(Report("started", 0.0))
        if self._complete and now >= self._runs_out:
            self.over = True
            if self._told is not None:
                reports.append(Report("finished", self._total_s * 1000))
        elif self._told is not None and now >= self._told + POSITION_S and now < self._runs_out:
            self._told = now
            reports.append(Report("position", self.played_ms(now)))
        return reports

    @property
    def next_at(self) -> float | None:
        """When to poll again at the latest, without a frame coming; None: never."""
        if self.over:
            return None
        times = []
        if self._complete:
            times.append(self._runs_out)
        if self._told is not None and self._told + POSITION_S < self._runs_out:
            times.append(self._told + POSITION_S)
        if self._blocked_since is not None:
            times.append(self._blocked_since + self._patience())
        return min(times, default=None)

    def sound(self) -> tuple[Pcm16, int]:
        """All that was spoken, without the gaps, and its rate in Hz (that of its beginning)."""
        if not self.chunks:
            return np.zeros(0, np.int16), 16_000
        rate = self.chunks[0].rate
        parts = [
            c.samples if c.rate == rate else to_pcm16(resample(to_float(c.samples), c.rate, rate))
            for c in self.chunks
        ]
        return np.concatenate(parts), rate

    def _head(self) -> SpokenFrame | None:
        return self._waiting[min(self._waiting)] if self._waiting else None

    def _patience(self) -> float:
        head = self._head()
        within = head is not None and head.sentence == self._sentence
        return LOST_FRAME_S if within else LOST_SENTENCE_S

    def _advance(self, now: float) -> None:
        while (head := self._head()) is not None:
            in_order = head.sentence < self._sentence or (
                head.sentence == self._sentence and head.start_ms <= self._ms + _SLACK_MS
            )
            if not in_order:
                if self._blocked_since is None:
                    self._blocked_since = now
                if now < self._blocked_since + self._patience():
                    return
                self.lost += 1
                self._sentence, self._ms = head.sentence, float(head.start_ms)
            del self._waiting[head.key]
            self._blocked_since = None
            if head.sentence == self._sentence:
                self._play(head, now)

    def _play(self, frame: SpokenFrame, now: float) -> None:
        known_ms = self._ms - frame.start_ms
        known = round(known_ms * frame.rate / 1000) if known_ms > _SLACK_MS else 0
        samples = frame.samples[known:]
        self._ms = max(self._ms, frame.start_ms + len(frame.samples) * 1000 / frame.rate)
        if frame.end:
            self._sentence, self._ms = frame.sentence + 1, 0.0
        self._complete = self._complete or frame.last
        if len(samples) == 0:
            return
        if self.chunks and now > self._runs_out:
            self.underruns += 1
            self.underrun_s += now - self._runs_out
        chunk = Chunk(samples, frame.rate, max(now, self._runs_out))
        if self.audible_at is None:
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE)
            if len(loud):
                self.audible_at = chunk.at + float(loud[0]) / frame.rate
        self.chunks.append(chunk)
        length_s = len(samples) / frame.rate
        self._total_s += length_s
        self._runs_out = chunk.at + length_s
