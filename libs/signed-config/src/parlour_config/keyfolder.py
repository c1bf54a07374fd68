"""The folder of the key files: its lock, its names, and what each service's file must say.

    config-manager.env   <service>/keys.env   root.key   retired-master.keys

A service's file has a folder of its own, so that a container can be given that and nothing else.

``config-manager.env`` is the source of truth. What a service holds follows from it, so a service's
file is written again whenever it says something else.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from parlour_contracts.base import NAME_PATTERN
from parlour_kit.errors import StartupError

from parlour_config.errors import StorageError
from parlour_config.files import replace_file
from parlour_config.keyfiles import MANAGER, ManagerKeys
from parlour_config.keylines import NamedKey, read_lines, render_lines
from parlour_config.sealing import lkg_key, service_key
from parlour_config.signing import SigningKey, TrustedKey

SERVICE_FILE: Final = "keys.env"
ROOT_FILE: Final = "root.key"
RETIRED_FILE: Final = "retired-master.keys"

_NAME = re.compile(NAME_PATTERN)
_LEFT = re.compile(
    rf"\.(?:[^/]*\.env|{re.escape(ROOT_FILE)}|{re.escape(RETIRED_FILE)})\.[^.]*\.tmp"
)
_ABOUT_MANAGER = """\
Keys of config-manager. Whoever reads this file can change what the house does.
Written by Parlour; rotate keys with `parlour keys rotate`."""
_ABOUT_SERVICE = """\
Keys of {service}, derived from those of config-manager.
Written by Parlour; CONFIG_EPOCH_POLICY and CONFIG_EPOCH_PINNED are kept when you add them."""


def b64(raw: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(raw).decode()


def public_text(key: SigningKey | TrustedKey) -> str:
    """A public key as the files have it."""
    raw = key.public if isinstance(key, SigningKey) else key.key.public_bytes_raw()
    return b64(raw)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, readable for its owner alone, and keep others out meanwhile.

    What a killed writer left there holds keys too, so it goes first.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    try:
        lock = _open_lock(folder)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in (*folder.glob(".*"), *folder.glob("*/.*")):
            if _LEFT.fullmatch(left.name):
                left.unlink(missing_ok=True)
        yield
    finally:
        os.close(lock)


def _open_lock(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):  # somebody else's folder stays as its owner wants it
        folder.chmod(0o700)
    return os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def manager_path(folder: Path) -> Path:
    """The file of config-manager."""
    return folder / f"{MANAGER}.env"


def service_path(folder: Path, service: str) -> Path:
    """The file of a service."""
    return folder / service / SERVICE_FILE


def provisioned_services(folder: Path) -> tuple[str, ...]:
    """The services that have a file."""
    names = sorted(path.parent.name for path in folder.glob(f"*/{SERVICE_FILE}"))
    return tuple(name for name in names if _NAME.fullmatch(name))


def checked_services(services: Iterable[str]) -> tuple[str, ...]:
    """Names of services, each once and in order.

    Raises:
        StartupError: a name that no service can have.
    """
    names = tuple(sorted(set(services) - {MANAGER}))
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise StartupError(
            f"no service can have these names: {', '.join(map(repr, wrong))}",
            hint=f"a name must match {NAME_PATTERN}",
        )
    return names


def read_manager(folder: Path) -> dict[str, str]:
    """The lines of config-manager's file.

    Raises:
        StartupError: it cannot be read.
    """
    return read_lines(manager_path(folder))


def manager_data(values: Mapping[str, str]) -> bytes:
    """The bytes of config-manager's file."""
    return render_lines(values, _ABOUT_MANAGER)


def write_manager(folder: Path, values: Mapping[str, str]) -> None:
    """Put these lines in the place of the old ones, in one step."""
    replace_file(manager_path(folder), manager_data(values), keep_previous=False)


def service_files(
    folder: Path, keys: ManagerKeys, services: Iterable[str]
) -> Iterator[tuple[Path, bytes]]:
    """The files that say something else than follows from the manager's keys.

    Raises:
        StartupError: a service's file cannot be read.
    """
    for service in services:
        path = service_path(folder, service)
        before = read_lines(path)
        after = {**before, **_service_lines(keys, service)}
        if {name: value for name, value in after.items() if value} != before:
            yield path, render_lines(after, _ABOUT_SERVICE.format(service=service))


def store(path: Path, data: bytes) -> None:
    """Put a key file in its place, in one step, in a folder for its owner alone.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {path.parent}: {error.strerror}") from None
    replace_file(path, data, keep_previous=False)


def spread(folder: Path, keys: ManagerKeys, services: Iterable[str]) -> tuple[str, ...]:
    """Write the files of services that differ; the names of the files that were written."""
    written = []
    for path, data in service_files(folder, keys, services):
        store(path, data)
        written.append(str(path.relative_to(folder)))
    return tuple(written)


def _service_lines(keys: ManagerKeys, service: str) -> dict[str, str]:
    """What a service holds. A coming key counts as one more that may be met."""
    masters = [keys.master, *filter(None, [keys.master_next]), *keys.master_previous]
    hmacs = list(filter(None, [keys.hmac, keys.hmac_next, keys.hmac_previous]))
    sealed = [NamedKey(key.id, service_key(key.raw, service)) for key in masters]
    lkg = [NamedKey(key.id, lkg_key(key.raw, service)) for key in hmacs]
    return {
        "CONFIG_SIGNATURE_PUBLIC_KEYS": ",".join(map(public_text, keys.trusted)),
        "CONFIG_ROOT_PUBLIC_KEYS": ",".join(map(public_text, keys.roots)),
        "CONFIG_ROOT_THRESHOLD": str(keys.threshold) if keys.roots else "",
        "CONFIG_SERVICE_KEY": _named(sealed[:1]),
        "CONFIG_SERVICE_KEY_PREVIOUS": _named(sealed[1:]),
        "LKG_SERVICE_KEY": _named(lkg[:1]),
        "LKG_SERVICE_KEY_PREVIOUS": _named(lkg[1:]),
    }


def _named(keys: Iterable[NamedKey]) -> str:
    return ",".join(f"{key.id}:{b64(key.raw)}" for key in keys)
