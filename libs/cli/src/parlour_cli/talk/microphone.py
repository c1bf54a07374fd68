"""A microphone's timetable: which frame exists when, and which the listener still lacks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CATCH_UP = 10
"""Frames sent at one time at most: what is past is sent faster than real time, not in a flood."""


class Microphone:
    """Frames of a question, then silence for ever, each when its last sample has been captured.

    It keeps what was captured, so that another listener can hear the question from its start.

    Args:
        frames: the question.
        silence: what follows it.
        frame_s: the length of a frame in seconds.
        start: when the first sample is captured, in seconds of the caller's clock.
    """

    def __init__(
        self, frames: Sequence[bytes], silence: bytes, frame_s: float, start: float
    ) -> None:
        self._frames = frames
        self._silence = silence
        self._frame_s = frame_s
        self._start = start
        self._next = 0

    @property
    def ends_at(self) -> float:
        """When the question has been captured wholly."""
        return self._start + len(self._frames) * self._frame_s

    @property
    def next_at(self) -> float:
        """When the next frame for the listener exists."""
        return self._start + (self._next + 1) * self._frame_s

    def pending(self, now: float) -> Iterator[tuple[int, bytes]]:
        """The frames, with their numbers, to send now; each counts as sent when the next is taken.

        A frame whose sending raised is pending again.
        """
        # Half a sample of tolerance: sums of floats must not delay a frame by a round.
        captured = int((now - self._start) / self._frame_s + 1e-6)
        for _ in range(min(captured - self._next, CATCH_UP)):
            index = self._next
            yield index, self._frames[index] if index < len(self._frames) else self._silence
            self._next = index + 1

    def rewind(self) -> None:
        """Another listener: it gets everything."""
        self._next = 0
