"""What travels signed: configuration, the keys that may sign it, and who leads (S2, X1-X4).

These models say the form. Who receives one of these messages verifies its bytes with
``parlour_config``; a model's own rendering of it must never be signed or verified.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from parlour_contracts.base import Name

MOMENT_PATTERN = (
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
)
"""``issued_at``: a fixed width, so that the order of the texts is the order of the times."""

_FORM = "%Y-%m-%dT%H:%M:%S.%f%z"


def _moment(value: object) -> object:
    """The one text form of a time; datetimes pass when they are aware."""
    if isinstance(value, str):
        if len(value) != 27 or value[-1] != "Z":
            raise ValueError("must be YYYY-MM-DDTHH:MM:SS.ffffffZ")
        parsed = datetime.strptime(value, _FORM)  # noqa: DTZ007  # the form has %z
        if moment_text(parsed) != value:
            raise ValueError("must be YYYY-MM-DDTHH:MM:SS.ffffffZ")
        return parsed
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("must be an aware time")
    return value


def moment_text(value: datetime) -> str:
    """An aware time as ``YYYY-MM-DDTHH:MM:SS.ffffffZ``."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


Moment = Annotated[
    datetime, BeforeValidator(_moment), PlainSerializer(moment_text, return_type=str)
]
"""Aware UTC; its text has exactly six decimals and a ``Z`` (X8)."""


def _uuid4(value: str) -> str:
    try:
        parsed = UUID(value)
    except ValueError:
        raise ValueError("must be a UUIDv4") from None
    if str(parsed) != value or parsed.version != 4:
        raise ValueError("must be a UUIDv4, in lower case")
    return value


Epoch = Annotated[str, AfterValidator(_uuid4)]
"""Names one lineage of the database (C051)."""

Digest = Annotated[str, Field(pattern=r"^[a-f0-9]{64}\z", min_length=64, max_length=64)]
Kid = Annotated[str, Field(pattern=r"^[a-f0-9]{16}\z", min_length=16, max_length=16)]
Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==\z", min_length=88, max_length=88)]
PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=\z", min_length=44, max_length=44)]


class Closed(BaseModel):
    """Strict and closed, without a version of its own: the form is the protocol's."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def encode(self) -> bytes:
        """The bytes that go on the wire."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message; raises pydantic.ValidationError."""
        return cls.model_validate_json(payload)


class ConfigUpdatePayload(Closed):
    """The complete configuration of one service (C033, C034): exactly seven fields."""

    version: Annotated[int, Field(ge=1, le=1)]
    service: Name
    config: dict[str, Any]
    checksum: Digest
    config_epoch: Epoch
    issued_at: Moment
    signature: Signature


class RootKey(Closed):
    """A key that may sign keysets."""

    kid: Kid
    pub: PublicKey


class RootKeys(Closed):
    """Who may sign the next keyset, and how many of them must."""

    threshold: Annotated[int, Field(ge=1, le=4)]
    keys: Annotated[list[RootKey], Field(min_length=1, max_length=4)]


class ConfigKey(Closed):
    """A key that may sign configuration. ``not_after`` is for people and for the manager."""

    kid: Kid
    pub: PublicKey
    status: Literal["next", "active", "retiring"]
    not_after: Moment | None


class KeysetSignature(Closed):
    """One root key's signature over a keyset."""

    kid: Kid
    sig: Signature


class KeysetDocument(Closed):
    """The keys that services trust (section 3.7)."""

    keyset_version: Annotated[int, Field(ge=1, le=2**53 - 1)]
    root: RootKeys
    config_keys: Annotated[list[ConfigKey], Field(min_length=1, max_length=4)]
    revoked: Annotated[list[Kid], Field(max_length=64)]
    reset_floor_for: Annotated[list[Kid], Field(max_length=64)]
    signatures: Annotated[list[KeysetSignature], Field(min_length=1, max_length=8)]


class Lease(Closed):
    """Which config-manager leads; live while ``lease_seq`` moves within ``ttl_s``."""

    instance: Name
    config_epoch: Epoch
    boot_id: Annotated[str, Field(max_length=36)]
    lease_seq: Annotated[int, Field(ge=0)]
    ttl_s: Annotated[int, Field(ge=1, le=3600)]
    sent_at: Moment
    signature: Signature


class Restart(Closed):
    """One run of a process is to end; whatever looks after it starts it anew.

    ``boot_id`` names the run, so the message means nothing to the next one, or to anybody else.
    """

    instance: Name
    boot_id: Annotated[str, Field(max_length=36)]
    signature: Signature
