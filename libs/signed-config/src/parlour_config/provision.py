"""Keys made at the first start, and rotated later, in files that a kill anywhere cannot spoil.

Making and rotating keys is a row of steps, each of which replaces one file at once, and the file
of config-manager always comes first. Where a rotation stands can be read from that file alone: a
``_NEXT`` line is a key that is being handed out, a ``_PREVIOUS`` line one that still counts beside
the current key. So the next call finishes what a killed one began, and a call too many does
nothing.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from parlour_kit.errors import StartupError

from parlour_config.errors import SignedConfigError, StorageError
from parlour_config.files import replace_file
from parlour_config.keyfiles import ROOT_PRIVATE_KEY, ManagerKeys, read_root_key
from parlour_config.keyfolder import (
    RETIRED_FILE,
    ROOT_FILE,
    b64,
    checked_services,
    locked,
    manager_data,
    manager_path,
    provisioned_services,
    public_text,
    read_manager,
    service_files,
    spread,
    store,
    write_manager,
)
from parlour_config.keylines import NamedKey, read_lines, render_lines
from parlour_config.sealing import SYMMETRIC_BYTES, symmetric_id
from parlour_config.signing import SigningKey

RotatedKey: TypeAlias = Literal["signing", "hmac", "master"]
Phase: TypeAlias = Literal["idle", "next", "switched"]

_SIGNING = "CONFIG_SIGNATURE_PRIVATE_KEY"
_SIGNED_BEFORE = "CONFIG_SIGNATURE_PUBLIC_KEYS_PREVIOUS"
_LINE: dict[RotatedKey, str] = {
    "signing": _SIGNING,
    "hmac": "LKG_HMAC_KEY",
    "master": "CONFIG_MASTER_KEY",
}
_ABOUT_ROOT = """\
The private root key: it signs the list of keys that may sign configuration.
Move this file off the machine; it is needed again only to rotate or revoke a signing key."""
_ABOUT_RETIRED = """\
Master keys that nothing uses any more. An old backup of the database needs the key of its time:
move this file off the machine and keep it as long as your oldest backup."""


class KeysUnwritableError(StartupError):
    """The keys cannot be stored.

    Attributes:
        text: the files with their keys, to be shown to the operator once and logged nowhere.
    """

    code = "KEYS_UNWRITABLE"
    hint = "make the folder writable for this user, or store the files yourself as printed"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"the keys of the fleet cannot be stored: {reason}")
        self.text = text


class KeysLostError(StartupError):
    """There are keys of services, but not those that they were derived from."""

    code = "KEYS_LOST"
    hint = (
        "put config-manager.env back from your backup; to start over with new keys and without "
        "the stored secrets, remove the services' folders beside it"
    )


class RotationOpenError(SignedConfigError):
    """A rotation cannot end before the new key is in use."""

    code = "ROTATION_OPEN"
    hint = "switch to the next key first"


@dataclass(frozen=True)
class Provisioned:
    """What stands in the folder after :func:`provision`.

    Attributes:
        keys: those of config-manager.
        services: every service that has a file.
        written: the files that this call wrote, below the folder.
    """

    keys: ManagerKeys
    services: tuple[str, ...]
    written: tuple[str, ...]


@dataclass(frozen=True)
class Rotation:
    """Where the rotation of one key stands; ids only.

    Attributes:
        phase: ``next``: a new key is handed out; ``switched``: it is in use, old ones still count.
        current: id of the key in use.
        next: id of the key that is handed out.
        previous: ids of keys that still count.
    """

    name: RotatedKey
    phase: Phase
    current: str
    next: str | None = None
    previous: tuple[str, ...] = ()


def provision(folder: Path, services: Iterable[str]) -> Provisioned:
    """Make what is missing; keys that are there stay as they are.

    A folder that holds everything is not written to, so it may be mounted read-only.

    Raises:
        KeysUnwritableError: something is missing and cannot be written.
        KeysLostError: config-manager's file is gone, those of services are there.
        StartupError: a file that is there is wrong; it is left alone.
    """
    names = checked_services(services)
    pending = _missing(folder, names)
    if pending:
        try:
            with locked(folder):
                pending = _missing(folder, names)
                for path, data in pending:
                    store(path, data)
        except StorageError as error:
            text = "\n".join(f"# --- {path} ---\n{data.decode()}" for path, data in pending)
            raise KeysUnwritableError(str(error), text) from None
    return Provisioned(
        keys=ManagerKeys.of(read_manager(folder)),
        services=provisioned_services(folder),
        written=tuple(str(path.relative_to(folder)) for path, _ in pending),
    )


def rotation(folder: Path, name: RotatedKey) -> Rotation:
    """Where a rotation stands.

    Raises:
        StartupError: the keys cannot be read.
    """
    return _standing(ManagerKeys.of(read_manager(folder)), name)


def start_rotation(folder: Path, name: RotatedKey) -> Rotation:
    """Make a new key and hand it to the services; finish an interrupted start.

    A symmetric key is in use afterwards, because its holders were given it before. The signing
    key waits for :func:`switch_rotation`, until every service knows it. A rotation that is under
    way already is left where it is.

    Raises:
        StartupError: the keys cannot be read.
        StorageError: they cannot be written; the old ones stay.
    """
    with locked(folder):
        standing = _spread(folder, name)
        if standing.phase == "idle":
            values = read_manager(folder)
            fresh = os.urandom(SYMMETRIC_BYTES)
            write_manager(folder, {**values, f"{_LINE[name]}_NEXT": b64(fresh)})
            standing = _spread(folder, name)
        if standing.phase == "next" and name != "signing":
            standing = _promote(folder, name)
    return standing


def switch_rotation(folder: Path, name: RotatedKey) -> Rotation:
    """Put the next key into use; the old one still counts. Does nothing without a next key.

    Raises:
        StartupError: the keys cannot be read.
        StorageError: they cannot be written; the old ones stay.
    """
    with locked(folder):
        standing = _spread(folder, name)
        return _promote(folder, name) if standing.phase == "next" else standing


def finish_rotation(folder: Path, name: RotatedKey) -> Rotation:
    """End the grace: previous keys count no more. Does nothing when there are none.

    A retired master key goes to a file of its own, for the sake of old backups.

    Raises:
        RotationOpenError: the next key is not in use yet.
        StartupError: the keys cannot be read.
        StorageError: they cannot be written; the old ones stay.
    """
    with locked(folder):
        keys = ManagerKeys.of(read_manager(folder))
        if _standing(keys, name).phase == "next":
            raise RotationOpenError(f"the next {name} key is not in use yet")
        if name == "master" and keys.master_previous:
            _archive(folder, keys.master_previous)
        dropped = {_SIGNED_BEFORE} if name == "signing" else _previous(_LINE[name], [])
        values = read_manager(folder)
        kept = {line: value for line, value in values.items() if line not in dropped}
        if kept != values:
            write_manager(folder, kept)
        return _spread(folder, name)


def _missing(folder: Path, services: tuple[str, ...]) -> list[tuple[Path, bytes]]:
    """The files to write, in order; empty when all is there."""
    before = read_manager(folder)
    if not before and provisioned_services(folder):
        raise KeysLostError(f"{manager_path(folder)} is gone")
    pending: list[tuple[Path, bytes]] = []
    values = dict(before)
    if "CONFIG_ROOT_PUBLIC_KEYS" not in values:
        path = folder / ROOT_FILE
        if read_lines(path):
            root = read_root_key(path)
        else:
            raw = os.urandom(SYMMETRIC_BYTES)
            root = SigningKey(raw)
            pending.append((path, render_lines({ROOT_PRIVATE_KEY: b64(raw)}, _ABOUT_ROOT)))
        values |= {"CONFIG_ROOT_PUBLIC_KEYS": public_text(root), "CONFIG_ROOT_THRESHOLD": "1"}
    for line in _LINE.values():
        if line not in values:
            values |= _current(line, os.urandom(SYMMETRIC_BYTES))
    keys = ManagerKeys.of(values)
    if values != before:
        pending.append((manager_path(folder), manager_data(values)))
    everyone = sorted({*services, *provisioned_services(folder)})
    pending += service_files(folder, keys, everyone)
    return pending


def _spread(folder: Path, name: RotatedKey) -> Rotation:
    """Bring the services' files in line with the manager's."""
    keys = ManagerKeys.of(read_manager(folder))
    spread(folder, keys, provisioned_services(folder))
    return _standing(keys, name)


def _promote(folder: Path, name: RotatedKey) -> Rotation:
    values = read_manager(folder)
    keys = ManagerKeys.of(values)
    line = _LINE[name]
    values |= _current(line, base64.b64decode(values.pop(f"{line}_NEXT")))
    match name:
        case "signing":
            before = [public_text(keys.signing), *map(public_text, keys.signing_previous_public)]
            values[_SIGNED_BEFORE] = ",".join(before)
        case "hmac":
            values |= _previous(line, [keys.hmac])
        case "master":
            values |= _previous(line, [keys.master, *keys.master_previous])
    write_manager(folder, values)
    return _spread(folder, name)


def _standing(keys: ManagerKeys, name: RotatedKey) -> Rotation:
    following: str | None
    match name:
        case "signing":
            current = keys.signing.kid
            following = keys.signing_next.kid if keys.signing_next else None
            previous = tuple(key.kid for key in keys.signing_previous_public)
        case "hmac":
            current, following = keys.hmac.id, _id(keys.hmac_next)
            previous = (keys.hmac_previous.id,) if keys.hmac_previous else ()
        case "master":
            current, following = keys.master.id, _id(keys.master_next)
            previous = tuple(key.id for key in keys.master_previous)
    phase: Phase = "next" if following else "switched" if previous else "idle"
    return Rotation(name, phase, current, following, previous)


def _id(key: NamedKey | None) -> str | None:
    return key.id if key is not None else None


def _archive(folder: Path, keys: Iterable[NamedKey]) -> None:
    """Keep retired master keys; a second call with the same ones changes nothing."""
    path = folder / RETIRED_FILE
    before = read_lines(path)
    after = before | {f"RETIRED_{key.id.upper()}": b64(key.raw) for key in keys}
    if after != before:
        replace_file(path, render_lines(after, _ABOUT_RETIRED), keep_previous=False)


def _current(line: str, raw: bytes) -> dict[str, str]:
    kid = SigningKey(raw).kid if line == _SIGNING else symmetric_id(raw)
    return {line: b64(raw), f"{line}_ID": kid}


def _previous(line: str, keys: Sequence[NamedKey]) -> dict[str, str]:
    return {
        f"{line}_PREVIOUS": ",".join(b64(key.raw) for key in keys),
        f"{line}_PREVIOUS_ID": ",".join(key.id for key in keys),
    }
