"""What a change asks the configuration to become. Reads the database, writes nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parlour_config.errors import SignedConfigError
from parlour_config.sealing import UnreadableSecretError, is_masked, is_sealed
from parlour_contracts.messages.requests import Problem

from config_manager.commands.model import Request
from config_manager.commands.refusal import RefusedError
from config_manager.commands.rules import Rules, require_plain
from config_manager.secrets_box import SecretsBox
from config_manager.tables import configs, epochs, snapshots
from config_manager.tables.configs import ConfigRow


@dataclass(frozen=True)
class Plan:
    """A change that may be carried out.

    Attributes:
        before: the row that it starts from.
        was: that row's configuration.
        config: what is to stand there; secrets sealed.
        epoch: the one that it is signed in.
    """

    before: ConfigRow
    was: dict[str, Any]
    config: dict[str, Any]
    epoch: str


def plan(
    db: sqlite3.Connection,
    request: Request,
    rules: Rules,
    box: SecretsBox,
    sealed: Mapping[str, Any] | None = None,
) -> Plan:
    """Work out what a change leads to.

    Args:
        db: within a transaction, or a reader for a dry run.
        request: a change that passed the checks of its form.
        rules: of the service.
        box: with the keys of now.
        sealed: secrets to put in, already sealed.

    Raises:
        RefusedError: and nothing is to be changed.
    """
    row, epoch = current(db, request)
    before = row.config
    match request.op:
        case "set":
            wanted = _set(request, rules, before)
        case "patch" | "set-secret":
            wanted = _patched(request, rules, before) | dict(sealed or {})
        case "reset":
            wanted = _reset(request, rules, before)
        case _:
            wanted = _rolled_back(db, request, rules, box)
    return Plan(row, before, checked(rules, wanted, box), epoch)


def current(db: sqlite3.Connection, request: Request) -> tuple[ConfigRow, str]:
    """The row that a request is about and the active epoch, as the caller expects them.

    Raises:
        RefusedError: ``UNKNOWN_SERVICE``, ``EPOCH_CONFLICT`` or ``VERSION_CONFLICT``.
        CorruptedError: the row is not what was accepted.
    """
    row = configs.find(db, request.service)
    if row is None:
        raise RefusedError(
            "UNKNOWN_SERVICE",
            f"config-manager has no settings for {request.service[:63]}",
            hint="list/_all names the services",
        )
    snapshots.require_same(db, row)
    epoch = epochs.active(db).config_epoch
    if request.body.config_epoch not in (None, epoch):
        raise RefusedError(
            "EPOCH_CONFLICT",
            f"the request is for another epoch; the current one is {epoch}",
            hint="the database was restored or rebuilt since: get the settings again",
            current_version=row.version,
        )
    if request.body.version not in (None, row.version):
        raise RefusedError(
            "VERSION_CONFLICT",
            f"expected version {request.body.version}, current is {row.version}",
            hint="somebody else changed it meanwhile: get the settings again, then decide",
            current_version=row.version,
        )
    return row, epoch


def checked(rules: Rules, wanted: Mapping[str, Any], box: SecretsBox) -> dict[str, Any]:
    """What is stored for a wanted configuration; raises RefusedError."""
    try:
        return rules.checked(wanted, box)
    except UnreadableSecretError as error:
        raise RefusedError(
            "VALIDATION_FAILED",
            f"{error}; it cannot be kept",
            hint="set the secret again, or leave it out with null",
        ) from error
    except SignedConfigError as error:
        raise RefusedError("VALIDATION_FAILED", str(error), hint=error.hint) from error


def _given(request: Request, rules: Rules, before: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a request; a masked secret stands for what is there."""
    given = request.body.config or {}
    rules.require_keys(given)
    require_plain(rules, given, over_mqtt=request.via == "mqtt")
    return {
        key: before.get(key) if key in rules.secret and is_masked(value) else value
        for key, value in given.items()
    }


def _set(request: Request, rules: Rules, before: Mapping[str, Any]) -> dict[str, Any]:
    given = _given(request, rules, before)
    missing = [key for key in rules.stored if key not in given]
    if missing:
        raise RefusedError(
            "VALIDATION_FAILED",
            f"set takes the complete configuration; missing: {', '.join(missing[:5])}"
            + (" and others" if len(missing) > 5 else ""),
            hint="use patch to change some settings and leave the others as they are",
            details=[Problem(key=key, problem="is missing") for key in missing[:50]],
        )
    return given


def _patched(request: Request, rules: Rules, before: Mapping[str, Any]) -> dict[str, Any]:
    return {**_known(rules, before), **_given(request, rules, before)}


def _reset(request: Request, rules: Rules, before: Mapping[str, Any]) -> dict[str, Any]:
    if request.body.keys is None:
        return {key: rules.defaults[key] for key in rules.stored}
    keys = [rules.bare(key) for key in request.body.keys]
    rules.require_keys(keys)
    return {**_known(rules, before), **{key: rules.defaults[key] for key in keys}}


def _rolled_back(
    db: sqlite3.Connection, request: Request, rules: Rules, box: SecretsBox
) -> dict[str, Any]:
    """An earlier version; settings that came later get their defaults."""
    version = request.body.to_version or 0
    snapshot = snapshots.find(db, request.service, version)
    if snapshot is None:
        raise RefusedError(
            "UNKNOWN_VERSION",
            f"{request.service} never had a version {version}",
            hint=f"history/{request.service} shows the versions",
        )
    then: dict[str, Any] = json.loads(snapshot.config_json)
    wanted = {**{key: rules.defaults[key] for key in rules.stored}, **_known(rules, then)}
    return {key: _sealed_now(request, key, value, box) for key, value in wanted.items()}


def _sealed_now(request: Request, key: str, value: Any, box: SecretsBox) -> Any:
    """A secret of an earlier version, under the key of now."""
    if not is_sealed(value) or box.is_current(value):
        return value
    try:
        return box.seal(request.service, key, box.open(request.service, key, value))
    except UnreadableSecretError as error:
        raise RefusedError(
            "VALIDATION_FAILED",
            f"the secret {key} of version {request.body.to_version} can no longer be read, "
            "because its master key was retired",
            hint="change the other settings with patch",
            key=key,
        ) from error


def _known(rules: Rules, config: Mapping[str, Any]) -> dict[str, Any]:
    """Without keys that the service no longer has, or that its environment holds."""
    return {key: config.get(key, rules.defaults[key]) for key in rules.stored}
