"""Where spoken text may be cut. Pure.

Every answer here needs the first letter after the place in question: "3." may become "3.14" and
"10 a.m." may go on. Models put the blank and the next word into one token, so nothing is lost
by waiting for it; and what is found does not depend on how the text was split on its way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import regex
from parlour_contracts.config.router import DEFAULT_BOUNDARY
from sentence_stream import SentenceBoundaryDetector

from router.errors import ExpressionError

SEARCH_S = 0.02
"""A search of the configured expression may take so long; after that the default is used."""

_WINDOW = 80
"""Characters before a full stop that can tell whether it ends a sentence."""

_CLAUSE = re.compile(r"""[,;:—–]+["'”’)\]]*\s|\s-\s|\n""")  # noqa: RUF001  # the marks themselves
_OTHER_SCRIPTS = re.compile(r"[。！？]+[”’」』）》】]*|[।॥؟]+\s|\n[^\S\n]*\n")  # noqa: RUF001  # the marks themselves
_BLANKS = re.compile(r"\s+")
_CLOSERS = "\"'”’)]}»"  # noqa: RUF001  # the marks themselves
_OPENERS = "\"'“‘([{«*_"  # noqa: RUF001  # the marks themselves
_SKIPPED = f"{_OPENERS} \t\r\n"

_WORDS = (
    "a.m p.m e.g i.e u.s u.k ph.d dr mr mrs ms prof capt gen col lt sgt rev hon st mt ft vs etc "
    "approx ca cf inc ltd co corp dept est fig vol pp jr sr jan feb apr jun jul aug sep sept oct "
    "nov dec"
)
_ABBREVIATIONS = frozenset(_WORDS.split())
_BEFORE_NUMBER = frozenset(("no", "nos", "p", "pp", "ch", "art", "sec", "mar"))
"""Abbreviations only where a number follows; "no" ends many a sentence."""

_ENUMERATION = re.compile(r"(?:^|[.!?:;\n])\s*\d{1,3}\.$")


class Boundaries:
    """Finds the ends of sentences and clauses in a text.

    Args:
        expression: the configured end of a sentence. One that does not compile, or takes too
            long on a text, is replaced by the default from then on.
    """

    def __init__(self, expression: str = DEFAULT_BOUNDARY) -> None:
        self.timed_out = False
        self._default = expression == DEFAULT_BOUNDARY
        try:
            self._pattern = regex.compile(expression)
        except regex.error:
            self._use_default()

    def _use_default(self) -> None:
        self._default = True
        self._pattern = regex.compile(DEFAULT_BOUNDARY)

    def sentence(self, text: str, least: int, limit: int) -> int | None:
        """The first place where a new sentence certainly begins.

        Args:
            text: what there is so far.
            least: the sentence has at least so many characters.
            limit: and ends within so many.
        """
        try:
            ends = [m.end() for m in self._pattern.finditer(text, endpos=limit, timeout=SEARCH_S)]
        except TimeoutError:
            self.timed_out = True
            self._use_default()
            return self.sentence(text, least, limit)
        if self._default:
            ends += [m.end() for m in _OTHER_SCRIPTS.finditer(text, 0, limit)]
        likely = (e for e in sorted(ends) if long_enough(text, e, least) and goes_on(text, e))
        return next((e for e in likely if _ends_sentence(text, e)), None)

    @staticmethod
    def clauses(text: str, limit: int) -> list[int]:
        """The places within the limit where a clause has ended, in order."""
        ends = (m.end() for m in _CLAUSE.finditer(text, 0, limit))
        return [end for end in ends if goes_on(text, end)]

    @staticmethod
    def blanks(text: str) -> Iterator[int]:
        """The places where a word begins after a blank, in order."""
        return (m.end() for m in _BLANKS.finditer(text) if goes_on(text, m.end()))


def check_expression(expression: str) -> None:
    """Refuse an expression that the library which searches does not take.

    Raises:
        ExpressionError: it does not compile there; Python's own may have taken it.
    """
    try:
        regex.compile(expression)
    except regex.error:
        raise ExpressionError("router_stream_boundary_regex cannot be used") from None


def long_enough(text: str, end: int, least: int) -> bool:
    """Whether there is so much text before a place, blanks at its end apart."""
    return len(text[:end].rstrip()) >= least


def goes_on(text: str, end: int) -> bool:
    """Whether the first letter after a place is there, past blanks and opening marks."""
    return end > 0 and bool(text[end:].lstrip(_SKIPPED))


def _ends_sentence(text: str, end: int) -> bool:
    """Whether the place is no full stop, or one that ends a sentence."""
    head = text[max(0, end - _WINDOW) : end].rstrip()
    bare = head.rstrip(_CLOSERS)
    if not bare.endswith(".") or bare.endswith(".."):
        return True
    after = text[end:].lstrip(_SKIPPED)[:1]
    if after.islower() or _ENUMERATION.search(bare):
        return False
    word = bare[:-1].rsplit(maxsplit=1)[-1].lstrip(_OPENERS).lower() if bare[:-1].split() else ""
    if word in _ABBREVIATIONS or (word in _BEFORE_NUMBER and after.isdigit()):
        return False
    return not after.isupper() or _library_agrees(f"{head} {after}")


def _library_agrees(text: str) -> bool:
    """Whether sentence-stream, too, begins a new sentence with the last letter."""
    detector = SentenceBoundaryDetector()
    for _ in detector.add_chunk(text):
        pass
    return not detector.current_sentence and detector.remaining_text.strip() == text[-1]
