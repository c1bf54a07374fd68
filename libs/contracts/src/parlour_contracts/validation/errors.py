"""What is wrong with a message, in the form that its sender is told (S0)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from parlour_contracts.base import Part
from parlour_contracts.validation.text import clean_characters

ErrorCode = Literal[
    "INVALID_JSON",
    "INVALID_MESSAGE_TYPE",
    "INVALID_DATA_FIELD",
    "INVALID_AUDIO_FORMAT",
    "INVALID_SAMPLE_RATE",
    "INVALID_AUDIO_CHUNK",
    "TEXT_TOO_LONG",
    "INVALID_CHARACTERS",
    "INVALID_LANGUAGE",
    "INVALID_ACTION",
    "FIELD_TOO_LONG",
    "MESSAGE_TOO_LARGE",
    "RATE_LIMIT_EXCEEDED",
    "MODEL_UNAVAILABLE",
]

HTTP_STATUS: dict[ErrorCode, int] = {
    **dict.fromkeys(get_args(ErrorCode), 400),
    "MESSAGE_TOO_LARGE": 413,
    "RATE_LIMIT_EXCEEDED": 429,
    "MODEL_UNAVAILABLE": 503,
}
"""Code → status of an HTTP answer (H046, H047)."""

CLOSE_CODES: dict[ErrorCode, int] = {
    "INVALID_JSON": 1003,
    "RATE_LIMIT_EXCEEDED": 1008,
    "MESSAGE_TOO_LARGE": 1009,
}
"""Code → why a WebSocket is closed (H048); with any other one it stays open."""

MAX_RECEIVED = 100
MAX_FIELD = 100


class ValidationError(Part):
    """One mistake of a message (H011).

    Attributes:
        field: where, as a path such as ``data.text``; empty for the message itself.
        received_value: the beginning of what came, without characters that could do anything.
    """

    field: Annotated[str, Field(max_length=MAX_FIELD)]
    error_code: Annotated[ErrorCode, Field(pattern=r"^[A-Z_]+$")]
    message: Annotated[str, Field(max_length=500)]
    received_value: Annotated[str, Field(max_length=MAX_RECEIVED)] | None = None


class ErrorData(Part):
    """What an error frame carries."""

    code: ErrorCode
    message: Annotated[str, Field(max_length=500)]
    field: Annotated[str, Field(max_length=MAX_FIELD)] | None = None
    received_value: Annotated[str, Field(max_length=MAX_RECEIVED)] | None = None


class ErrorFrame(Part):
    """How a client that speaks in ``{type, data}`` is told of a mistake (H049)."""

    type: Literal["error"] = "error"
    data: ErrorData


class RestError(Part):
    """How a client of HTTP is told of all mistakes at once (X22)."""

    error_code: ErrorCode
    message: Annotated[str, Field(max_length=500)]
    details: list[ValidationError]


def mistake(field: str, code: ErrorCode, message: str, received: Any = None) -> ValidationError:
    """A mistake; what was received is named without harm.

    Args:
        field: its path; it may come from the sender.
        code: what kind.
        message: what would be right; never holds what came.
        received: the value, of any kind; None when nothing came.
    """
    return ValidationError(
        field=clean_characters(field[:MAX_FIELD])[:MAX_FIELD],
        error_code=code,
        message=message,
        received_value=None if received is None else _shown(received),
    )


def error_frame(error: ValidationError) -> ErrorFrame:
    """The frame that tells of a mistake."""
    return ErrorFrame(
        data=ErrorData(
            code=error.error_code,
            message=error.message,
            field=error.field or None,
            received_value=error.received_value,
        )
    )


def _shown(received: Any) -> str:
    """A value's beginning; objects and lists by their kind and size, for they may be huge."""
    match received:
        case str():
            text = received[: 2 * MAX_RECEIVED]
        case dict():
            text = f"an object with {len(received)} keys"
        case list():
            text = f"a list of {len(received)}"
        case bool():
            text = str(received).lower()
        case _:
            text = str(received)
    return clean_characters(text)[:MAX_RECEIVED]
