"""One turn on its way to whoever listens: kept whole until its end, sent again when need be. Pure.

The claiming worker gets the frames from the first one on, also one that claims a higher attempt
after the first has died: then everything is sent again, faster than it was spoken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from parlour_audio.frames import Samples, pcm16_to_bytes, to_pcm16
from parlour_contracts.messages.turn import TurnClaimed, Wake
from parlour_kit.attendance import Fleet
from parlour_kit.floor import Floor, Move

from satellite.windows import WINDOW, WINDOW_S, windows_of

CATCH_UP: Final = 12
"""Frames sent at one time at most."""

LONGEST_S: Final = 130.0
"""A little more than any stt-worker listens; then the microphone is closed."""

TRANSCRIPT_S: Final = 20.0
"""So long after the last frame a transcript may come."""


_SILENCE: Final = np.zeros(WINDOW, np.float32)


@dataclass(frozen=True)
class OutFrame:
    """A frame for the worker: its number from 0, PCM16 bytes at 16 kHz, and whether it ends all."""

    seq: int
    payload: bytes
    end: bool


class Hearing:
    """The sound of one turn, from the moment on in which somebody began to speak.

    Args:
        turn_id: its name.
        fleet: who is there to listen.
        now: seconds of the caller's clock.
        wake: the word that opened it.

    Attributes:
        closed: whether the microphone is closed for it; the last frame says so.
        heard_speech: whether somebody has spoken in it.
    """

    def __init__(self, turn_id: str, fleet: Fleet, now: float, wake: Wake | None = None) -> None:
        self.turn_id = turn_id
        self.wake = wake
        self.opened_at = now
        self.closed = False
        self.heard_speech = False
        self._floor = Floor(turn_id, fleet, now)
        self._frames: list[bytes] = []
        self._next = 0
        self._sent_all_at: float | None = None

    @property
    def attempt(self) -> int:
        """The number of the open that counts."""
        return self._floor.attempt

    @property
    def claim(self) -> TurnClaimed | None:
        """Who listens; None while nobody does."""
        return self._floor.claim

    @property
    def length_s(self) -> float:
        """How much sound it has."""
        return len(self._frames) * WINDOW_S

    def add(self, window: Samples) -> None:
        """Take a window of the microphone; nothing more is taken after :meth:`close`."""
        if self.closed:
            return
        self._frames.append(pcm16_to_bytes(to_pcm16(window)))
        if len(self._frames) >= windows_of(LONGEST_S * 1000):
            self.close()

    def close(self) -> None:
        """The microphone is closed: silence as the last frame tells the worker so."""
        if not self.closed:
            self._frames.append(pcm16_to_bytes(to_pcm16(_SILENCE)))
            self.closed = True

    def claimed(self, claim: TurnClaimed) -> bool:
        """Take a claim in; whoever newly listens hears all from the beginning."""
        if not self._floor.claimed(claim):
            return False
        self._next, self._sent_all_at = 0, None
        return True

    def decide(self, now: float) -> Move:
        """Whether to open (again), to wait, or to give up."""
        if self._sent_all_at is not None and now - self._sent_all_at > TRANSCRIPT_S:
            return Move.GIVE_UP
        return self._floor.decide(now)

    def pending(self) -> Iterator[OutFrame]:
        """The frames to send now; each counts as sent when :meth:`sent` says so."""
        for number in range(self._next, min(self._next + CATCH_UP, len(self._frames))):
            last = self.closed and number == len(self._frames) - 1
            yield OutFrame(number, self._frames[number], last)

    def sent(self, frame: OutFrame, now: float) -> None:
        """A frame went out."""
        self._next = frame.seq + 1
        if frame.end:
            self._sent_all_at = now

    @property
    def behind(self) -> bool:
        """Whether frames wait to be sent to somebody."""
        return self.claim is not None and self._next < len(self._frames)
