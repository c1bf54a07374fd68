"""Why a request was not carried out, and the answer that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from parlour_contracts.messages.configuration import ConfigUpdateResponse
from parlour_contracts.messages.requests import STATUS_OF, AnswerCode, ConfigAnswer, Problem
from parlour_kit.errors import ParlourError

from config_manager.errors import BusyError, StorageFullError, StoreError

WRITES = frozenset({"set", "patch", "reset", "rollback", "set-secret"})
"""The ops that make a new version."""

CHANGES = WRITES | {"restart"}
"""The ops that change what runs."""


class RefusedError(ParlourError):
    """A request was not carried out and nothing was changed.

    Attributes:
        code: of the answer.
        current_version: of the service, where another one was expected.
        details: what is wrong with single keys; never a value.
        retry_after_s: when to try again.
        key: the one key that it is about, for the access log.
    """

    def __init__(
        self,
        code: AnswerCode,
        message: str,
        *,
        hint: str = "",
        current_version: int | None = None,
        details: Sequence[Problem] = (),
        retry_after_s: float | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.answer_code: AnswerCode = code
        self.current_version = current_version
        self.details = list(details) or None
        self.retry_after_s = retry_after_s
        self.key = key


Gate: TypeAlias = Callable[[], RefusedError | None]
"""Why nothing may be changed now, or None."""


def pass_gate(gate: Gate) -> None:
    """See that something may be changed now.

    Raises:
        RefusedError: what the gate says.
    """
    closed = gate()
    if closed is not None:
        raise closed


def place_of(error: BaseException) -> str:
    """Where a fault of ours happened, for the log. Its text may hold a value and is not logged."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""


def rejected(
    error: RefusedError, *, op: str, service: str, transaction: str | None
) -> ConfigAnswer:
    """The answer to a request that was refused."""
    return ConfigAnswer(
        status="rejected",
        code=STATUS_OF[error.answer_code],
        op=op[:64],
        service=service[:128],
        transaction=transaction,
        data=ConfigUpdateResponse(success=False, error=error.code).model_dump()
        if op in WRITES
        else None,
        error=error.answer_code,
        message=str(error)[:1000],
        hint=error.hint[:500] or None,
        current_version=error.current_version,
        details=error.details,
        retry_after_s=error.retry_after_s,
    )


def refused_by_store(error: StoreError) -> RefusedError:
    """What callers are told when the database did not take or give something."""
    if isinstance(error, BusyError):
        return RefusedError("BUSY", str(error), hint=error.hint, retry_after_s=1.0)
    if isinstance(error, StorageFullError):
        return RefusedError(
            "STORAGE_FULL",
            "there is no room on config-manager's disk; nothing was changed",
            hint=error.hint,
        )
    return RefusedError(
        "DB_UNAVAILABLE",
        f"{error}; nothing was changed",
        hint=error.hint,
        retry_after_s=5.0 if error.retryable else None,
    )
