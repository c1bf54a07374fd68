"""Bodies of the REST front that S2 has no model for. Strict and closed, as all others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from parlour_contracts.base import Name
from parlour_contracts.messages.configuration import EncryptionMetadata
from parlour_contracts.messages.requests import ConfigApplied
from parlour_contracts.messages.signed import Closed, Kid, Moment, PublicKey
from pydantic import Field

RowVersion = Annotated[int, Field(ge=0, le=2**53 - 1)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
KeyName = Literal["signing", "hmac", "master"]


class PatchBody(Closed):
    """Some settings; ``null`` is a value, not a deletion. Without ``version`` the newest counts."""

    config: dict[str, Any]
    version: RowVersion | None = None
    service: Name | None = None


class ResetBody(Closed):
    """Settings that go back to their defaults; none named means all."""

    keys: Annotated[list[str], Field(max_length=1000)] | None = None
    version: RowVersion | None = None


class RollbackBody(Closed):
    """The version whose contents become the newest version."""

    to_version: Annotated[int, Field(ge=1, le=2**53 - 1)]
    version: RowVersion


class EmptyBody(Closed):
    """Nothing."""


class Restarted(Closed):
    """Whom the order to start anew was signed for."""

    instances: list[str]


class SecretBody(Closed):
    """A secret in clear, on its only way in."""

    value: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]
    version: RowVersion


class ReasonBody(Closed):
    """Why; it is stored in the audit trail."""

    reason: Reason


class RotateBody(Closed):
    """``compromised``: the old signing key may be in wrong hands; the draft revokes it."""

    reason: Reason
    compromised: bool = False


class Revealed(Closed):
    """A secret in clear."""

    value: Annotated[str, Field(repr=False)]


class TakeoverBody(Closed):
    """Make this config-manager the active one. ``above``: a time that the floor must pass."""

    reason: Reason
    above: Moment | None = None


class RebuildBody(Closed):
    """Build the database anew from a backup or from last-known-good settings."""

    reason: Reason
    rebuild_token: Annotated[str, Field(max_length=500, repr=False)]


class OperatorDone(Closed):
    """What holds after an operator's action."""

    config_epoch: str
    floor: str


class Alive(Closed):
    """The process answers; nothing else is said without a token."""

    status: Literal["ok"] = "ok"


class ServiceState(Closed):
    """Desired and reported settings of a service.

    ``lagging`` names the instances that do not run with the newest settings yet; ``in_sync`` is
    null while no instance has ever reported.
    """

    service: Name
    version: int
    checksum: str | None
    in_sync: bool | None
    lagging: list[str]
    instances: list[ConfigApplied]


class FleetState(Closed):
    """Every service, in order of its name."""

    services: list[ServiceState]


class AuditReport(Closed):
    """Whether the chain of audit rows is whole; ``first_bad`` is the row where it breaks."""

    ok: bool
    rows: int
    head: str
    first_bad: int | None


class Keysets(Closed):
    """Documents that say which keys may sign, oldest first; at most 16."""

    keysets: list[dict[str, Any]]


class KeysetAccepted(Closed):
    """The number of the keyset that was taken, and the services it is on its way to."""

    keyset_version: int


class PublicKeyInfo(Closed):
    """A key that verifies; the private half is never shown."""

    kid: Kid
    pub: PublicKey


class KeyStatus(Closed):
    """Where the rotation of a key stands.

    Attributes:
        id: of the key in use.
        next: of the key that is handed out and not in use yet.
        previous: of keys that still count.
        state: ``idle``; ``awaiting-keyset``: a root key must sign ``draft``;
            ``awaiting-services``: those in ``waiting_for`` do not know the next key yet;
            ``in-progress``: work is going on; ``grace``: old keys count until ``grace_until``;
            ``awaiting-retirement``: a root key must sign ``draft``, which drops the old key;
            ``blocked``: see ``problem``.
        remaining: secrets that are still under an old key.
    """

    name: KeyName
    id: str
    next: str | None = None
    previous: list[str] = []
    state: Literal[
        "idle", "awaiting-keyset", "awaiting-services", "in-progress", "grace",
        "awaiting-retirement", "blocked",
    ]  # fmt: skip
    grace_until: Moment | None = None
    waiting_for: list[str] = []
    remaining: int | None = None
    problem: str | None = None
    completed_at: Moment | None = None


class KeysReport(Closed):
    """The keys of the fleet: ids, public halves and rotations.

    ``draft`` is a keyset without its ``signatures``; whoever holds a root key signs it and
    posts it to ``/v1/keysets``.
    """

    keys: list[KeyStatus]
    signing_public_keys: list[PublicKeyInfo]
    root_public_keys: list[PublicKeyInfo]
    root_threshold: int
    keyset_version: int
    draft: dict[str, Any] | None = None
    encryption: EncryptionMetadata


class UserInfo(Closed):
    """A person; whether there is a token, never the token."""

    name: Name
    role: Literal["read", "write", "admin"]
    has_token: bool


class UserList(Closed):
    """Everybody who may use config-manager."""

    users: list[UserInfo]


class UserBody(Closed):
    """What a person may do."""

    role: Literal["read", "write", "admin"]


class IssuedToken(Closed):
    """A token; this is the only time that it is shown."""

    name: Name
    token: Annotated[str, Field(repr=False)]


class ServiceList(Closed):
    """Services, their row versions, and who made them when, as config-manager lists them."""

    services: list[dict[str, Any]]
