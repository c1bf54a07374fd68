"""Who may do what: the users file, read again whenever it changes.

The operator's command and config-manager both write it, one at a time. The broker's access list
is rendered from the same list.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from parlour_kit.log import keep_secret

from parlour_config.errors import StorageError
from parlour_config.files import replace_file
from parlour_config.people import (
    DEFAULT_USER,
    RANK,
    RESERVED,
    Role,
    UnknownUserError,
    User,
    UsersError,
    find_by_token,
    new_token,
    read_users,
    render_users,
    require_free_name,
    token_digest,
)

__all__ = [
    "RANK",
    "RESERVED",
    "Role",
    "UnknownUserError",
    "User",
    "UsersError",
    "UsersFile",
    "read_users",
    "render_users",
    "token_digest",
]


class UsersFile:
    """The file, as it is now.

    A file that becomes unreadable while running changes nobody's rights: the last good list
    stays, and ``problem`` says so.

    Attributes:
        problem: what is wrong with the file, or None.
    """

    def __init__(self, path: Path, *, instances: Callable[[], frozenset[str]] = frozenset) -> None:
        """Remember the path.

        Args:
            path: the users file.
            instances: names that belong to processes and so to no person.
        """
        self.problem: UsersError | None = None
        self._path = path
        self._instances = instances
        self._users: tuple[User, ...] = ()
        self._seen: tuple[int, int, int] | None = None

    def ensure(self) -> None:
        """Write a first file with one administrator who has no token yet, if there is none.

        Raises:
            UsersError: there is a file that is wrong, or the folder cannot be written.
        """
        try:
            with self._locked():
                if not self._path.exists():
                    self._write((User(DEFAULT_USER, "admin"),))
        except (OSError, StorageError) as error:
            raise self._unwritable(error) from error
        self._read()

    def current(self) -> tuple[User, ...]:
        """The users; the file is read again if it changed."""
        try:
            if self._identity() != self._seen:
                self._read()
        except UsersError as error:
            self.problem = error
        return self._users

    def get(self, name: str) -> User | None:
        """The user of that name."""
        return next((user for user in self.current() if user.name == name), None)

    def role_of(self, name: str) -> Role | None:
        """What the user of that name may do, or None for nobody."""
        user = self.get(name)
        return user.role if user else None

    def by_token(self, token: str) -> User | None:
        """Whose REST token it is, or None."""
        return find_by_token(self.current(), token)

    def put(self, name: str, role: Role) -> User:
        """Create a user, or change the role of one.

        Raises:
            UsersError: a name that cannot be taken, or the last administrator would go.
        """
        require_free_name(name, self._instances())

        def change(users: tuple[User, ...]) -> tuple[User, ...]:
            if any(user.name == name for user in users):
                return tuple(
                    replace(user, role=role) if user.name == name else user for user in users
                )
            return (*users, User(name, role))

        return self._change(change, name)

    def remove(self, name: str) -> None:
        """Forget a user.

        Raises:
            UnknownUserError: there is none of that name.
            UsersError: it is the last administrator.
        """
        self._need(name)
        self._change(lambda users: tuple(user for user in users if user.name != name), None)

    def issue_token(self, name: str) -> str:
        """Give a user a new token, which ends the old one; the text is never seen again.

        Raises:
            UnknownUserError: there is none of that name.
        """
        self._need(name)
        token = new_token()
        keep_secret(token)
        self._set_digest(name, token_digest(token))
        return token

    def revoke_token(self, name: str) -> None:
        """End a user's token.

        Raises:
            UnknownUserError: there is none of that name.
        """
        self._need(name)
        self._set_digest(name, None)

    def _set_digest(self, name: str, digest: str | None) -> None:
        def change(users: tuple[User, ...]) -> tuple[User, ...]:
            return tuple(
                replace(user, token_sha256=digest) if user.name == name else user for user in users
            )

        self._change(change, name)

    def _need(self, name: str) -> None:
        if self.get(name) is None:
            raise UnknownUserError("there is no user of that name")

    def _change(
        self, change: Callable[[tuple[User, ...]], tuple[User, ...]], name: str | None
    ) -> User:
        """Read, change and write under the lock, so that two writers lose nothing."""
        try:
            with self._locked():
                self._read()
                after = change(self._users)
                if not any(user.role == "admin" for user in after):
                    raise UsersError(
                        "somebody must be an administrator", hint="make another user admin first"
                    )
                self._write(after)
                self._read()
        except (OSError, StorageError) as error:
            raise self._unwritable(error) from error
        return next((user for user in self._users if user.name == name), self._users[0])

    def _unwritable(self, error: Exception) -> UsersError:
        reason = error.strerror if isinstance(error, OSError) else error
        return UsersError(
            f"{self._path} cannot be written: {reason}", hint="check the folder's owner and space"
        )

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> None:
        identity = self._identity()
        self._seen = identity
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise UsersError(f"{self._path} cannot be read: {error.strerror}") from error
        self._users = read_users(data)
        self.problem = None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out; the lock is a file of its own because the list is replaced."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._path.with_name(f"{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, users: tuple[User, ...]) -> None:
        replace_file(self._path, render_users(users))
