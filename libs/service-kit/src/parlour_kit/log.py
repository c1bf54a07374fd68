"""Logs: one JSON line per event off a terminal, readable lines on one.

Speech never gets here above DEBUG: code logs ids, counts and durations.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer

MAX_MESSAGE = 1000

_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
"""Where it happened; not what the variables held, which may be a key or somebody's words."""


def configure(level: str, form: Literal["auto", "json", "console"], service: str) -> None:
    """Set up logging for this process, library logs included. Writes to stderr."""
    pretty = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _cut,
    ]
    final: list[Any] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
        if pretty
        else [_union, _TRACEBACKS, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("parlour").setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)


def _cut(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    text = str(event.get("event", ""))
    if len(text) > MAX_MESSAGE:
        event["event"] = text[: MAX_MESSAGE - 1] + "…"
    return event


def _union(
    _logger: Any, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """The names of X12: message, event, logger, upper-case level."""
    message = event.pop("event", "") or "(no message)"
    event["message"] = message
    event["event"] = event.pop("event_type", None) or str(message).replace(" ", "_")[:64]
    event["level"] = str(event.get("level", "info")).upper()
    return event
