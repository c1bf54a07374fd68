"""Makes a value fit to be logged: text without secrets, of one line, of bounded length."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from functools import singledispatch
from types import NoneType
from typing import Final

from pydantic import BaseModel

from parlour_kit.clock import utc_text
from parlour_kit.log.redaction import REDACTED, redacted, says_secret

MAX_TEXT: Final = 1000
MAX_ITEMS: Final = 50
MAX_DEPTH: Final = 4
SEARCHED: Final = 4
"""How many times more text is searched for secrets than is shown: what is redacted shrinks."""

SEAM: Final = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean(value: object, name: str = "", depth: int = 0) -> object:
    """A value as JSON can hold it and a log may show it; it raises nothing.

    Bytes are told by their number alone, and a message by its kind: it may hold somebody's words.

    Args:
        value: anything.
        name: what it goes by; some names are those of secrets.
        depth: how deep it lies within others.
    """
    return REDACTED if says_secret(name, value) else _cleaned(value, name, depth)


@singledispatch
def _cleaned(value: object, _name: str, _depth: int) -> object:
    return line(_text(value))


@_cleaned.register
def _(value: str, _name: str, _depth: int) -> object:
    return line(value)


@_cleaned.register(bool | NoneType)
def _(value: bool | None, _name: str, _depth: int) -> object:
    return value


@_cleaned.register
def _(value: int, _name: str, _depth: int) -> object:
    return int(value)


@_cleaned.register
def _(value: float, _name: str, _depth: int) -> object:
    return float(value) if math.isfinite(value) else str(float(value))


@_cleaned.register
def _(value: Enum, name: str, depth: int) -> object:
    return clean(value.value, name, depth)


@_cleaned.register(bytes | bytearray | memoryview)
def _(value: bytes, _name: str, _depth: int) -> object:
    return f"<{len(value)} bytes>"


@_cleaned.register
def _(value: datetime, _name: str, _depth: int) -> object:
    return line(_text(value)) if value.tzinfo is None else utc_text(value)


@_cleaned.register
def _(value: BaseModel, _name: str, _depth: int) -> object:
    return f"<{type(value).__name__}>"


@_cleaned.register
def _(value: Mapping, _name: str, depth: int) -> object:  # type: ignore[type-arg]
    if depth >= MAX_DEPTH:
        return "…"
    pairs = list(value.items())[:MAX_ITEMS]
    return {line(_text(k), 100): clean(v, _text(k), depth + 1) for k, v in pairs}


@_cleaned.register(list | tuple | set | frozenset)
def _(value: Collection[object], name: str, depth: int) -> object:
    if depth >= MAX_DEPTH:
        return "…"
    return [clean(item, name, depth + 1) for item in list(value)[:MAX_ITEMS]]


def line(text: str, limit: int = MAX_TEXT) -> str:
    """Text without secrets in one line, cut to a number of characters."""
    searched = redacted(text[: SEARCHED * limit])
    if len(text) > SEARCHED * limit:
        # Nobody needs a megabyte searched; and half a secret at the cut would not be known.
        searched = searched[:-SEAM] + "…"
    short = _CONTROL.sub(_escape, searched[: limit + 1])
    return short if len(short) <= limit else short[: limit - 1] + "…"


def lines(text: str, limit: int) -> str:
    """The same for text of several lines, whose end matters most."""
    kept = redacted(text)
    kept = "\n".join(_CONTROL.sub(_escape, part) for part in kept.split("\n"))
    return kept if len(kept) <= limit else "…" + kept[len(kept) - limit + 1 :]


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # whatever it is, it must not keep a line from the log
        return f"<{type(value).__name__}>"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    known = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}.get(code)
    return known or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
