"""Whether a transcript is the assistant's own voice, or nothing but a nod. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

SHORTEST = 3
"""Fewer words than this prove nothing: a household says "the kitchen" as well as the assistant."""

LOOKED_AT = 300
"""Words of an utterance that are compared, its last ones."""

LONGEST_NOD = 3

NODS = frozenset(
    word
    for line in (
        "ah aha alright cool exactly fine good great hm hmm huh i mhm mm mmm nice oh ok okay right",
        "really see sure uh uhhuh well wow yeah yep yes yup",
    )
    for word in line.split()
)
"""Words with which one says that one listens, alone or up to three of them."""

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation."""
    return _WORD.findall(text.lower().replace("'", ""))


def is_nod(text: str) -> bool:
    """Whether it only says that somebody listens (a back-channel)."""
    words = words_of(text)
    return 0 < len(words) <= LONGEST_NOD and all(word in NODS for word in words)


def is_echo(heard: str, spoken: Iterable[str], similarity: float) -> bool:
    """Whether what was heard is what was said, or a part of it.

    Args:
        heard: the transcript.
        spoken: what sounded while it was heard.
        similarity: from 0 to 1; a part of what was said that is at least so similar is the same.
    """
    words = words_of(heard)
    if len(words) < SHORTEST:
        return False
    return any(_contains(words_of(text)[-LOOKED_AT:], words, similarity) for text in spoken)


def _contains(spoken: list[str], heard: list[str], similarity: float) -> bool:
    wanted = Counter(heard)
    text = " ".join(heard)
    matcher = SequenceMatcher(None, "", text, autojunk=False)
    for size in (len(heard) - 1, len(heard), len(heard) + 1):
        for start in range(max(1, len(spoken) - size + 1)):
            part = spoken[start : start + size]
            if 2 * (Counter(part) & wanted).total() < len(heard):
                continue  # cheap, and leaves next to nothing for what is dear
            matcher.set_seq1(" ".join(part))
            if matcher.quick_ratio() >= similarity and matcher.ratio() >= similarity:
                return True
    return False
