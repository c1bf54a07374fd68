"""Numbers and durations as they are spoken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL: Final = {word: value for value, word in enumerate(_ONES)}
_ROUND: Final = {word: 10 * value for value, word in enumerate(_TENS, 2)}

NUMBER_WORDS: Final = frozenset([*_ONES, *_TENS, "hundred"])

UNITS: Final = {
    **dict.fromkeys(("hour", "hours"), 3600),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60),
    **dict.fromkeys(("second", "seconds", "sec", "secs"), 1),
}
"""Seconds of a unit."""

MAX_DIGITS = 6


def is_digits(word: str) -> bool:
    """Whether it is a number in ASCII digits, with or without a fraction."""
    return word.isascii() and word.replace(".", "", 1).isdigit()


def read_number(words: Sequence[str], at: int) -> tuple[float, int] | None:
    """The number that begins at a word, and where it ends.

    Digits, or words up to "nine hundred and ninety nine".
    """
    if at >= len(words):
        return None
    word = words[at]
    if is_digits(word):
        return (float(word), at + 1) if len(word) <= MAX_DIGITS else None
    if word == "a" and words[at + 1 : at + 2] == ["hundred"]:
        return _with_rest(words, at + 2, 100)
    below = _below_hundred(words, at)
    if below is None:
        return None
    value, end = below
    if 1 <= value <= 9 and words[end : end + 1] == ["hundred"]:
        return _with_rest(words, end + 1, 100 * value)
    return value, end


def _with_rest(words: Sequence[str], at: int, hundreds: int) -> tuple[float, int]:
    skip = at + 1 if words[at : at + 1] == ["and"] else at
    rest = _below_hundred(words, skip)
    if rest is None or rest[0] == 0:
        return hundreds, at
    return hundreds + rest[0], rest[1]


def _below_hundred(words: Sequence[str], at: int) -> tuple[int, int] | None:
    word = words[at] if at < len(words) else ""
    if word in _SMALL:
        return _SMALL[word], at + 1
    if word not in _ROUND:
        return None
    one = _SMALL.get(words[at + 1], 0) if at + 1 < len(words) else 0
    return (_ROUND[word] + one, at + 2) if 1 <= one <= 9 else (_ROUND[word], at + 1)


def parse_percent(words: Sequence[str]) -> float | None:
    """Words that are one number, with or without "percent"; None if they are not."""
    bare = list(words[:-1] if words and words[-1] == "percent" else words)
    number = read_number(bare, 0)
    return number[0] if number is not None and number[1] == len(bare) else None


def parse_duration(words: Sequence[str]) -> float | None:
    """Words that are one duration, in seconds; None if they are not.

    Its parts go from the larger unit to the smaller: "an hour and a half", "1 hour 5 minutes",
    "two and a half minutes", "half an hour", "three quarters of an hour".
    """
    words = list(words)
    total, at, smallest = 0.0, 0, float("inf")
    while at < len(words):
        if at and words[at] == "and":
            at += 1
        part = _part(words, at)
        if part is None or part[1] >= smallest:
            return None
        amount, smallest, at = part
        if words[at:] == ["and", "a", "half"]:
            amount, at = amount + 0.5, len(words)
        total += amount * smallest
    return total if words else None


def _part(words: list[str], at: int) -> tuple[float, int, int] | None:
    """An amount, the seconds of its unit, and where it ends."""
    amount = _amount(words, at)
    if amount is None or amount[1] >= len(words):
        return None
    unit = UNITS.get(words[amount[1]])
    return None if unit is None else (amount[0], unit, amount[1] + 1)


_FRACTIONS: Final[tuple[tuple[str, float], ...]] = (
    ("three quarters of an", 0.75),
    ("three quarters of a", 0.75),
    ("a quarter of an", 0.25),
    ("a quarter of a", 0.25),
    ("quarter of an", 0.25),
    ("quarter of a", 0.25),
    ("a quarter", 0.25),
    ("half an", 0.5),
    ("half a", 0.5),
    ("a half", 0.5),
    ("half", 0.5),
)


def _amount(words: list[str], at: int) -> tuple[float, int] | None:
    for phrase, value in _FRACTIONS:
        parts = phrase.split()
        if words[at : at + len(parts)] == parts:
            return value, at + len(parts)
    number = read_number(words, at)
    if number is not None:
        value, end = number
        if words[end : end + 3] == ["and", "a", "half"]:
            return value + 0.5, end + 3
        return value, end
    return (1.0, at + 1) if words[at : at + 1] in (["a"], ["an"]) else None
