"""Secrets: set, shown to whoever may see them, and sealed anew under another master key."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from parlour_config.sealing import UnreadableSecretError, from_row, is_sealed
from parlour_contracts.messages.requests import ConfigRequest
from parlour_contracts.messages.signed import moment_text

from config_manager.audit import Chain
from config_manager.commands.change import Cause, write
from config_manager.commands.model import Caller, Request, SecretChange, Signer, body_digest
from config_manager.commands.plan import Plan
from config_manager.commands.refusal import RefusedError
from config_manager.commands.rules import Rules, dropped_rules
from config_manager.secrets_box import SecretsBox
from config_manager.tables import configs, epochs, secrets
from config_manager.tables.access import AccessRow

REWRAP = "system:rewrap"


def request_of(change: SecretChange, now: datetime) -> Request:
    """The request that sets a secret: the secret is not in it, and :func:`bound` ties it to it."""
    return Request(
        caller=change.caller,
        op="set-secret",
        service=change.service,
        body=ConfigRequest(config={}, version=change.version, reason=change.reason),
        body_sha256="",
        transaction=change.transaction or f"secret-{moment_text(now)}",
        derived=change.transaction is None,
        via="rest",
    )


def bound(request: Request, key: str, value: str, box: SecretsBox) -> Request:
    """The request with a digest of its secret as well: another one is another request.

    The digest goes into the database, so it is made of the tag and not of the secret. Tags depend
    on the master key: a retry after its rotation is refused as another request, and sets nothing.

    Args:
        request: from :func:`request_of`.
        key: of the setting, without its service in front.
        value: in clear.
        box: with the keys of now.
    """
    shown = {key: box.shown(request.service, key, value)}
    asked = request.body.model_copy(update={"config": shown})
    return replace(request, body_sha256=body_digest(request.op, request.service, asked))


def require_secret(rules: Rules, key: str) -> None:
    """Refuse a key that is no secret.

    Raises:
        RefusedError: ``VALIDATION_FAILED``.
    """
    if key not in rules.secret:
        raise RefusedError(
            "VALIDATION_FAILED",
            f"{key} of {rules.service} is no secret",
            hint="set it with the other settings",
            key=key,
        )


def check_reveal(caller: Caller, reason: str) -> None:
    """See that somebody may see a secret in clear.

    Raises:
        RefusedError: ``FORBIDDEN`` or ``INVALID_REQUEST``.
    """
    if caller.role != "admin":
        raise RefusedError(
            "FORBIDDEN",
            f"revealing a secret needs the role admin; {caller.user} has the role {caller.role}",
            hint="ask an administrator",
        )
    if not reason.strip():
        raise RefusedError(
            "INVALID_REQUEST",
            "revealing a secret needs a reason",
            hint="say why; it is kept in the audit trail",
        )


def reveal(db: sqlite3.Connection, rules: Rules, key: str, signer: Signer, row: AccessRow) -> str:
    """Record that a secret is shown, and give it; it is shown after the commit.

    Raises:
        RefusedError: there is no such secret, or it does not open.
    """
    if key not in rules.fields:
        raise RefusedError(
            "UNKNOWN_KEY", f"{rules.service} has no setting {key[:60]}", hint="see describe"
        )
    require_secret(rules, key)
    if key in rules.read_only:
        raise RefusedError(
            "READ_ONLY_KEY",
            f"{key} comes from the environment of {rules.service} and is not known here",
            hint="look at the service's environment",
            key=key,
        )
    found = secrets.find(db, rules.service, key)
    if found is None:
        raise RefusedError(
            "UNKNOWN_KEY", f"the secret {key} of {rules.service} is not set", hint="set it first"
        )
    try:
        clear = SecretsBox(signer).open(rules.service, key, from_row(*found))
    except UnreadableSecretError as error:
        raise RefusedError("INTERNAL", str(error), hint=error.hint, key=key) from error
    Chain(db).access(row)
    return clear


def rewrap(
    db: sqlite3.Connection,
    signer: Signer,
    rules: Callable[[str], Rules],
    now: datetime,
    limit: int,
) -> int:
    """Seal the secrets of some services under the current master key, as new versions.

    Those of a service that this release no longer has are sealed as well: while one needs the old
    key, that key cannot be retired.

    Raises:
        RefusedError: a secret does not open; nothing of this batch was changed.
    """
    box = SecretsBox(signer)
    epoch = epochs.active(db).config_epoch
    services = secrets.services_sealed_otherwise(db, box.key_id, limit)
    for row in configs.some(db, services):
        was = row.config
        try:
            config = {
                key: box.seal(row.service, key, box.open(row.service, key, value))
                if is_sealed(value) and not box.is_current(value)
                else value
                for key, value in was.items()
            }
        except UnreadableSecretError as error:
            raise RefusedError("INTERNAL", str(error), hint=error.hint) from error
        cause = Cause(REWRAP, "rewrap", "sealed under another master key")
        known = _rules_or_dropped(rules, row.service)
        write(db, Plan(row, was, config, epoch), known, signer, cause, now)
    return len(services)


def _rules_or_dropped(rules: Callable[[str], Rules], service: str) -> Rules:
    try:
        return rules(service)
    except RefusedError:
        return dropped_rules(service)


def unreadable(db: sqlite3.Connection, signer: Signer) -> list[tuple[str, str]]:
    """Service and key of every secret that does not open."""
    box, found = SecretsBox(signer), []
    for service, key, encrypted, kid in secrets.all_rows(db):
        try:
            box.open(service, key, from_row(encrypted, kid))
        except UnreadableSecretError:
            found.append((service, key))
    return found
