"""The deltas of an answer, put in order. Pure.

Deltas travel without acknowledgement: they may be lost, doubled or late. ``done`` repeats the
whole text, and only what was not yet taken from the deltas is taken from it.
"""

from __future__ import annotations

MAX_CHARS = 30_000
"""Half an hour of speech; what is longer is cut, so that the turn's trace fits its topic."""

MAX_WAITING = 4096


class DeltaStream:
    """``text`` is what has come without a gap."""

    def __init__(self) -> None:
        self.text = ""
        self._next = 0
        self._waiting: dict[int, str] = {}
        self._finished = False

    def add(self, seq: int, delta: str) -> str:
        """A delta came; returns the text that is new and in order, often just the delta."""
        if self._finished or seq < self._next or seq in self._waiting:
            return ""
        if len(self._waiting) < MAX_WAITING:
            self._waiting[seq] = delta
        new = ""
        while self._next in self._waiting:
            new += self._waiting.pop(self._next)
            self._next += 1
        return self._grow(new)

    def finish(self, whole: str | None) -> str:
        """The answer is complete; returns what was not yet returned.

        Args:
            whole: the complete text, if the end carried it.
        """
        if self._finished:
            return ""
        self._finished = True
        rest = None if whole is None else rest_after(self.text, whole)
        if rest is None:  # what came late is all there is
            rest = "".join(self._waiting[seq] for seq in sorted(self._waiting))
        return self._grow(rest)

    def _grow(self, new: str) -> str:
        new = new[: MAX_CHARS - len(self.text)]
        self.text += new
        return new


def rest_after(taken: str, whole: str) -> str | None:
    """What follows in ``whole`` after ``taken``, blanks apart; None if it does not begin so."""
    if whole.startswith(taken):
        return whole[len(taken) :]
    at = 0
    for letter in taken:
        if letter.isspace():
            continue
        while at < len(whole) and whole[at].isspace():
            at += 1
        if at == len(whole) or whole[at] != letter:
            return None
        at += 1
    return whole[at:]
