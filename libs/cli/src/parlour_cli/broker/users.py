"""The broker's users: one per instance and one per person, each with a password of its own."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from parlour_contracts.base import NAME_PATTERN

from parlour_cli.broker.errors import DataDirError, UnknownUserError
from parlour_cli.broker.files import make_private_dir, write_private

ADMIN = "admin"
"""The person who looks after the fleet."""

ITERATIONS = 101
"""What mosquitto_passwd uses. The passwords are 192 random bits: nothing is to be stretched."""

_SALT_BYTES = 12
_ROOMS = "rooms"
_SUFFIX = ".password"


def secrets_dir(data_dir: Path) -> Path:
    """The folder of the passwords."""
    return data_dir / "secrets" / "mqtt"


def secret_file(data_dir: Path, user: str) -> Path:
    """The file that holds a user's password."""
    return secrets_dir(data_dir) / f"{user}{_SUFFIX}"


def known_users(data_dir: Path) -> list[str]:
    """Every user who has a password here."""
    folder = secrets_dir(data_dir)
    return sorted(path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}"))


def known_rooms(data_dir: Path) -> list[str]:
    """The satellites that `parlour prepare` made accounts for; each is named as its room.

    Raises:
        DataDirError: their list cannot be read.
    """
    path = secrets_dir(data_dir) / _ROOMS
    return _read(path).split() if path.is_file() else []


def keep_rooms(data_dir: Path, rooms: Iterable[str]) -> None:
    """Remember who is a room and no person.

    Raises:
        DataDirError: the list cannot be written.
    """
    write_private(secrets_dir(data_dir) / _ROOMS, "".join(f"{room}\n" for room in rooms))


def read_password(data_dir: Path, user: str) -> str:
    """A user's password.

    Raises:
        UnknownUserError: there is no such user.
        DataDirError: the file cannot be read.
    """
    # The name becomes part of a path, so its form is checked first.
    path = secret_file(data_dir, user) if re.fullmatch(NAME_PATTERN, user) else None
    if path is None or not path.is_file():
        known = ", ".join(known_users(data_dir)) or "none"
        raise UnknownUserError(
            f"the broker has no user {user[:80]!r}; known: {known}", hint="take a known name"
        )
    return _read(path)


def ensure_users(data_dir: Path, users: Iterable[str]) -> dict[str, str]:
    """Give every user a password; who has one keeps it.

    Returns:
        User → password.
    """
    make_private_dir(data_dir / "secrets")
    make_private_dir(secrets_dir(data_dir))
    passwords: dict[str, str] = {}
    for user in users:
        passwords[user] = ensure_password(secret_file(data_dir, user))
    return passwords


def ensure_password(path: Path) -> str:
    """The password that a file holds; a new one when there is no file.

    Raises:
        DataDirError: the file cannot be read or written.
    """
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(24) + "\n")
    return _read(path)


def hash_password(password: str, salt: bytes | None = None) -> str:
    """A password as Mosquitto's password file holds it: ``$7$``, PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def render_passwords(passwords: Mapping[str, str]) -> str:
    """The text of Mosquitto's ``password_file``."""
    return "".join(f"{user}:{hash_password(secret)}\n" for user, secret in passwords.items())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DataDirError(f"{path} cannot be read: {error.strerror}") from error
