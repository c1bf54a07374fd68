"""Says in the log that somebody was refused: who, what about and why, never with what value."""

from __future__ import annotations

from typing import Final

import structlog
from parlour_contracts.messages.requests import STATUS_OF

_log = structlog.get_logger("parlour.config-manager")

_OF_RIGHTS: Final = {401: "auth_failure", 403: "authz_failure"}
_STATUS: Final = {str(code): status for code, status in STATUS_OF.items()}


def log_refusal(user: str, service: str | None, reason: str, count: int = 1) -> None:
    """A request was refused (D005, D006, D008).

    Args:
        user: who asked, as far as that is known.
        service: what it was about.
        reason: the code of the answer, with the op in front of it where there is one.
        count: how many requests of this user that stands for.
    """
    op, _, code = reason.rpartition(": ")
    status = _STATUS.get(code, 500)
    _log.warning(
        "a request was refused",
        event_type=_OF_RIGHTS.get(status, "validation_error"),
        user_id=user,
        resource_id=service,
        code=code,
        status_code=status,
        op=op or None,
        count=count,
    )
