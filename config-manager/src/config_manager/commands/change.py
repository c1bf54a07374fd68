"""One change is one transaction: new version, snapshot, items, history, audit, message, answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parlour_config.canonical import canonical, checksum
from parlour_config.sealing import MASKED, UnreadableSecretError, is_sealed, to_row
from parlour_contracts.messages.configuration import ConfigUpdateResponse
from parlour_contracts.messages.requests import ConfigAnswer
from parlour_contracts.messages.signed import moment_text

from config_manager.audit import Chain
from config_manager.commands.answers import accepted, stored_answer
from config_manager.commands.issue import enqueue, next_moment
from config_manager.commands.model import Request, Signer
from config_manager.commands.plan import Plan, plan
from config_manager.commands.refusal import RefusedError
from config_manager.commands.rules import Rules
from config_manager.moments import moment_after
from config_manager.secrets_box import SecretsBox
from config_manager.tables import configs, items, secrets, snapshots, transactions
from config_manager.tables.access import AccessRow
from config_manager.tables.configs import ConfigRow
from config_manager.tables.history import DELETED, HistoryRow
from config_manager.tables.items import ItemRow
from config_manager.tables.snapshots import Snapshot
from config_manager.tables.transactions import Stored


@dataclass(frozen=True)
class Cause:
    """Who makes a new version and why.

    Attributes:
        by: a person, or ``system:…``.
        op: of the access row.
        reason: as given, for history.
        transaction: of the request, if there was one.
    """

    by: str
    op: str
    reason: str | None = None
    transaction: str | None = None


def carry_out(
    db: sqlite3.Connection,
    request: Request,
    rules: Rules,
    signer: Signer,
    now: datetime,
    sealed: Mapping[str, Any] | None = None,
) -> ConfigAnswer:
    """Do a set, patch, reset or rollback, or give the answer that it got before.

    Raises:
        RefusedError: nothing may be written then.
    """
    replayed = stored_answer(db, request, now)
    if replayed is not None:
        return replayed
    require_in_time(request, signer, now)
    box = SecretsBox(signer)
    planned = plan(db, request, rules, box, sealed)
    cause = Cause(request.caller.user, request.op, _reason(request), request.transaction)
    version, issued_at = write(db, planned, rules, signer, cause, now)
    answer = accepted(
        request,
        ConfigUpdateResponse(success=True, new_version=version).model_dump(),
        epoch=planned.epoch,
        issued_at=issued_at,
    )
    keep_answer(db, request, answer, now)
    return answer


def keep_answer(
    db: sqlite3.Connection, request: Request, answer: ConfigAnswer, now: datetime
) -> None:
    """Keep an answer beside the change that it tells of."""
    transactions.put(
        db,
        request.caller.user,
        request.transaction,
        Stored(request.body_sha256, answer.model_dump_json(), moment_text(now)),
    )


def require_in_time(request: Request, signer: Signer, now: datetime) -> None:
    """Refuse a request that waited too long; without a trusted clock nobody can tell.

    Raises:
        RefusedError: ``EXPIRED``.
    """
    limit = request.body.expires_at
    if limit is not None and now > limit and signer.clock_trusted():
        raise RefusedError(
            "EXPIRED",
            f"the request was good until {moment_text(limit)}",
            hint="send it again if it is still wanted",
        )


def write(
    db: sqlite3.Connection,
    planned: Plan,
    rules: Rules,
    signer: Signer,
    cause: Cause,
    now: datetime,
) -> tuple[int, str]:
    """Make the next version of a service; its number and ``issued_at`` come back.

    Raises:
        RefusedError: the message would be too large, or the row changed meanwhile.
    """
    before, was, config = planned.before, planned.was, planned.config
    issued_at, shown = next_moment(db, signer, now), moment_text(now)
    row = ConfigRow(
        before.service, canonical(config).decode(), before.version + 1, planned.epoch,
        moment_after(before.updated_at, shown), cause.by,
    )  # fmt: skip
    enqueue(db, signer, row.service, config, planned.epoch, issued_at, shown)
    if not configs.replace(db, row, before.version):
        raise RefusedError(
            "VERSION_CONFLICT", "it was changed meanwhile", hint="get the settings again"
        )
    keep_version(db, row, config, cause)
    pen = Pen(db, Chain(db), rules, SecretsBox(signer), row, cause)
    changed = [key for key in config if key not in was or not _same(was[key], config[key])]
    for key in changed:
        pen.put(key, config[key], was.get(key, ABSENT))
    for key in was.keys() - config.keys():
        pen.forget(key, was[key])
    pen.chain.access(
        AccessRow(
            cause.by, "write", row.service, changed[0] if len(changed) == 1 else None,
            True, cause.op, shown,
        )
    )  # fmt: skip
    return row.version, issued_at


def keep_version(
    db: sqlite3.Connection, row: ConfigRow, config: Mapping[str, Any], cause: Cause
) -> None:
    """Keep the complete version for a rollback."""
    snapshots.insert(
        db,
        Snapshot(
            row.service, row.version, row.config_epoch, row.config_json, checksum(config),
            row.updated_at, cause.by, cause.reason, cause.transaction,
        ),
    )  # fmt: skip


ABSENT = object()
"""The old value of a setting that was not there."""


@dataclass(frozen=True)
class Pen:
    """Writes single settings of a new version into items, secrets, history and chain.

    Attributes:
        db: within a transaction.
        chain: of this transaction.
        rules: of the service.
        box: makes the tags of secrets.
        row: the new version.
        cause: who and why.
    """

    db: sqlite3.Connection
    chain: Chain
    rules: Rules
    box: SecretsBox
    row: ConfigRow
    cause: Cause

    def put(self, key: str, value: Any, old: Any = ABSENT) -> None:
        """A setting has another value now."""
        if key in self.rules.fields:  # else its service was dropped, and search keeps what it had
            items.put(self.db, item_row(self.rules, self.row, key, value))
        if is_sealed(value):
            kid = value["$secret"]["kid"]
            secrets.put(self.db, self.row.service, key, to_row(value), kid, self.row.updated_at)
        elif key in self.rules.secret:
            secrets.remove(self.db, self.row.service, key)
        self._tell(key, old, value, self.cause.reason)

    def forget(self, key: str, old: Any) -> None:
        """The service no longer has a setting (X27)."""
        items.remove(self.db, self.row.service, key)
        secrets.remove(self.db, self.row.service, key)
        self._tell(key, old, None, DELETED)

    def _tell(self, key: str, old: Any, new: Any, reason: str | None) -> None:
        self.chain.change(
            HistoryRow(
                self.row.service, key, None if old is ABSENT else self._shown(key, old),
                self._shown(key, new), self.row.updated_at, self.cause.by, reason,
            )
        )  # fmt: skip

    def _shown(self, key: str, value: Any) -> str:
        """A value as history shows it."""
        if is_sealed(value):
            try:
                value = self.box.tagged(self.row.service, key, value)
            except UnreadableSecretError:
                value = dict(MASKED)
        return canonical(value).decode()


def item_row(rules: Rules, row: ConfigRow, key: str, value: Any) -> ItemRow:
    """What search knows of a setting."""
    field = rules.fields[key]
    shown = dict(MASKED) if field.is_secret and value is not None else value
    return ItemRow(
        row.service, key, canonical(shown).decode(), field.type.value, field.complexity.value,
        field.description, field.help_text, field.is_secret, row.updated_at, row.updated_by,
    )  # fmt: skip


def _same(old: Any, new: Any) -> bool:
    """Whether two values are one on the wire: ``true`` is not 1, however deep, but 2.0 is 2."""
    return canonical(old) == canonical(new)


def _reason(request: Request) -> str | None:
    if request.body.reason is not None:
        return request.body.reason
    if request.op == "rollback":
        return f"rollback to version {request.body.to_version}"
    return "reset" if request.op == "reset" else None
