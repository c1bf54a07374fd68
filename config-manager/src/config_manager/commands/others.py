"""Requests that make no new version: settings sent again, an order to start anew, a rehearsal."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from parlour_config.restart import build_restart
from parlour_contracts.messages.configuration import ConfigUpdateResponse
from parlour_contracts.messages.requests import ConfigAnswer
from parlour_contracts.messages.signed import moment_text
from parlour_contracts.topics import RESTART

from config_manager.commands.answers import accepted, stored_answer
from config_manager.commands.change import keep_answer, require_in_time
from config_manager.commands.issue import reissue
from config_manager.commands.journal import write_rows
from config_manager.commands.model import Request, Signer, SyncState
from config_manager.commands.plan import current, plan
from config_manager.commands.reads import Reads
from config_manager.commands.refusal import RefusedError
from config_manager.secrets_box import SecretsBox
from config_manager.tables import outbox
from config_manager.tables.access import AccessRow

RESTART_EXPIRY_S = 60


def resend(
    db: sqlite3.Connection, request: Request, signer: Signer, state: SyncState, now: datetime
) -> ConfigAnswer:
    """Sign a service's settings anew; raises RefusedError."""
    del state
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


def restart(
    db: sqlite3.Connection, request: Request, signer: Signer, state: SyncState, now: datetime
) -> ConfigAnswer:
    """Tell every living instance of a service to start anew; raises RefusedError.

    Each order is for the run that the instance is in now. One that waits longer than a minute
    for the broker is dropped: by then it would surprise.
    """
    replayed = stored_answer(db, request, now)
    if replayed is not None:
        return replayed
    require_in_time(request, signer, now)
    _, epoch = current(db, request)
    if not state.runs:
        raise RefusedError(
            "UNKNOWN_SERVICE",
            f"no instance of {request.service} is alive that could be restarted",
            hint="look at its health; what is down is started by whatever looks after it",
        )
    told = sorted(state.runs)
    answer = accepted(request, {"instances": told}, epoch=epoch)
    if request.body.dry_run:
        return answer
    shown = moment_text(now)
    for instance in told:
        order = build_restart(signer.key, instance=instance, boot_id=state.runs[instance])
        topic = RESTART.topic(instance=instance)
        outbox.add(db, topic, order, shown, retain=False, expiry_s=RESTART_EXPIRY_S)
    keep_answer(db, request, answer, now)
    row = AccessRow(request.caller.user, "write", request.service, None, True, "restart", shown)
    write_rows(db, [row])
    return answer


SENDING = {"resend": resend, "restart": restart}
"""Op → what sends something and stores no settings."""


def rehearsed(
    db: sqlite3.Connection, request: Request, signer: Signer, reads: Reads
) -> ConfigAnswer:
    """What a change would be answered, without making it."""
    planned = plan(db, request, reads.rules(request.service), SecretsBox(signer))
    would = ConfigUpdateResponse(success=True)
    return accepted(request, would.model_dump(), epoch=planned.epoch)
