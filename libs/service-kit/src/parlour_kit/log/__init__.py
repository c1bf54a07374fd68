"""Logs: one JSON line per event for machines, readable lines for people.

Speech never gets here above DEBUG: code logs ids, counts and durations. Secrets never get here at
all: see :mod:`parlour_kit.log.redaction`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any, Literal

import structlog

from parlour_kit.log.entry import EVENT_TYPES, entry
from parlour_kit.log.handler import HOLD_S, LineHandler
from parlour_kit.log.redaction import forget_secrets, keep_secret, redacted

__all__ = [
    "EVENT_TYPES",
    "Form",
    "configure",
    "flush",
    "forget_secrets",
    "keep_secret",
    "log_uncaught",
    "redacted",
]

Form = Literal["auto", "json", "console"]

_FOR_MACHINES = ("module", "function", "context", "error", "logger", "event", "event_type")
"""What a person who reads lines of a known process does not need."""


def configure(level: str, form: Form, service: str, instance: str | None = None) -> None:
    """Set up logging for this process, library logs included.

    JSON goes to standard output, where containers are read; lines for people go to standard
    error, beside what a command prints.

    Args:
        level: of Parlour's own logs; libraries are heard from WARNING on.
        form: ``auto`` is lines for people where standard error is a terminal, else JSON.
        service: whose logs these are.
        instance: which of several.
    """
    pretty = form == "console" or (form == "auto" and sys.stderr.isatty())
    context = {"service": service, "instance": instance or service}
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # A cached logger keeps the first set-up for good: a second call would not reach it.
        cache_logger_on_first_use=False,
    )
    handler = LineHandler(_stderr, hold_s=0) if pretty else LineHandler(_stdout, HOLD_S)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[_Entry(context), *_rendered(pretty)])
    )
    root = logging.getLogger()
    for old in root.handlers:
        old.flush()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("parlour").setLevel(level)
    logging.captureWarnings(True)
    structlog.contextvars.clear_contextvars()


def flush() -> None:
    """Write what is held back; for whoever ends the process without Python's own end."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def log_uncaught() -> None:
    """Log what nobody handles, instead of Python's own traceback, which knows no secrets."""
    log = structlog.get_logger("parlour.process")

    def uncaught(_kind: type[BaseException], error: BaseException, _trace: object) -> None:
        if not isinstance(error, KeyboardInterrupt):
            log.critical("the process ends with an error that nobody handles", exc_info=error)
            log.debug("what nobody handles", exc_info=error)
        flush()

    def in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("a thread ends with an error that nobody handles", exc_info=args.exc_value)
        log.debug("what nobody handles", exc_info=args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread


class _Entry:
    """Makes the entry of whatever a log call was given."""

    def __init__(self, context: Mapping[str, object]) -> None:
        self._context = context

    def __call__(self, _logger: Any, _name: str, given: structlog.typing.EventDict) -> Any:
        return entry(given, given["_record"], self._context)


def _rendered(pretty: bool) -> list[Any]:
    if not pretty:
        return [_as_json]
    colours = sys.stderr.isatty()
    return [
        _for_people,
        structlog.dev.ConsoleRenderer(
            colors=colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _as_json(_logger: Any, _name: str, found: structlog.typing.EventDict) -> str:
    return json.dumps(found, ensure_ascii=False, separators=(", ", ": "))


def _for_people(
    _logger: Any, _name: str, found: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    shown = {name: value for name, value in found.items() if name not in _FOR_MACHINES}
    if "exception" not in shown and "error" in found:
        shown["error"] = found["error"]
    shown["level"] = str(shown["level"]).lower()
    shown["logger"] = found["logger"]
    shown["event"] = shown.pop("message")
    if "stack_trace" in shown:
        shown["exception"] = shown.pop("stack_trace")
    return shown


def _stdout() -> Any:
    return sys.stdout


def _stderr() -> Any:
    return sys.stderr
