"""Which copies there are in a folder, and which of them a restore takes.

Litestream keeps a replica per machine and epoch, ``<folder>/<host>/<epoch>``, each with its
``ltx`` files. The newest one of this machine is the one to take: an epoch that has just begun has
none yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from parlour_cli.backup.errors import BackupError, NoCopyError

DEFAULT_FOLDER = Path("/var/backups/parlour")
VARIABLE = "PARLOUR_REPLICAS"
"""Names the folder of the replicas, here and in ``litestream.yml``."""


@dataclass(frozen=True)
class Replica:
    """What Litestream wrote of one epoch of one machine.

    Attributes:
        path: its folder.
        host: the machine.
        epoch: of the configuration.
        oldest: what it can go back to, wall time.
        newest: when something was last added.
        size: bytes of all its files.
    """

    path: Path
    host: str
    epoch: str
    oldest: datetime
    newest: datetime
    size: int


def replica_at(path: Path) -> Replica | None:
    """The replica in a folder, or None when it holds none; raises BackupError."""
    try:
        files = [file.stat() for file in (path / "ltx").glob("*/*.ltx")]
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
    if not files:
        return None
    times = [datetime.fromtimestamp(file.st_mtime, UTC) for file in files]
    size = sum(file.st_size for file in files)
    return Replica(path, path.parent.name, path.name, min(times), max(times), size)


def find_replicas(folder: Path) -> list[Replica]:
    """All replicas in a folder, newest first; raises BackupError when it cannot be read."""
    try:
        candidates = [epoch for host in _folders(folder) for epoch in _folders(host)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BackupError(
            f"{folder} cannot be read: {error.strerror}",
            hint="run this as the user that Litestream runs as",
        ) from error
    found = [replica for path in candidates if (replica := replica_at(path))]
    return sorted(found, key=lambda replica: replica.newest, reverse=True)


def choose(
    replicas: Sequence[Replica], host: str | None, folder: Path, until: datetime | None = None
) -> Replica:
    """The replica to restore: the newest one of a machine that goes back far enough.

    Args:
        replicas: newest first.
        host: the machine, where it is known.
        folder: where they were looked for, for the error.
        until: the moment to go back to, if any.

    Raises:
        NoCopyError: there is none, or none of then, or it is not known whose is meant.
    """
    hosts = _unique(replica.host for replica in replicas)
    if not hosts:
        raise NoCopyError(
            f"there is no replica in {folder}",
            hint="give the folder of the replicas, or a copy of the database, with --from",
        )
    if host is None and len(hosts) > 1:
        raise NoCopyError(
            f"there are replicas of {len(hosts)} machines: {', '.join(hosts[:5])}",
            hint="say whose with --host",
        )
    wanted = hosts[0] if host is None else host
    own = [replica for replica in replicas if replica.host == wanted]
    for replica in own:
        if until is None or replica.oldest <= until:
            return replica
    if own:
        raise NoCopyError(
            f"no replica of {wanted} goes back that far",
            hint=f"the oldest begins at {own[-1].oldest:%Y-%m-%dT%H:%M:%SZ}",
        )
    raise NoCopyError(
        f"there is no replica of {wanted} in {folder}, only of {', '.join(hosts[:5])}",
        hint="say whose with --host",
    )


def _folders(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()]


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
