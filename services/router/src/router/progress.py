"""How far an utterance was heard, to the word. Pure.

A word counts as heard when its end lies before the cut. Sentences sound one after the other: one
begins where the sound of those before it ends, and waits for one that is not out yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from parlour_contracts.messages.tts import Word


@dataclass(frozen=True, slots=True)
class Sounding:
    """A sentence that was sent to be spoken.

    Attributes:
        text: as it was sent.
        words: what of it sounds when, in ms from its own first sample; empty when nobody told.
        duration_ms: how long it sounds; None while its audio is not out.
    """

    text: str
    words: Sequence[Word] = ()
    duration_ms: float | None = None

    def ends(self) -> list[tuple[str, float]]:
        """Each word and when it ends, in ms from the sentence's first sample."""
        if self.words:
            return [(word.text, word.end_ms) for word in self.words]
        tokens = self.text.split()
        weights = [len(token) + 1 for token in tokens]
        whole = sum(weights)
        total = self.duration_ms or 0.0
        return [
            (token, total * so_far / whole)
            for token, so_far in zip(tokens, accumulate(weights), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Cut:
    """What was heard of an utterance, and what was not."""

    heard: str
    unheard: str


def cut_at(sentences: Sequence[Sounding], played_ms: float) -> Cut:
    """Split an utterance where its playback stopped.

    Args:
        sentences: all that were sent, in order.
        played_ms: how much of the utterance's sound was played.
    """
    heard: list[str] = []
    unheard: list[str] = []
    begins = 0.0
    for sentence in sentences:
        if sentence.duration_ms is None:
            unheard.append(sentence.text)
            continue
        for word, end_ms in sentence.ends():
            # Once a word was not heard, none after it was: an estimate may say otherwise.
            side = unheard if unheard or begins + end_ms > played_ms else heard
            side.append(word)
        begins += sentence.duration_ms
    return Cut(" ".join(heard).strip(), " ".join(unheard).strip())
