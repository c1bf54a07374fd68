"""From the bytes of tokens to the text of an answer. Pure.

A token can hold part of a character, an answer can begin with blanks that belong to the
prompt, and a stop text can be spread over tokens. Nothing is given out that later bytes could
still take back.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class AnswerText:
    """Collects token bytes and gives out text that is final."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        # What is no UTF-8 cannot be spoken and is left out.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._stops = tuple(stops)
        self._held = ""
        self._begun = False
        self.stopped = False
        self.chars = 0

    def feed(self, token: bytes) -> str:
        """The text that this token completes; empty while it could still change."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(token)
        if not self._begun:
            self._held = self._held.lstrip()
            self._begun = bool(self._held)
        first = min((at for s in self._stops if (at := self._held.find(s)) >= 0), default=-1)
        if first >= 0:
            self.stopped = True
            return self._give(first)
        return self._give(len(self._held) - self._undecided())

    def finish(self) -> str:
        """What was held back, when no more tokens come. Half a character is left out."""
        return "" if self.stopped else self._give(len(self._held))

    def _give(self, length: int) -> str:
        given, self._held = self._held[:length], self._held[length:]
        self.chars += len(given)
        return given

    def _undecided(self) -> int:
        """How much of the end could be the beginning of a stop text."""
        return max(
            (
                length
                for stop in self._stops
                for length in range(min(len(stop) - 1, len(self._held)), 0, -1)
                if self._held.endswith(stop[:length])
            ),
            default=0,
        )
