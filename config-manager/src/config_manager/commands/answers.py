"""Answers of what was carried out, and of what was carried out before."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from parlour_config.clock import parse_moment
from parlour_contracts.messages.requests import ConfigAnswer

from config_manager.commands.model import Request
from config_manager.commands.refusal import RefusedError
from config_manager.tables import configs, transactions

DERIVED_WINDOW_S = 30.0
"""How long the same bytes count as a repeat when nobody chose an id, and nothing came between."""


def accepted(
    request: Request, data: Any, *, epoch: str | None, issued_at: str | None = None
) -> ConfigAnswer:
    """The answer to a request that was carried out."""
    return ConfigAnswer(
        status="accepted",
        code=200,
        op=request.op,
        service=request.service,
        transaction=request.transaction,
        data=data,
        config_epoch=epoch,
        issued_at=issued_at,
    )


def stored_answer(db: sqlite3.Connection, request: Request, now: datetime) -> ConfigAnswer | None:
    """What this very request was answered before, or None.

    Raises:
        RefusedError: ``TRANSACTION_REUSED``.
    """
    stored = transactions.find(db, request.caller.user, request.transaction)
    if stored is None:
        return None
    same = stored.body_sha256 == request.body_sha256
    answer = ConfigAnswer.model_validate_json(stored.answer_json)
    if request.derived:
        age = (now - parse_moment(stored.created_at)).total_seconds()
        if not same or abs(age) > DERIVED_WINDOW_S or _changed_since(db, answer):
            return None
    elif not same:
        raise RefusedError(
            "TRANSACTION_REUSED",
            f"{request.caller.user} used the transaction {request.transaction} for another request",
            hint="choose a new id for every new request",
        )
    return answer.model_copy(update={"duplicate": True})


def _changed_since(db: sqlite3.Connection, answer: ConfigAnswer) -> bool:
    """Whether a newer version has replaced the one that the answer tells of.

    Who turns the volume down, up and down again types the same line twice within seconds, and
    means it each time.
    """
    made = answer.data.get("new_version") if isinstance(answer.data, dict) else None
    row = configs.find(db, answer.service or "")
    return made is not None and row is not None and row.version != made
