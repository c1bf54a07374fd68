"""Brings text that people send into one form, without characters that do more than stand there.

What stays are letters, marks, numbers, punctuation, symbols and blanks, line feed, tab, and the
two joiners that scripts and emoji need (X14).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from parlour_contracts.validation.model_tokens import strip_model_tokens

MAX_MARKS = 30
"""Marks on one letter, as Unicode's stream-safe form has it. Putting thousands of them in order
takes time that grows with their square."""

_KINDS = frozenset("LMNPSZ")
_ALLOWED = frozenset("\n\t\u200c\u200d")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"[\x20-\x7e\n\t]*")


def decode_text(raw: bytes) -> str:
    """UTF-8 as text; what is none becomes U+FFFD (H050)."""
    return raw.decode("utf-8", "replace")


def normalise(text: str) -> str:
    """The text in Unicode's form C, in linear time; more than 30 marks on a letter are cut."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _stream_safe(_LONE_SURROGATE.sub("\ufffd", text)))


def strip_controls(text: str) -> str:
    """The text without control characters, except line feed and tab (H050)."""
    return _kept(text, lambda char: unicodedata.category(char) != "Cc" or char in _ALLOWED)


def foreign_characters(text: str) -> str:
    """Which characters of a text without controls are none of X14's, each once, in order."""
    if _PLAIN.fullmatch(text):
        return ""
    return "".join(char for char in dict.fromkeys(text) if not _is_allowed(char))


def clean_characters(text: str) -> str:
    """The text in form C with nothing but the characters of X14; applying it twice changes nothing.

    Args:
        text: its size was checked; the time is linear in it.
    """
    if _PLAIN.fullmatch(text):
        return text
    # Stripping may bring a letter and its mark together, so form C comes after it.
    return normalise(_kept(_LONE_SURROGATE.sub("\ufffd", text), _is_allowed))


def is_blank(text: str) -> bool:
    """Whether clean text holds nothing to read: blanks, and marks of what was no text."""
    return not text.strip(" \n\t\u00a0\u200c\u200d\ufffd")


def sanitise_text(text: str) -> str:
    """The text as a language model may have it: clean characters, and no model tokens (H051)."""
    return strip_model_tokens(clean_characters(text))


def _is_allowed(char: str) -> bool:
    return char in _ALLOWED or unicodedata.category(char)[0] in _KINDS


def _kept(text: str, allowed: Callable[[str], bool]) -> str:
    bad = [char for char in set(text) if not allowed(char)]
    return text.translate(dict.fromkeys(map(ord, bad))) if bad else text


def _stream_safe(text: str) -> str:
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MAX_MARKS:
            kept.append(char)
    return text if len(kept) == len(text) else "".join(kept)
