"""Where the database lies and what lies beside it, and whether somebody has it open."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from parlour_config.errors import StorageError
from parlour_config.files import read_limited

from parlour_cli.backup.errors import BackupError, RunningError

MAX_ENV_BYTES = 65_536
KEEPER = "config-manager"
LITESTREAM = "Litestream"


@dataclass(frozen=True)
class Places:
    """The folder of config-manager's database.

    Attributes:
        folder: ``DATA_DIR/config-manager``.
    """

    folder: Path

    @classmethod
    def of(cls, data_dir: Path) -> Places:
        """Those of a data directory."""
        return cls(data_dir / "config-manager")

    @property
    def database(self) -> Path:
        """The database; its log lies beside it."""
        return self.folder / "config.db"

    @property
    def state(self) -> Path:
        """What Litestream remembers of the database: of no use to another one."""
        return self.folder / ".config.db-litestream"

    @property
    def marker(self) -> Path:
        """Tells config-manager that the database is a restored one."""
        return self.folder / "restore.marker"

    @property
    def socket(self) -> Path:
        """Litestream's control socket."""
        return self.folder / "litestream.sock"

    @property
    def daily(self) -> Path:
        """The whole copy that config-manager makes once a day."""
        return self.folder / "backup" / "config.db"

    @property
    def locks(self) -> dict[str, Path]:
        """Who runs → the lock that it holds as long as it lives."""
        return {
            KEEPER: self.folder / "config.db.lock",
            LITESTREAM: self.folder / "config.db.ckpt",
        }

    @property
    def env(self) -> Path:
        """Tells Litestream where to write; config-manager writes it anew in each epoch."""
        return self.folder / "litestream.env"

    def names(self) -> dict[str, str]:
        """What ``litestream.env`` says: PARLOUR_HOST and CONFIG_EPOCH; empty without the file."""
        try:
            raw = read_limited(self.env, MAX_ENV_BYTES)
        except (FileNotFoundError, StorageError):
            return {}
        lines = raw.decode("utf-8", "replace").splitlines()
        return {name: value for name, found, value in (x.partition("=") for x in lines) if found}

    def runs(self, who: str) -> bool:
        """Whether it has its lock; nothing is made."""
        try:
            descriptor = os.open(self.locks[who], os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unusable(self.locks[who], error) from error
        try:
            return not _taken(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold both locks, so that nobody opens the database meanwhile.

        Raises:
            RunningError: config-manager or Litestream runs.
            BackupError: the folder cannot be written.
        """
        held: list[int] = []
        try:
            if not self.folder.exists():
                self.folder.mkdir(mode=0o700, parents=True)
                take_owner(self.folder, self.folder.parent)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        try:
            for who, path in self.locks.items():
                try:
                    held.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                except OSError as error:
                    raise _unusable(path, error) from error
                if not _taken(held[-1]):
                    raise RunningError(
                        f"{who} runs and has the database open",
                        hint="stop config-manager and Litestream first; nothing was changed",
                    )
                take_owner(path, self.folder)
            yield
        finally:
            for descriptor in held:
                os.close(descriptor)


def take_owner(path: Path, folder: Path) -> None:
    """Give a file to the folder's owner: whoever restores as root must not lock others out."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unusable(path: Path, error: OSError) -> BackupError:
    return BackupError(
        f"{path.parent} cannot be used: {error.strerror}",
        hint="run this as the user that config-manager runs as, and give its --data",
    )
