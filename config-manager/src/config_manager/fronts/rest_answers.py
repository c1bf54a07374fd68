"""Answers as HTTP: an accepted one is its data, a rejected one is the whole object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from fastapi import Response
from parlour_config.errors import LoadCode, RefusedJsonError
from parlour_contracts.messages.configuration import ConfigUpdateResponse
from parlour_contracts.messages.requests import STATUS_OF, AnswerCode, ConfigAnswer, Problem
from parlour_kit.errors import ParlourError
from pydantic import BaseModel, TypeAdapter, ValidationError

JSON = "application/json"
CHANGES = frozenset({"set", "patch", "reset", "rollback", "set-secret"})
"""Ops whose failures carry S2's update response."""

QUIET = frozenset({"hint", "current_version", "details", "retry_after_s"})
"""Fields that a rejected answer leaves out when they have nothing to say."""

_RETRY_LATER = frozenset({429, 503})
_ANY: TypeAdapter[object] = TypeAdapter(object)
_OTHERS: dict[str, AnswerCode] = {
    "DB_LOCKED": "DB_UNAVAILABLE",
    "DB_CORRUPTED": "READ_ONLY",
    "SCHEMA_MISMATCH": "READ_ONLY",
    "KEYSET_OLD": "VERSION_CONFLICT",
    "KEYSET_GAP": "VERSION_CONFLICT",
    "KEYSET_EQUIVOCATION": "VERSION_CONFLICT",
    "KEYSET_THRESHOLD": "VALIDATION_FAILED",
    "KID_MISMATCH": "VALIDATION_FAILED",
    "BAD_FIELD": "VALIDATION_FAILED",
    "BAD_KEY": "VALIDATION_FAILED",
    "BAD_ENCODING": "VALIDATION_FAILED",
    "NO_ROOT_KEYS": "READ_ONLY",
    "STANDBY": "READ_ONLY",
    "FLOOR_AHEAD": "READ_ONLY",
}


def success(data: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """A body of a model, or of plain JSON values."""
    if isinstance(data, BaseModel):
        body = data.model_dump_json().encode()
    else:
        body = _ANY.dump_json({} if data is None else data)
    return Response(body, status, dict(headers or {}), JSON)


def answered(answer: ConfigAnswer) -> Response:
    """The response for what the commands answered."""
    if answer.status == "rejected":
        return rejected(answer)
    headers = {"X-Parlour-Duplicate": "true" if answer.duplicate else "false"}
    if answer.config_epoch:
        headers["X-Parlour-Epoch"] = answer.config_epoch
    version = _row_version(answer.data)
    if version is not None:
        headers["ETag"] = f'"{version}"'
    return success(answer.data, headers)


def rejected(answer: ConfigAnswer) -> Response:
    """The rejected object, with its code as the status."""
    if answer.op in CHANGES and answer.data is None:
        failed = ConfigUpdateResponse(success=False, error=answer.error)
        answer = answer.model_copy(update={"data": failed.model_dump()})
    headers: dict[str, str] = {}
    if answer.code == STATUS_OF["UNAUTHENTICATED"]:
        headers["WWW-Authenticate"] = "Bearer"
    if answer.code in _RETRY_LATER:
        headers["Retry-After"] = str(max(1, math.ceil(answer.retry_after_s or 1.0)))
    if answer.config_epoch:
        headers["X-Parlour-Epoch"] = answer.config_epoch
    quiet = {name for name in QUIET if getattr(answer, name) is None}
    return Response(answer.model_dump_json(exclude=quiet), answer.code, headers, JSON)


def refusal(
    error: ParlourError, *, op: str, service: str, transaction: str | None = None
) -> ConfigAnswer:
    """The rejected answer that an error becomes. An unknown code says nothing of its text."""
    code = code_of(error)
    known = code != "INTERNAL"
    return ConfigAnswer(
        status="rejected",
        code=STATUS_OF[code],
        op=op,
        service=service[:128],
        transaction=transaction,
        error=code,
        message=str(error)[:1000] if known else "config-manager could not do that",
        hint=(error.hint[:500] or None) if known else "see the log of config-manager",
        details=list(getattr(error, "details", None) or ()) or None,
        retry_after_s=getattr(error, "retry_after_s", None),
        current_version=getattr(error, "current_version", None),
    )


def code_of(error: ParlourError) -> AnswerCode:
    """The code of the table that an error is told under."""
    if isinstance(error, RefusedJsonError) or error.code in get_args(LoadCode):
        return "PAYLOAD_TOO_LARGE" if error.code == "TOO_LARGE" else "INVALID_JSON"
    code: Any = _OTHERS.get(error.code, error.code)
    return code if code in STATUS_OF else "INTERNAL"


def problems_in(error: ValidationError) -> list[Problem]:
    """What is wrong, by place; never the value that was found there."""
    return [
        Problem(
            key=".".join(str(part) for part in found["loc"])[:200] or "body",
            problem=found["msg"][:500],
        )
        for found in error.errors(include_input=False, include_url=False, include_context=False)
    ][:50]


def _row_version(data: object) -> int | None:
    if not isinstance(data, dict):
        return None
    version = data.get("new_version") or (data.get("metadata") or {}).get("version")
    return version if isinstance(version, int) else None
