"""A file that holds some room on the disk, given up once so that a refusal can be written."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 4 * 1024 * 1024
SMALL = 8
"""It takes no more than an eighth of a disk: one that it does not fit on could never recover."""


class Reserve:
    """``reserve.bin`` beside the database."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def make(self) -> bool:
        """Hold the room; False when there is none."""
        size = self._fitting()
        try:
            if self._path.stat().st_size >= size:
                return True
        except OSError:
            pass
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        return True

    def free(self) -> bool:
        """Give the room up; False when it was not held."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def _fitting(self) -> int:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return self._size
        return min(self._size, disk.f_blocks * disk.f_frsize // SMALL)
