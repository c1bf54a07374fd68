"""S1's checks of sessions and messages, which name everything that is wrong at once. Pure.

They look at values as they came, in camelCase, before any model does; whatever a model takes
passes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard, get_args

from pydantic import TypeAdapter, ValidationError

from parlour_contracts.base import Language, Uuid7
from parlour_contracts.messages.conversation import Role, SessionRate
from parlour_contracts.messages.room import SessionStatus

_UUID7: TypeAdapter[str] = TypeAdapter(Uuid7)
_LANGUAGE: TypeAdapter[str] = TypeAdapter(Language)
_TEXTS = ("sessionId", "socketId", "status", "language")
_NUMBERS = ("samplingRate", "createdAt", "lastActivityAt")


def is_session(data: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it has the shape of a session (V027): its texts are texts, its numbers numbers.

    The values are :func:`validate_session`'s affair.
    """
    return (
        isinstance(data, Mapping)
        and all(isinstance(data.get(key), str) for key in _TEXTS)
        and all(_is_number(data.get(key)) for key in _NUMBERS)
    )


def validate_session(data: object) -> list[str]:
    """All that is wrong with a session (V029), in the order of its fields; or nothing."""
    found = _fields(data)
    errors = []
    if not _fits(_UUID7, found.get("sessionId")):
        errors.append("sessionId must be valid UUIDv7")
    rate = found.get("samplingRate")
    if type(rate) is not int or rate not in get_args(SessionRate):
        errors.append(f"samplingRate must be one of: {_listed(SessionRate)}")
    if not _fits(_LANGUAGE, found.get("language")):
        errors.append("language must be in format: en-US")
    if not _is_one_of(found.get("status"), SessionStatus):
        errors.append(f"status must be one of: {_listed(SessionStatus)}")
    return errors


def validate_conversation_message(data: object) -> list[str]:
    """All that is wrong with a message (V030), in the order of its fields; or nothing."""
    found = _fields(data)
    errors = []
    if not _fits(_UUID7, found.get("messageId")):
        errors.append("messageId must be valid UUIDv7")
    if not _is_one_of(found.get("role"), Role):
        errors.append(f"role must be one of: {_listed(Role)}")
    content = found.get("content")
    if not isinstance(content, str) or not content:
        errors.append("content must be non-empty string")
    confidence = _fields(found.get("metadata")).get("transcriptConfidence")
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        errors.append("transcriptConfidence must be between 0 and 1")
    return errors


def _fields(data: object) -> Mapping[str, Any]:
    return data if isinstance(data, Mapping) else {}


def _fits(adapter: TypeAdapter[str], value: object) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_one_of(value: object, choices: Any) -> bool:
    return isinstance(value, str) and value in get_args(choices)


def _listed(choices: Any) -> str:
    return ", ".join(map(str, get_args(choices)))
