"""Cuts a sentence's phonemes into portions that the model speaks at once. Pure.

The model's memory grows with the length of what it speaks at once, so a text without a full
stop must not reach it whole. Decoding in windows, to sound sooner, would begin here as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MAX_PHONEMES = 180
"""About 11 s of speech; a sentence within the router's usual limits stays whole."""
_PAUSES = frozenset(",;:.?!")


def portions(phonemes: Sequence[str], limit: int = MAX_PHONEMES) -> Iterator[list[str]]:
    """The phonemes in order, none lost, at most ``limit`` at a time.

    A portion ends at the last pause in its second half, else at the last word end, else hard.
    """
    rest = list(phonemes)
    while len(rest) > limit:
        end = _cut(rest, limit)
        yield rest[:end]
        rest = rest[end:]
    if rest:
        yield rest


def _cut(phonemes: Sequence[str], limit: int) -> int:
    word_end = limit
    for at in range(limit - 1, limit // 2, -1):
        if phonemes[at] != " ":
            continue
        if phonemes[at - 1] in _PAUSES:
            return at + 1
        if word_end == limit:
            word_end = at + 1
    return word_end
