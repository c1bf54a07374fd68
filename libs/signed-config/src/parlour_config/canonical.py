"""The one way from bytes to values and back.

Two readers of the same bytes must never disagree, so the loader refuses whatever JSON leaves
to taste: two values for one key, numbers that a double cannot hold, NaN, lone surrogates. The
way back is RFC 8785 (JCS), which has exactly one text for each value. What one of them takes,
the other takes too, size aside.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NoReturn, TypeAlias, TypeVar

import rfc8785

from parlour_config.errors import RefusedJsonError

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)

MAX_UPDATE_BYTES = 262_144
MAX_REQUEST_BYTES = 65_536
MAX_KEYSET_BYTES = 16_384
MAX_DEPTH = 16
"""Containers within containers."""

MAX_NUMBER = 2**53 - 1
"""The largest whole number that every reader holds exactly."""

N = TypeVar("N", int, float)
_DIGITS = len(str(MAX_NUMBER))
# Possessive, and with an optional end, so that no input makes it look at a character twice.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{}]', re.DOTALL)


def load(data: bytes, limit: int = MAX_UPDATE_BYTES, depth: int = MAX_DEPTH) -> JsonValue:
    """Read JSON strictly.

    Args:
        data: UTF-8 without a byte order mark.
        limit: the most bytes that are looked at.
        depth: the most containers within each other.

    Raises:
        RefusedJsonError: with the code of the first rule that it breaks, and no other error
            whatever the bytes are.
    """
    if len(data) > limit:
        raise RefusedJsonError("TOO_LARGE", f"{len(data)} bytes, the limit is {limit}")
    if data.startswith(b"\xef\xbb\xbf"):
        raise RefusedJsonError("BAD_UTF8", "it begins with a byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedJsonError("BAD_UTF8", f"no UTF-8 at byte {error.start}") from None
    _measure(text, depth)
    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise RefusedJsonError("BAD_JSON", f"no JSON at character {error.pos}") from None
    _admit(value, depth)
    return value


def canonical(value: JsonValue, depth: int = MAX_DEPTH) -> bytes:
    """The RFC 8785 text of a value, in UTF-8.

    Args:
        value: anything that JSON has.
        depth: the most containers within each other.

    Raises:
        RefusedJsonError: the value has no such text, or one that :func:`load` would refuse.
    """
    _admit(value, depth)
    return rfc8785.dumps(value)


def checksum(config: JsonValue) -> str:
    """SHA-256 of the canonical form, 64 lower-case hex digits; errors as in ``canonical``."""
    return hashlib.sha256(canonical(config)).hexdigest()


def _measure(text: str, left: int) -> None:
    """Refuse deep nesting before the parser follows it."""
    for match in _STRUCTURE.finditer(text):
        found = match[0]
        if found in "{[":
            left -= 1
            if left < 0:
                _too_deep()
        elif found in "}]":
            left += 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise RefusedJsonError("DUPLICATE_KEY", "an object has a key twice")
    return result


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:  # also spares the conversion of a million digits
        _out_of_range()
    return _in_range(int(text))


def _float(text: str) -> float:
    return _in_range(_finite(float(text)))


def _constant(_text: str) -> NoReturn:
    _not_finite()


def _finite(number: float) -> float:
    if not isfinite(number):
        _not_finite()
    return number


def _in_range(number: N) -> N:
    if abs(number) > MAX_NUMBER:
        _out_of_range()
    return number


def _admit(value: object, left: int) -> None:
    """Refuse a value that has no canonical text or one beyond the limits."""
    match value:
        case None | bool():
            pass
        case int():
            _in_range(value)
        case float():
            _in_range(_finite(value))
        case str():
            _text(value)
        case dict() | list() | tuple():
            if left == 0:
                _too_deep()
            for item in _items(value):
                _admit(item, left - 1)
        case _:
            raise RefusedJsonError("BAD_JSON", f"JSON has no {type(value).__name__}")


def _items(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterable[Any]:
    """What a container holds; an object's keys are looked at here."""
    if not isinstance(value, dict):
        return value
    for key in value:
        if not isinstance(key, str):
            raise RefusedJsonError("BAD_JSON", "an object has a key that is no text")
        _text(key)
    return value.values()


def _text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RefusedJsonError("BAD_JSON", "a text has half a character") from None


def _too_deep() -> NoReturn:
    raise RefusedJsonError("DEPTH", "too many containers within each other")


def _not_finite() -> NoReturn:
    raise RefusedJsonError("NON_FINITE", "a number is not finite")


def _out_of_range() -> NoReturn:
    raise RefusedJsonError("NUMBER_RANGE", "a number is beyond 2^53 - 1")
