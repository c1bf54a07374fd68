"""One entry of the log: the fields of X12, from whatever a log call was given. Pure.

always       timestamp, level, logger, message, event, module, function
of an error  error, exception (the same line, under either name), stack_trace
sometimes    event_type (one of five), request_id, user_id, resource_id, ip_address, method,
path, status_code, duration_ms, and what else the event is about
context      service, instance, and what is bound to the work at hand
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from parlour_kit.clock import utc_text
from parlour_kit.log.cleaning import MAX_TEXT, clean, line
from parlour_kit.log.failures import exception_of, said, trace

EVENT_TYPES = frozenset(
    {"auth_failure", "authz_failure", "db_error", "validation_error", "startup_error"}
)
NO_MESSAGE = "(no message)"
LIBRARY = "library"
"""The event of what a library says: its words are its own, and no name to count by."""

_OWN = frozenset(
    {"timestamp", "level", "logger", "message", "event", "event_type", "module", "function"}
    | {"context", "error", "exception", "stack_trace", "exc_info", "stack_info"}
    | {"positional_args", "_record", "_from_structlog", "_name"}
)
_NAME = re.compile(r"[^a-z0-9]+")


def entry(
    given: Mapping[str, Any], record: logging.LogRecord, context: Mapping[str, object]
) -> dict[str, object]:
    """The entry of a log call.

    Args:
        given: what the call was given, its message as ``event``.
        record: the call as the standard library sees it.
        context: what holds for the whole process.
    """
    everything = record.levelno <= logging.DEBUG
    message = line(_message(given), MAX_TEXT) or NO_MESSAGE
    found: dict[str, object] = {
        "timestamp": _timestamp(record),
        "level": record.levelname.upper(),
        "logger": _logger(record.name),
        "message": message,
        "event": _event(given, message),
    }
    kind = given.get("event_type")
    if kind in EVENT_TYPES:
        found["event_type"] = kind
    found |= {"module": record.module, "function": record.funcName}
    found |= {line(k, 100): clean(v, k) for k, v in given.items() if k not in _OWN}
    together = {**context, **_mapping(given.get("context"))}
    if together:
        found["context"] = clean(together)
    return found | _failure(given, everything=everything)


def _message(given: Mapping[str, Any]) -> str:
    message = given.get("event")
    text = "" if message is None else str(clean(message))
    arguments = given.get("positional_args")
    if arguments:
        try:
            return str(text % arguments)
        except (TypeError, ValueError):
            return text
    return text.strip()


def _timestamp(record: logging.LogRecord) -> str:
    try:
        moment = datetime.fromtimestamp(record.created, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        moment = datetime.now(UTC)
    return utc_text(moment)


def _logger(name: str) -> str:
    return name if name == "parlour" or name.startswith("parlour.") else f"parlour.{name}"


def _event(given: Mapping[str, Any], message: str) -> str:
    kind = given.get("event_type")
    if isinstance(kind, str) and kind:
        return line(kind, 64)
    if not given.get("_from_structlog", True):
        return LIBRARY
    return _NAME.sub("_", message.lower()).strip("_")[:64] or "log"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _failure(given: Mapping[str, Any], *, everything: bool) -> dict[str, object]:
    error = exception_of(given.get("exc_info"))
    if error is not None:
        text = said(error, everything=everything)
        return {
            "error": text,
            "exception": text,
            "stack_trace": trace(error, everything=everything),
        }
    told = given.get("error")
    if told is None:
        return {}
    if isinstance(told, BaseException):
        return {"error": said(told, everything=everything)}
    return {"error": clean(told)}
