"""Requests that make no new version: settings sent again, and a rehearsal of a change."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from parlour_contracts.messages.configuration import ConfigUpdateResponse
from parlour_contracts.messages.requests import ConfigAnswer
from parlour_contracts.messages.signed import moment_text

from config_manager.commands.answers import accepted, stored_answer
from config_manager.commands.change import keep_answer, require_in_time
from config_manager.commands.issue import reissue
from config_manager.commands.journal import write_rows
from config_manager.commands.model import Request, Signer
from config_manager.commands.plan import current, plan
from config_manager.commands.reads import Reads
from config_manager.secrets_box import SecretsBox
from config_manager.tables.access import AccessRow


def resend(db: sqlite3.Connection, request: Request, signer: Signer, now: datetime) -> ConfigAnswer:
    """Sign a service's settings anew; raises RefusedError."""
    replayed = stored_answer(db, request, now)
    if replayed is not None:
        return replayed
    require_in_time(request, signer, now)
    _, epoch = current(db, request)
    issued_at = reissue(db, signer, [request.service], now)
    answer = accepted(request, {}, epoch=epoch, issued_at=issued_at)
    keep_answer(db, request, answer, now)
    row = AccessRow(
        request.caller.user, "read", request.service, None, True, "resend", moment_text(now)
    )
    write_rows(db, [row])
    return answer


def rehearsed(
    db: sqlite3.Connection, request: Request, signer: Signer, reads: Reads
) -> ConfigAnswer:
    """What a change would be answered, without making it."""
    planned = plan(db, request, reads.rules(request.service), SecretsBox(signer))
    would = ConfigUpdateResponse(success=True)
    return accepted(request, would.model_dump(), epoch=planned.epoch)
