"""Refuses expressions that could search for longer than anybody waits. Pure.

An expression searches long when a text can be read by it in many ways that all fail in the end.
The rules, on its parsed form and on the characters that its parts take:

1. It compiles, and it cannot match nothing: that would match everywhere.
2. It looks neither back into the text nor at what it matched before.
3. A part is *open* when its beginning does not tell where it ends: a repeat, something that may
   be missing, alternatives that begin alike. Two open parts that take the same characters have,
   somewhere between them, something that must be there and that the first of them does not take.
4. A repeat obeys rule 3 as if what it repeats stood there twice, and repeats nothing empty.
5. Of alternatives, no two take the same text, and at most one may be empty.
6. At most ``MAX_LONG`` repeats go on for long.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from re import _constants as op  # type: ignore[attr-defined]  # nothing public parses
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

LONG = 10
"""A repeat that may go on for more than this counts as long."""
MAX_LONG = 3

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_LOOKS = (op.ASSERT, op.ASSERT_NOT)
_WIDTHLESS = (op.AT, *_LOOKS, op.GROUPREF, op.GROUPREF_EXISTS)
_SAMPLE = [chr(code) for code in (*range(0x250), 0x2013, 0x2014, 0x2019, 0x201D, 0x2026, 0x3002)]
"""Characters by which sets are compared, beside those that the expression names."""

_CATEGORIES = {
    op.CATEGORY_DIGIT: re.compile(r"\d"), op.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    op.CATEGORY_SPACE: re.compile(r"\s"), op.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    op.CATEGORY_WORD: re.compile(r"\w"), op.CATEGORY_NOT_WORD: re.compile(r"\W"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """What a piece of an expression takes.

    Attributes:
        chars: every character that may occur in it.
        first: every character that it may begin with.
        empty: whether it may take nothing.
        open: whether its beginning does not tell where it ends.
        long: how many long repeats are in it.
        places: the characters of each place, when it always takes the same number of them.
    """

    chars: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    empty: bool = True
    open: bool = False
    long: int = 0
    places: tuple[frozenset[str], ...] | None = ()


def check_expression(text: str) -> str:
    """Give back an expression that compiles and cannot search for long.

    Raises:
        ValueError: it does not compile, or it might; the message says why.
    """
    problem = _problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


# Most changes leave the expression as it is, and reading one takes milliseconds.
@lru_cache(maxsize=64)
def _problem(text: str) -> str | None:
    """What is wrong with an expression, or None."""
    try:
        tree = _parse(text)
        whole = _Reader(tree.state.flags, text).sequence(tree)
    except (re.error, FutureWarning, OverflowError, RecursionError):
        return "does not compile as a regular expression"
    except ValueError as error:
        return str(error)
    if whole.empty:
        return "can match nothing at all, so it would match everywhere"
    if whole.long > MAX_LONG:
        return f"has more than {MAX_LONG} repeats without a near end"
    return None


def _parse(text: str) -> Any:
    """The parsed form; a set within a set is refused, since it is read in two ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        re.compile(text)
        return parser.parse(text)


class _Reader:
    """Walks a parsed expression and refuses where it breaks a rule."""

    def __init__(self, flags: int, text: str) -> None:
        self._flags = flags
        self._alphabet = sorted({*_SAMPLE, *text, *text.lower(), *text.upper()})

    def sequence(self, items: Iterable[Any], *, repeated: bool = False) -> _Part:
        """What pieces take one after the other."""
        parts = [self._part(*item) for item in _opened(items)]
        _check_neighbours(parts * 2 if repeated else parts)
        return _joined(parts)

    def _part(self, code: Any, argument: Any) -> _Part:
        if code in _REPEATS:
            return self._repeat(*argument)
        if code is op.SUBPATTERN:
            return self._with_flags(argument[1], argument[3])
        if code is op.ATOMIC_GROUP:
            return self.sequence(argument)
        if code is op.BRANCH:
            return _either([self.sequence(items) for items in argument[1]])
        if code in _WIDTHLESS:
            return self._widthless(code, argument)
        chars = self._chars(code, argument)
        return _Part(chars, chars, empty=False, places=(chars,))

    def _widthless(self, code: Any, argument: Any) -> _Part:
        if code is op.AT:
            return _Part()
        if code in _LOOKS and argument[0] > 0:
            return _Part(long=self.sequence(argument[1]).long)
        raise ValueError("looks back into the text, which is not allowed")

    def _with_flags(self, flags: int, items: Any) -> _Part:
        before, self._flags = self._flags, self._flags | flags
        try:
            return self.sequence(items)
        finally:
            self._flags = before

    def _repeat(self, low: int, high: int, items: Any) -> _Part:
        again = high > 1
        body = self.sequence(items, repeated=again)
        if again and body.empty:
            raise ValueError("repeats something that may be empty")
        same = low == high
        return _Part(
            body.chars,
            body.first,
            empty=low == 0 or body.empty,
            open=body.open or not same,
            long=body.long + (high > LONG),
            places=body.places * low if same and low <= LONG and body.places else None,
        )

    def _chars(self, code: Any, argument: Any) -> frozenset[str]:
        """The characters of the alphabet that a single place takes."""
        chars = frozenset(c for c in self._alphabet if self._takes(code, argument, c))
        if self._flags & re.IGNORECASE:
            chars |= {c for c in self._alphabet if {c.lower(), c.upper()} & chars}
        return chars

    def _takes(self, code: Any, argument: Any, char: str) -> bool:
        if code is op.ANY:
            return bool(self._flags & re.DOTALL) or char != "\n"
        if code is op.LITERAL:
            return bool(ord(char) == argument)
        if code is op.NOT_LITERAL:
            return bool(ord(char) != argument)
        if code is op.RANGE:
            return bool(argument[0] <= ord(char) <= argument[1])
        if code is op.CATEGORY:
            return _CATEGORIES[argument].fullmatch(char) is not None
        negated = int(argument[0][0] is op.NEGATE)
        listed = argument[negated:]
        return any(self._takes(kind, value, char) for kind, value in listed) != negated


def _opened(items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """The items of a sequence, plain groups taken apart."""
    for code, argument in items:
        if code is op.SUBPATTERN and not argument[1]:
            yield from _opened(argument[3])
        else:
            yield code, argument


def _check_neighbours(parts: Sequence[_Part]) -> None:
    """Rule 3."""
    for at, part in enumerate(parts):
        if not part.open:
            continue
        for later in parts[at + 1 :]:
            if later.open and later.chars & part.chars:
                raise ValueError(
                    "has two repeats or optional parts that take the same characters; "
                    "put something else between them"
                )
            if not later.empty and not later.chars & part.chars:
                break


def _joined(parts: Sequence[_Part]) -> _Part:
    first: frozenset[str] = frozenset()
    for part in parts:
        first |= part.first
        if not part.empty:
            break
    places: tuple[frozenset[str], ...] | None = ()
    for part in parts:
        places = None if places is None or part.places is None else places + part.places
    return _Part(
        chars=frozenset().union(*(part.chars for part in parts)),
        first=first,
        empty=all(part.empty for part in parts),
        open=any(part.open for part in parts),
        long=sum(part.long for part in parts),
        places=places,
    )


def _either(parts: Sequence[_Part]) -> _Part:
    """Rule 5, and what alternatives take together."""
    if sum(part.empty for part in parts) > 1:
        raise ValueError("has two alternatives that may both be empty")
    alike = False
    for one, other in combinations(parts, 2):
        if not one.first & other.first:
            continue
        alike = True
        if one.places is None or other.places is None or _same_text(one.places, other.places):
            raise ValueError("has two alternatives that can take the same text")
    sizes = {None if part.places is None else len(part.places) for part in parts}
    return _Part(
        chars=frozenset().union(*(part.chars for part in parts)),
        first=frozenset().union(*(part.first for part in parts)),
        empty=any(part.empty for part in parts),
        open=(alike and len(sizes) > 1) or any(part.open or part.empty for part in parts),
        long=sum(part.long for part in parts),
        places=None if len(sizes) > 1 else _merged(parts),
    )


def _same_text(one: tuple[frozenset[str], ...], other: tuple[frozenset[str], ...]) -> bool:
    return len(one) == len(other) and all(a & b for a, b in zip(one, other, strict=True))


def _merged(parts: Sequence[_Part]) -> tuple[frozenset[str], ...] | None:
    """Alternatives of one length, place by place."""
    columns = [part.places for part in parts if part.places is not None]
    if len(columns) < len(parts):
        return None
    return tuple(frozenset().union(*column) for column in zip(*columns, strict=True))
