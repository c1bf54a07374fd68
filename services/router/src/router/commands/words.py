"""An utterance as its words, without case and punctuation. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN = "\0"
"""Stands where a character is that no command has; it is a word of none."""

_PIECE = re.compile(
    r"""
    (?P<unknown>(?<![^\W_])[-\u2012-\u2015\u2212]\d+)            # a sign belongs to its number
    | (?P<word>\d+(?:\.\d+)? | [^\W\d_]+(?:['\u2019][^\W\d_]+)*)
    | (?P<percent>%)
    | [\s.,!?;:"'()\u2012-\u2015\u2018-\u201e\u2026-]
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word in lower case, and where in the text it begins."""

    text: str
    at: int


def words_of(text: str) -> list[Word]:
    """The words of a text: numbers and letters apart, ``%`` as a word, apostrophes left out."""
    found = []
    for piece in _PIECE.finditer(text):
        kind = piece.lastgroup
        if kind == "word":
            word = piece.group().lower().replace("'", "").replace("\u2019", "")
            found.append(Word(word, piece.start()))
        elif kind == "percent":
            found.append(Word("percent", piece.start()))
        elif kind is not None:
            found.append(Word(UNKNOWN, piece.start()))
    return found
