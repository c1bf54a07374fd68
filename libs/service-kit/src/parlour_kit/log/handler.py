"""Writes lines: at once for people, for machines together, soon, and at once what went wrong."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TextIO

from parlour_kit.clock import utc_text

MAX_ENTRIES = 1000
HOLD_S = 10.0


class Alarm(Protocol):
    """Something that happens later, unless it is cancelled."""

    def cancel(self) -> None:
        """Let it not happen."""
        ...


Later = Callable[[float, Callable[[], None]], Alarm]
"""Calls a function after so many seconds."""


def later(seconds: float, call: Callable[[], None]) -> Alarm:
    """In a thread, so that a loop that hangs keeps no line back."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    return timer


class LineHandler(logging.Handler):
    """Holds lines back for a while, so that many small events are one write (H017, X21).

    What is held is written when it is ten seconds old, when there are a thousand lines of it,
    with an error, and at the end of the process. A process that is killed takes at most ten
    seconds of what was no error with it.

    Args:
        stream: where lines go; asked for at each write.
        hold_s: how long a line may wait; 0 for people.
        after: how to wait.
    """

    def __init__(
        self, stream: Callable[[], TextIO | None], hold_s: float = HOLD_S, after: Later = later
    ) -> None:
        super().__init__()
        self._stream = stream
        self._hold_s = hold_s
        self._after = after
        self._held: list[str] = []
        self._alarm: Alarm | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; it raises nothing, whatever was to be logged (H054)."""
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001  # a log call must never fail
            text = _instead(record, error)
        self._held.append(text)
        if not self._hold_s or record.levelno >= logging.ERROR or len(self._held) >= MAX_ENTRIES:
            self.flush()
        elif self._alarm is None:
            with contextlib.suppress(RuntimeError):  # no thread can be had any more: at the end
                self._alarm = self._after(self._hold_s, self.flush)

    def flush(self) -> None:
        """Write what is held."""
        with self.lock or contextlib.nullcontext():
            held, self._held = self._held, []
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            stream = self._stream()
            if held and stream is not None:
                _write(stream, "\n".join(held) + "\n")

    def close(self) -> None:
        """Write what is held, and be gone."""
        self.flush()
        super().close()


def _write(stream: TextIO, text: str) -> None:
    # Nobody can be told that nobody reads any more.
    with contextlib.suppress(OSError, ValueError):
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
        stream.flush()


def _instead(record: logging.LogRecord, error: Exception) -> str:
    """What is said of a record of which no line could be made."""
    return json.dumps(
        {
            "timestamp": utc_text(datetime.now(UTC)),
            "level": str(record.levelname).upper(),
            "logger": "parlour.log",
            "message": "an entry could not be written",
            "event": "log_failure",
            "module": str(record.module),
            "function": str(record.funcName),
            "error": type(error).__name__,
        }
    )
