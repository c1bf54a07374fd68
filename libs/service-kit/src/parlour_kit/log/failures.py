"""What a log says of an exception: one line, and where it happened.

The text of an exception of ours holds neither speech nor secrets, and that of the system neither.
A library's may quote what it was given, which may be somebody's words: above DEBUG only its kind
is told.
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from parlour_kit.errors import ParlourError
from parlour_kit.log.cleaning import line, lines

MAX_ERROR = 500
MAX_TRACE = 8000
MAX_FRAMES = 30
MAX_CHAIN = 5

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def exception_of(exc_info: object) -> BaseException | None:
    """The exception that ``exc_info`` of a log call means."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 and isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def said(error: BaseException, *, everything: bool) -> str:
    """An exception in one line.

    Args:
        error: the exception.
        everything: also what a library says, which may be somebody's words.
    """
    kind = type(error).__name__
    if not everything and not isinstance(error, ParlourError | OSError):
        return kind
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # an exception may be broken itself
        text = ""
    return line(f"{kind}: {text}" if text else kind, MAX_ERROR)


def trace(error: BaseException, *, everything: bool) -> str:
    """Where an exception happened, and those that led to it; never what variables held."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < MAX_CHAIN:
        seen.add(id(current))
        frames = traceback.walk_tb(current.__traceback__)
        stack = traceback.StackSummary.extract(frames, capture_locals=False)[-MAX_FRAMES:]
        where = "".join(traceback.StackSummary.from_list(stack).format())
        parts.append(f"{where}{said(current, everything=everything)}")
        if isinstance(current, BaseExceptionGroup):
            inner = (said(e, everything=everything) for e in current.exceptions[:MAX_FRAMES])
            parts[-1] += "".join(f"\n  with {text}" for text in inner)
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)
    return lines("\n\nafter which:\n".join(reversed(parts)), MAX_TRACE)
