"""The last-known-good file: what a service ran with, proven twice.

One HMAC covers the settings, one covers everything, and the file holds the exact message
that was verified when it came. On load all three are checked again, so that a stolen HMAC
key alone forges nothing. The manager's own file holds all services and no message.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from parlour_contracts.messages.configuration import LKGCache
from parlour_contracts.messages.signed import Closed, Digest, Epoch, Kid, Moment
from pydantic import BaseModel, Field, ValidationError

from parlour_config.canonical import MAX_DEPTH, MAX_UPDATE_BYTES, JsonValue, canonical, load
from parlour_config.errors import RefusedJsonError, RefusedLkgError, RefusedUpdateError
from parlour_config.pae import LKG, pae
from parlour_config.signing import TrustedKey
from parlour_config.trust import MAX_RETIRED, TrustState
from parlour_config.update import Update, check_update, read_update

ALGORITHM = "hmac-sha256"
DEPTH = MAX_DEPTH + 2
"""A configuration stands two containers deeper here than in its message."""

MAX_SERVICE_BYTES = 8 * MAX_UPDATE_BYTES
"""The configuration twice, once as a text whose characters may take six bytes each."""

MAX_MANAGER_BYTES = 256 * 1_048_576

_FILE = frozenset({"lkg", "update", "state", "mac"})


class StateForm(Closed):
    """``state`` in the file: what a service trusts."""

    epoch: Epoch | None
    floor: Moment
    floor_kid: Kid | None
    retired: Annotated[list[Epoch], Field(max_length=MAX_RETIRED)]
    keyset_version: Annotated[int, Field(ge=0)]
    poison: list[Digest]


@dataclass(frozen=True)
class LastKnownGood:
    """A file that proved itself.

    Attributes:
        payload: service → configuration.
        generated_at: the update's ``issued_at``; in the manager's file the floor.
        update: the verified message; None in the manager's file.
        state: what the service trusts; None in the manager's file.
        key_index: which key fitted; above 0 the file should be written again.
    """

    payload: dict[str, dict[str, Any]]
    config_epoch: str
    generated_at: str
    update: Update | None
    state: TrustState | None
    key_index: int


def render_lkg(
    *,
    payload: Mapping[str, Mapping[str, Any]],
    config_epoch: str,
    generated_at: str,
    update: bytes | None,
    state: TrustState | None,
    key: bytes,
) -> bytes:
    """The bytes of a file.

    Args:
        payload: service → configuration.
        config_epoch: of the update, or the manager's.
        generated_at: the update's ``issued_at``, or the manager's floor.
        update: the exact bytes of the verified message; None for the manager.
        state: what the service trusts; None for the manager.
        key: the HMAC key.

    Raises:
        RefusedJsonError: a value that JSON does not have.
    """
    lkg: dict[str, Any] = {
        "payload": {service: dict(config) for service, config in payload.items()},
        "config_epoch": config_epoch,
        "generated_at": generated_at,
        "algorithm": ALGORITHM,
    }
    lkg["signature"] = _mac(key, lkg)
    whole: dict[str, Any] = {
        "lkg": lkg,
        "update": None if update is None else update.decode(),
        "state": None if state is None else _state_fields(state),
    }
    return canonical({**whole, "mac": _mac(key, whole)}, DEPTH)


def read_lkg(
    data: bytes,
    keys: Sequence[bytes],
    *,
    service: str | None,
    trusted: Sequence[TrustedKey] = (),
) -> LastKnownGood:
    """Check a file.

    Args:
        data: its bytes.
        keys: HMAC keys, the current one first.
        service: the own name; None for the manager, whose file holds no message.
        trusted: the keys that verify the message.

    Raises:
        RefusedLkgError: any part does not prove itself.
    """
    limit = MAX_MANAGER_BYTES if service is None else MAX_SERVICE_BYTES
    whole = _loaded(data, limit, _FILE)
    lkg = _formed(LKGCache, whole["lkg"])
    index = max(_fitting(keys, whole, "mac"), _fitting(keys, lkg, "signature"))
    update = _verified(whole, service, trusted)
    if update is not None and (
        update.service != service
        # by their text, because to Python 1 equals True
        or canonical(lkg["payload"], DEPTH) != canonical({service: update.config}, DEPTH)
        or lkg["config_epoch"] != update.config_epoch
        or lkg["generated_at"] != update.issued_at
    ):
        _refuse("its settings are not those of its message")
    return LastKnownGood(
        payload=lkg["payload"],
        config_epoch=lkg["config_epoch"],
        generated_at=lkg["generated_at"],
        update=update,
        state=_state(whole["state"], update),
        key_index=index,
    )


def render_keyset_file(keyset: bytes, *, service: str, key: bytes) -> bytes:
    """The bytes of a keyset's file: the exact document under the same HMAC."""
    whole: dict[str, JsonValue] = {"keyset": keyset.decode(), "service": service}
    return canonical({**whole, "mac": _mac(key, whole)})


def read_keyset_file(data: bytes, keys: Sequence[bytes], *, service: str) -> bytes:
    """The document of a keyset's file; raises RefusedLkgError."""
    whole = _loaded(data, MAX_UPDATE_BYTES, frozenset({"keyset", "service", "mac"}))
    _fitting(keys, whole, "mac")
    if whole["service"] != service or not isinstance(whole["keyset"], str):
        _refuse("it is another service's")
    return str(whole["keyset"]).encode()


def _loaded(data: bytes, limit: int, fields: frozenset[str]) -> dict[str, Any]:
    try:
        whole = load(data, limit, DEPTH)
    except RefusedJsonError as error:
        _refuse(str(error))
    if not isinstance(whole, dict) or whole.keys() != fields:
        _refuse("it does not have the form of one")
    return whole


def _verified(
    whole: Mapping[str, Any], service: str | None, trusted: Sequence[TrustedKey]
) -> Update | None:
    text = whole["update"]
    if service is None:
        if text is not None or whole["state"] is not None:
            _refuse("it is a service's")
        return None
    if not isinstance(text, str):
        _refuse("it holds no message")
    try:
        update = read_update(text.encode())
        check_update(update, trusted)
    except RefusedUpdateError as error:
        _refuse(f"its message: {error}")
    return update


def _state_fields(state: TrustState) -> dict[str, JsonValue]:
    return {
        "epoch": state.epoch,
        "floor": state.floor,
        "floor_kid": state.floor_kid,
        "retired": list(state.retired),
        "keyset_version": state.keyset_version,
        "poison": list(state.poison),
    }


def _state(fields: Any, update: Update | None) -> TrustState | None:
    if update is None:
        return None
    _formed(StateForm, fields)
    return TrustState(
        epoch=fields["epoch"],
        floor=fields["floor"],
        floor_kid=fields["floor_kid"],
        retired=tuple(fields["retired"]),
        keyset_version=fields["keyset_version"],
        poison=tuple(fields["poison"]),
        checksum=update.checksum,
    )


def _formed(form: type[BaseModel], fields: Any) -> dict[str, Any]:
    """The fields themselves, if they have this form and no other or fewer ones."""
    try:
        form.model_validate(fields)
    except ValidationError:
        _refuse("it does not have the form of one")
    if not isinstance(fields, dict) or fields.keys() != form.model_fields.keys():
        _refuse("it does not have the form of one")
    return fields


def _mac(key: bytes, fields: Mapping[str, Any]) -> str:
    return hmac.digest(key, pae(LKG, canonical(dict(fields), DEPTH)), "sha256").hex()


def _fitting(keys: Sequence[bytes], fields: Mapping[str, Any], name: str) -> int:
    """Which key made the MAC in this field over the others."""
    found = fields[name]
    if not isinstance(found, str) or not found.isascii():
        _refuse("a MAC is no text of hex digits")
    covered = {field: value for field, value in fields.items() if field != name}
    fits = [hmac.compare_digest(_mac(key, covered), found) for key in keys]
    if True not in fits:
        _refuse("a MAC does not fit")
    return fits.index(True)


def _refuse(why: str) -> NoReturn:
    raise RefusedLkgError(f"the last-known-good file cannot be used: {why}")
