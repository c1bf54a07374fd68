"""Frames in the order of their numbers: a bounded wait for what is late, then without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

HELD = 8
"""Frames that may wait for an earlier one."""

WAIT_S = 0.2
"""How long they wait."""

MAX_JUMP = 1000
"""A frame so far ahead is no frame of this stream."""

T = TypeVar("T")


@dataclass(frozen=True)
class Lost:
    """So many frames in a row did not come."""

    count: int


@dataclass
class FrameCounts:
    """What happened to the frames of a turn."""

    taken: int = 0
    duplicate: int = 0
    late: int = 0
    lost: int = 0
    wild: int = 0


@dataclass
class FrameOrder(Generic[T]):
    """Puts the frames of one stream in order; numbers grow by one from 0.

    A sender that counts from 1 is understood: nothing is lost before the first frame that
    comes.
    """

    counts: FrameCounts = field(default_factory=FrameCounts)
    _next: int = 0
    _begun: bool = False
    _held: dict[int, T] = field(default_factory=dict)
    _given_up: set[int] = field(default_factory=set)
    _since_s: float | None = None

    def push(self, seq: int, frame: T, now_s: float) -> list[T | Lost]:
        """What is now in order: frames, and the gaps between them."""
        if seq < self._next:
            if seq in self._given_up:
                self._given_up.remove(seq)
                self.counts.late += 1
            else:
                self.counts.duplicate += 1
            return []
        if seq in self._held:
            self.counts.duplicate += 1
            return []
        if seq - self._next >= MAX_JUMP:
            self.counts.wild += 1
            return []
        self._held[seq] = frame
        out = self._run()
        if len(self._held) > HELD:
            out += self._skip()
        self._since_s = now_s if self._held and (out or self._since_s is None) else self._since_s
        if not self._held:
            self._since_s = None
        return out

    def tick(self, now_s: float) -> list[T | Lost]:
        """What has waited long enough."""
        if self._since_s is None or now_s - self._since_s < WAIT_S:
            return []
        out = self._skip()
        self._since_s = now_s if self._held else None
        return out

    def _run(self) -> list[T | Lost]:
        out: list[T | Lost] = []
        while self._next in self._held:
            out.append(self._held.pop(self._next))
            self._next += 1
            self._begun = True
            self.counts.taken += 1
        return out

    def _skip(self) -> list[T | Lost]:
        first = min(self._held)
        gap = first - self._next
        self._given_up = set(range(self._next, first))
        self._next = first
        out: list[T | Lost] = []
        if self._begun:
            self.counts.lost += gap
            out.append(Lost(gap))
        return out + self._run()
