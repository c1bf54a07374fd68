"""Who asks, what for, and with which keys it is carried out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from parlour_config.canonical import canonical
from parlour_contracts.messages.requests import ConfigRequest

from config_manager.signer import Signer

__all__ = [
    "Caller",
    "Request",
    "Role",
    "SecretChange",
    "Signer",
    "SyncState",
    "body_digest",
    "derived_transaction",
]

Role = Literal["read", "write", "admin", "instance"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; an instance's ``service`` is the one it runs."""

    user: str
    role: Role
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whichever way it came.

    Attributes:
        caller: who asks.
        op: as it stood in the topic; unknown ones are answered as well.
        service: as it stood in the topic, or ``_all``.
        body: what was asked.
        body_sha256: of the body, from :func:`body_digest`.
        transaction: chosen by the caller, or from :func:`derived_transaction`.
        derived: whether nobody chose ``transaction``.
        via: the front end.
    """

    caller: Caller
    op: str
    service: str
    body: ConfigRequest
    body_sha256: str
    transaction: str
    derived: bool
    via: Literal["mqtt", "rest"]


@dataclass(frozen=True, slots=True)
class SecretChange:
    """A secret that is to be set; its text does not show the value.

    Attributes:
        caller: who asks.
        service: whose secret.
        key: of the setting, with or without its service in front.
        value: in clear.
        version: the row version that the caller has seen.
        transaction: chosen by the caller; without one, ``version`` alone keeps a retry from
            setting it twice.
        reason: for history.
    """

    caller: Caller
    service: str
    key: str
    value: str = field(repr=False)
    version: int
    transaction: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SyncState:
    """What is known of a service beside the database.

    Attributes:
        in_sync: whether it runs what is desired; None while none of its instances has reported.
        lagging: instances that do not.
        issued_at: of the newest message that the broker was sent; None while that is not known.
        runs: instance → the run of its process, of all that live.
    """

    in_sync: bool | None = None
    lagging: tuple[str, ...] = ()
    issued_at: str | None = None
    runs: Mapping[str, str] = field(default_factory=dict)


def body_digest(op: str, service: str, body: ConfigRequest) -> str:
    """What makes two requests the same, whichever front end they took: SHA-256 in hex.

    What is about the sending (its id, when it expires) does not count.
    """
    asked = body.model_dump(exclude_unset=True, exclude={"transaction", "expires_at", "service"})
    if not asked.get("dry_run"):
        asked.pop("dry_run", None)
    return hashlib.sha256(canonical([op, service, asked])).hexdigest()


def derived_transaction(topic: bytes, body: bytes) -> str:
    """The id of a request that brings none: 64 hex digits, good for 30 s."""
    return hashlib.sha256(topic + b"\0" + body).hexdigest()
