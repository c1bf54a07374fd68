"""The sound of one utterance in its order, whichever frame comes when (V049). Pure.

The frames of a sentence are ordered by ``start_ms``, their place in it, so a sentence that a
second worker makes again goes on where the first one stopped; ``seq`` only tells equal places
apart. What was lost within a sentence is silence of its length, so that the times of the words
stay right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from parlour_audio.frames import Pcm16
from parlour_audio.spoken_frame import SpokenFrame, spoken_frame

LOST_FRAME_S: Final = 0.3
"""So long a frame waits for one before it in its sentence."""

LOST_SENTENCE_S: Final = 5.0
"""So long a sentence waits for one before it: another worker may still be making that."""

LOST_LAST_S: Final = 0.5
"""So long after the news that all is out the last frames may come."""

MOST_WAITING_S: Final = 300.0
"""So much sound may wait for its turn; more is not taken."""

_MOST_FRAMES: Final = 30_000

_SLACK_MS: Final = 1.5
_LONGEST_GAP_MS: Final = 2000.0


@dataclass(frozen=True)
class Sound:
    """Samples that are next, mono, and their rate in Hz."""

    samples: Pcm16
    rate: int


class Sequence:
    """The frames of one utterance.

    Attributes:
        malformed: frames that were none, or too many.
        lost: frames and sentences that were not waited for any longer.
        complete: whether nothing more will come.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self.lost = 0
        self.complete = False
        self._waiting: dict[tuple[int, int, int], SpokenFrame] = {}
        self._waiting_s = 0.0
        self._sentence = 0
        self._ms = 0.0
        self._blocked_since: float | None = None
        self._given_up: set[int] = set()
        self._out_at: float | None = None

    def put(self, payload: bytes, properties: Mapping[str, str]) -> bool:
        """Take a frame as it came from the wire; tells whether it was one."""
        frame = spoken_frame(payload, properties)
        full = self._waiting_s >= MOST_WAITING_S or len(self._waiting) >= _MOST_FRAMES
        if frame is None or full:
            self.malformed += 1
            return False
        if frame.key not in self._waiting:
            self._waiting[frame.key] = frame
            self._waiting_s += frame.seconds
        return True

    def failed(self, sentence: int) -> None:
        """No more of this sentence comes: it is not waited for."""
        self._given_up.add(sentence)

    def expected(self, sentence: int) -> None:
        """This sentence is being made, perhaps anew."""
        self._given_up.discard(sentence)

    def all_out(self, now: float) -> None:
        """The last sentence was sent: what is not here soon is lost."""
        if self._out_at is None:
            self._out_at = now

    def next(self, now: float) -> Sound | None:
        """The sound that follows; None when there is none yet, or at the end."""
        while (frame := self._due(now)) is not None:
            sound = self._take(frame)
            if sound is not None:
                return sound
        late = self._out_at is not None and now >= self._out_at + LOST_LAST_S
        if late and not self._waiting:
            self.complete = True
        return None

    def _due(self, now: float) -> SpokenFrame | None:
        """The frame whose turn it is."""
        if not self._waiting or self.complete:
            return None
        head = self._waiting[min(self._waiting)]
        while self._sentence in self._given_up and head.sentence > self._sentence:
            self._sentence, self._ms = self._sentence + 1, 0.0
        early = head.sentence > self._sentence or (
            head.sentence == self._sentence and head.start_ms > self._ms + _SLACK_MS
        )
        if early:
            if self._blocked_since is None:
                self._blocked_since = now
            within = head.sentence == self._sentence
            if now < self._blocked_since + (LOST_FRAME_S if within else LOST_SENTENCE_S):
                return None
            self.lost += 1
        self._blocked_since = None
        del self._waiting[head.key]
        self._waiting_s -= head.seconds
        return head

    def _take(self, frame: SpokenFrame) -> Sound | None:
        """What of a frame is new, after the silence of what was lost before it."""
        if frame.sentence < self._sentence:
            self.complete = self.complete or frame.last
            return None
        if frame.sentence > self._sentence:
            self._sentence, self._ms = frame.sentence, 0.0
        gap_ms = frame.start_ms - self._ms
        silence = np.zeros(0, np.int16)
        if gap_ms > _SLACK_MS:
            silence = np.zeros(round(min(gap_ms, _LONGEST_GAP_MS) * frame.rate / 1000), np.int16)
        known = round(-gap_ms * frame.rate / 1000) if gap_ms < -_SLACK_MS else 0
        samples = frame.samples[known:]
        self._ms = max(self._ms, frame.start_ms + len(frame.samples) * 1000 / frame.rate)
        if frame.end:
            self._sentence, self._ms = frame.sentence + 1, 0.0
        self.complete = self.complete or frame.last
        if len(samples) == 0:
            return None
        return Sound(np.concatenate((silence, samples)) if len(silence) else samples, frame.rate)
