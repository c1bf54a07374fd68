"""What the commands print: columns, JSON, and errors in words."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec

from parlour_kit.errors import ParlourError
from parlour_kit.models import ModelUnknownError

from parlour_cli.talk.errors import InputError

FAILED = 1
USAGE = 2
INTERRUPTED = 130

P = ParamSpec("P")


def complain(message: str, hint: str = "") -> None:
    """Say on standard error what is wrong and what to do about it."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"  hint: {hint}", file=sys.stderr)


def in_words(command: Callable[P, int]) -> Callable[P, int]:
    """Let a command end with a message and an exit code instead of a stack trace."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except (ModelUnknownError, InputError) as error:
            complain(str(error), error.hint)
            return USAGE
        except ParlourError as error:
            complain(str(error), error.hint)
            return FAILED
        except KeyboardInterrupt:
            complain("stopped", "run the same command again; it continues where it stopped")
            return INTERRUPTED

    return run


def print_columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a head, each column as wide as its widest cell."""
    table = [head, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def print_json(value: Any) -> None:
    """Print a value as JSON for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
