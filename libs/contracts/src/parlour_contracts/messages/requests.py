"""Requests to config-manager, its answers, and what services report (sections 3.10 to 3.13)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from parlour_contracts.base import Name
from parlour_contracts.messages.signed import Closed, Digest, Epoch, Moment

TRANSACTION_PATTERN = r"[A-Za-z0-9._-]{1,64}"

Op = Literal[
    "get", "list", "describe", "search", "history", "set", "patch", "reset", "rollback", "resend",
    "restart", "keyset",
]  # fmt: skip
ALL_SERVICES = "_all"
"""The service level of requests that are about no single one: list, search, keyset."""


class ConfigRequest(Closed):
    """The body of a request; what its ``op`` does not know is refused by config-manager.

    Every field may be left out. ``version`` is the row version, for optimistic locking; ``start``
    and ``end`` are the first and the last moment of a history.
    """

    transaction: Annotated[str, Field(pattern=rf"^{TRANSACTION_PATTERN}\z")] | None = None
    reason: Annotated[str, Field(max_length=500)] | None = None
    dry_run: bool = False
    expires_at: Moment | None = None
    config_epoch: Epoch | None = None
    service: Name | None = None
    config: dict[str, Any] | None = None
    version: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    keys: Annotated[list[str], Field(max_length=1000)] | None = None
    to_version: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None
    key: Annotated[str, Field(max_length=128)] | None = None
    before_id: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None
    start: Moment | None = None
    end: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    after: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    query: Annotated[str, Field(max_length=200)] | None = None
    service_filter: str | None = None
    complexity_filter: Literal["simple", "advanced"] | None = None
    type_filter: (
        Literal["string", "integer", "float", "boolean", "enum", "path", "secret"] | None
    ) = None
    max_results: Annotated[int, Field(ge=1, le=200)] | None = None


AnswerCode = Literal[
    "INVALID_JSON", "INVALID_REQUEST", "UNKNOWN_OP", "RETAINED_REQUEST", "EXPIRED",
    "UNAUTHENTICATED", "FORBIDDEN", "SECRET_OVER_MQTT",
    "UNKNOWN_SERVICE", "UNKNOWN_KEY", "UNKNOWN_VERSION",
    "VERSION_CONFLICT", "TRANSACTION_REUSED", "EPOCH_CONFLICT",
    "PAYLOAD_TOO_LARGE", "VALIDATION_FAILED", "READ_ONLY_KEY",
    "READ_ONLY", "RATE_LIMITED",
    "INTERNAL", "DB_UNAVAILABLE", "STARTING", "BUSY", "STORAGE_FULL",
]  # fmt: skip

STATUS_OF: dict[AnswerCode, int] = {
    "INVALID_JSON": 400, "INVALID_REQUEST": 400, "UNKNOWN_OP": 400, "RETAINED_REQUEST": 400,
    "EXPIRED": 400,
    "UNAUTHENTICATED": 401, "FORBIDDEN": 403, "SECRET_OVER_MQTT": 403,
    "UNKNOWN_SERVICE": 404, "UNKNOWN_KEY": 404, "UNKNOWN_VERSION": 404,
    "VERSION_CONFLICT": 409, "TRANSACTION_REUSED": 409, "EPOCH_CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413, "VALIDATION_FAILED": 422, "READ_ONLY_KEY": 422,
    "READ_ONLY": 423, "RATE_LIMITED": 429,
    "INTERNAL": 500, "DB_UNAVAILABLE": 503, "STARTING": 503, "BUSY": 503, "STORAGE_FULL": 507,
}  # fmt: skip
"""Error → its number, the same over MQTT and HTTP (section 3.11)."""


class Problem(Closed):
    """One thing that is wrong with a value; never the value itself."""

    key: Annotated[str, Field(max_length=200)]
    problem: Annotated[str, Field(max_length=500)]
    allowed: str | None = None


class ConfigAnswer(Closed):
    """What became of a request. ``accepted`` means committed, not yet applied.

    ``message`` says what is wrong, ``hint`` what to do about it.
    """

    status: Literal["accepted", "rejected"]
    code: int
    op: Annotated[str, Field(max_length=64)]
    service: Annotated[str, Field(max_length=128)]
    transaction: str | None
    duplicate: bool = False
    data: Any = None
    error: AnswerCode | None = None
    message: Annotated[str, Field(max_length=1000)] | None = None
    hint: Annotated[str, Field(max_length=500)] | None = None
    current_version: int | None = None
    details: list[Problem] | None = None
    retry_after_s: float | None = None
    config_epoch: str | None = None
    issued_at: str | None = None


RefusalCode = Literal[
    "TOO_LARGE", "BAD_UTF8", "BAD_JSON", "DUPLICATE_KEY", "NON_FINITE", "NUMBER_RANGE", "DEPTH",
    "BAD_VERSION", "BAD_FIELDS", "BAD_FIELD", "BAD_ENCODING", "BAD_SIGNATURE", "BAD_CHECKSUM",
    "WRONG_SERVICE", "RETIRED_EPOCH", "STALE_EPOCH", "EPOCH_UNCONFIRMED", "STALE", "EQUIVOCATION",
    "CRASH_AFTER_APPLY", "SECRET_UNREADABLE", "SCHEMA_INVALID", "HOOK_FAILED", "LKG_WRITE_FAILED",
    "BAD_KEYSET", "NO_KEYS", "LKG_BAD",
]  # fmt: skip
"""Why a service did not take a configuration (section 3.4)."""

AppliedStatus = Literal[
    "applied", "rejected", "pending_restart", "stale", "retired_epoch", "bad_signature"
]


class ConfigApplied(Closed):
    """What an instance runs with (section 3.12).

    After a failure ``config_epoch``, ``issued_at`` and ``checksum`` describe what is running,
    ``status`` and ``error`` the message that failed.
    """

    service: Name
    instance: Name
    boot_id: Annotated[str, Field(max_length=36)]
    config_epoch: Epoch | None
    issued_at: Moment | None
    checksum: Digest | None
    keyset_version: Annotated[int, Field(ge=0)]
    status: AppliedStatus
    source: Literal["mqtt", "lkg", "default", "env"]
    error: RefusalCode | None
    applied_at: Moment
    lkg_age_s: Annotated[float, Field(ge=0)] | None


class ConfigEvent(Closed):
    """Something that an operator should know: names and numbers, never values."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    event: Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,62}\z")]
    instance: Name
    at: Moment
    facts: dict[str, str | int | float | bool | None] = {}
