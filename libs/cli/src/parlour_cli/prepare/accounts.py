"""The broker's accounts and access list as files, for a fleet that something else starts.

Every process gets its password in a folder of its own, so that it can be shown that folder and
no other: as a volume of a container, or as a path that a systemd unit lets in. The passwords of
people and rooms lie together, for the operator. The broker is shown hashes alone, and the
password of one account that may read nothing of the fleet, with which it checks itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from parlour_contracts.acl import SATELLITE, render_acl
from parlour_contracts.base import NAME_PATTERN

from parlour_cli.broker.discovery import discovery_prefix
from parlour_cli.broker.errors import DataDirError
from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.users import (
    ADMIN,
    ensure_password,
    ensure_users,
    keep_rooms,
    known_users,
    render_passwords,
    secrets_dir,
)
from parlour_cli.talk.errors import InputError
from parlour_cli.up.members import INSTANCES

SECOND: dict[str, str] = {"stt-worker-2": "stt-worker", "llm-worker-2": "llm-worker"}
"""Instance → service of the workers that a busier home adds; they have their accounts from the
beginning, so that adding one needs no restart of the broker."""

CHECK = "healthcheck"
"""As whom the broker looks whether it lets anybody in; it may read what is said to itself."""

PASSWORD = "password"  # noqa: S105  # a file's name
_PEOPLE = "people"


def prepare(data_dir: Path, rooms: Iterable[str] = (), people: Iterable[str] = ()) -> list[str]:
    """Make what is missing and write the broker's files anew; passwords that are there stay.

    Args:
        data_dir: ``logins/<process>/password``, ``secrets/mqtt/<user>.password`` and ``broker/``
            lie below it.
        rooms: names of further satellites, each named as its room.
        people: names of further people, who may watch and speak to every room.

    Returns:
        The accounts that were made.

    Raises:
        InputError: a name is not one, or is taken.
        BrokerError: HOME_ASSISTANT_PREFIX is no level of a topic.
        DataDirError: something cannot be read or written.
    """
    instances = INSTANCES | SECOND
    _check((*rooms, *people), {*instances, CHECK})
    make_private_dir(data_dir)
    made: list[str] = []
    passwords: dict[str, str] = {}
    for folder, name in [
        *((data_dir / "logins" / instance, instance) for instance in instances),
        (broker_dir(data_dir) / "check", CHECK),
    ]:
        make_private_dir(folder)
        path = folder / PASSWORD
        if not path.is_file():
            made.append(name)
        passwords[name] = ensure_password(path)
    before = known_users(data_dir)
    persons = _people(data_dir, people)
    users = dict.fromkeys((ADMIN, *before, *persons, *rooms))
    made += [user for user in users if user not in before]
    passwords |= ensure_users(data_dir, users)
    satellites = [user for user in users if user not in (ADMIN, *persons)]
    keep_rooms(data_dir, satellites)
    rooms_too = instances | dict.fromkeys(satellites, SATELLITE)
    acl = render_acl(rooms_too, [ADMIN, *persons], discovery_prefix())
    _write_broker(broker_dir(data_dir), passwords, acl)
    return made


def broker_dir(data_dir: Path) -> Path:
    """What the broker reads: password file, access list, further configuration."""
    return data_dir / "broker"


def _write_broker(folder: Path, passwords: dict[str, str], acl: str) -> None:
    make_private_dir(folder / "conf.d")
    write_private(folder / "passwd", render_passwords(passwords))
    write_private(folder / "acl", acl)


def _people(data_dir: Path, new: Iterable[str]) -> list[str]:
    """Who is a person and not a room, the admin aside; remembered beside the passwords."""
    path = secrets_dir(data_dir) / _PEOPLE
    make_private_dir(path.parent)
    try:
        before = path.read_text(encoding="utf-8").split() if path.is_file() else []
    except OSError as error:
        raise DataDirError(f"{path} cannot be read: {error.strerror}") from error
    people = list(dict.fromkeys((*before, *(name for name in new if name != ADMIN))))
    if people != before:
        write_private(path, "".join(f"{name}\n" for name in people))
    return people


def _check(names: Iterable[str], taken: set[str]) -> None:
    for name in names:
        if re.fullmatch(NAME_PATTERN, name) is None:
            raise InputError(
                f"this is not a name: {name[:80]!r}",
                hint="small letters, digits and hyphens, a letter first, such as living-room",
            )
        if name in taken:
            raise InputError(f"{name} is the account of a process", hint="take another name")
