"""One process per database: a lock that the kernel frees, even after kill -9."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from parlour_kit.errors import StartupError


class ProcessLock:
    """``flock`` on a file beside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take it or fail at once; taking it twice is the same as once.

        Raises:
            StartupError: another process has it, or the folder cannot be used.
        """
        if self._descriptor is not None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartupError(
                f"{self._path.parent} cannot be used: {error.strerror}",
                hint="point DATA_DIR at a folder that config-manager may write",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StartupError(
                f"another config-manager has {self._path.parent} open",
                hint="stop the other one, or give this one a DATA_DIR of its own",
            ) from None
        self._descriptor = descriptor

    def free(self) -> None:
        """Let go of it. The file stays: removing it would let two processes hold a lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
