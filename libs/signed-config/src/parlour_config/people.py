"""People who may use config-manager: names, roles, digests of tokens. Pure.

A JSON list of ``{"name", "role", "token_sha256"}``. The name is the broker user and what
``changed_by`` shows; the token is for REST and is stored as its SHA-256 alone, null for
somebody who has none.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from parlour_contracts.base import Name
from parlour_contracts.messages.signed import Digest
from parlour_kit.errors import ParlourError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from parlour_config.canonical import load
from parlour_config.errors import RefusedJsonError

Role = Literal["read", "write", "admin"]
RANK: dict[str, int] = {"read": 1, "write": 2, "admin": 3}
"""A role may do whatever a lower one may."""

DEFAULT_USER = "admin"
RESERVED = frozenset({"forbidden", "system"})
"""Names that the protocol itself uses."""

TOKEN_BYTES = 32
MAX_FILE_BYTES = 262_144


class UsersError(ParlourError):
    """The users file cannot be used, or a change of it is refused."""

    code = "INVALID_REQUEST"
    hint = "see the users file of config-manager"


class UnknownUserError(UsersError):
    """There is no user of that name."""

    code = "UNKNOWN_KEY"
    hint = "list the users to see the known names"


@dataclass(frozen=True)
class User:
    """One person; ``token_sha256`` is 64 hex digits, or None for no REST access."""

    name: str
    role: Role
    token_sha256: str | None = None

    def may(self, role: Role) -> bool:
        """Whether this user has at least that role."""
        return RANK[self.role] >= RANK[role]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name
    role: Role
    token_sha256: Digest | None = None


_ENTRIES = TypeAdapter(Annotated[list[_Entry], Field(max_length=1000)])
_NAME = TypeAdapter(Name)


def token_digest(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex. It is random, so it needs no stretching."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """32 random bytes as text for a header."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def read_users(data: bytes) -> tuple[User, ...]:
    """The users in the bytes of a file.

    Raises:
        UsersError: no such list, a name twice, a reserved one, or one token for two people.
    """
    try:
        entries = _ENTRIES.validate_python(load(data, MAX_FILE_BYTES))
    except RefusedJsonError as error:
        raise UsersError(f"the users file cannot be read: {error}") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UsersError(f"the users file is wrong at {where or 'its top'}") from None
    users = tuple(User(entry.name, entry.role, entry.token_sha256) for entry in entries)
    names = [user.name for user in users]
    digests = [user.token_sha256 for user in users if user.token_sha256]
    if len(set(names)) != len(names):
        raise UsersError("the users file has a name twice")
    if taken := RESERVED & set(names):
        raise UsersError(f"the name {min(taken)} is reserved")
    if len(set(digests)) != len(digests):
        raise UsersError("the users file has one token for two users")
    return users


def render_users(users: tuple[User, ...]) -> bytes:
    """The bytes of the file."""
    return json.dumps([asdict(user) for user in users], indent=2).encode() + b"\n"


def find_by_token(users: tuple[User, ...], token: str) -> User | None:
    """Whose token it is. Every user is compared, each in constant time."""
    digest = token_digest(token)
    found: User | None = None
    for user in users:
        if hmac.compare_digest(user.token_sha256 or "-" * 64, digest):
            found = user
    return found


def require_free_name(name: str, taken: frozenset[str]) -> None:
    """See that a person may have a name.

    Raises:
        UsersError: it has another form, or Parlour uses it itself.
    """
    try:
        _NAME.validate_python(name)
    except ValidationError:
        raise UsersError(
            "a user's name has small letters, digits and hyphens, at most 63",
            hint="choose another name",
        ) from None
    if name in RESERVED | taken:
        raise UsersError(f"the name {name} is taken by Parlour", hint="choose another name")
