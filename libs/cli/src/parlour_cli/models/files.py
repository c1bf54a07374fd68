"""Files on their way in: hashed while they are written, placed all at once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from parlour_kit.models import FileEntry, ModelEntry

from parlour_cli.models.errors import NoSpaceError, PullError, WrongContentError
from parlour_cli.models.progress import megabytes

CHUNK = 1 << 18

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn errors of the file system into ones that say what to do.

    Raises:
        NoSpaceError: no room, or a quota or limit on file sizes is reached.
        PullError: anything else, such as missing rights.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpaceError(f"no room left to write {path}: {error.strerror}") from None
        raise PullError(
            f"cannot write {path}: {error.strerror}",
            hint="check the rights of the data directory",
        ) from None


def need_room(folder: Path, size: int) -> None:
    """Stop before a download that cannot fit.

    Raises:
        NoSpaceError: fewer than ``size`` bytes are free where ``folder`` lies.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise NoSpaceError(
            f"{megabytes(size)} are needed in {folder}, {megabytes(free)} are free there"
        )


class Sink:
    """One listed file being filled; never takes more than the listed size.

    Attributes:
        done: bytes that are here.
    """

    def __init__(self, entry: FileEntry, path: Path, *, resume: bool) -> None:
        """Open the file, and with ``resume`` go on after the bytes that are already there.

        Raises:
            PullError: the file cannot be opened.
        """
        self.entry = entry
        self.path = path
        with disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: after kill -9 every byte that was taken is there.
            self._file = path.open("r+b" if resume and path.is_file() else "w+b", buffering=0)
            self._hash = hashlib.sha256()
            self.done = 0
            while chunk := self._file.read(CHUNK):
                self._hash.update(chunk)
                self.done += len(chunk)
        if self.done > entry.size:
            self.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def restart(self) -> None:
        """Forget what is here."""
        with disk(self.path):
            self._file.seek(0)
            self._file.truncate()
        self._hash = hashlib.sha256()
        self.done = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            WrongContentError: more came than is listed; the file is deleted.
            NoSpaceError: the disk is full.
        """
        if self.done + len(chunk) > self.entry.size:
            self.reject(f"more than the listed {self.entry.size} bytes came")
        view = memoryview(chunk)
        while view:
            with disk(self.path):
                written = self._file.write(view)
            self._hash.update(view[:written])
            self.done += written
            view = view[written:]

    def finish(self) -> None:
        """Check the whole and put it safely on the disk.

        Raises:
            WrongContentError: size or SHA-256 differ; the file is deleted.
        """
        if self.done != self.entry.size:
            self.reject(f"{self.done} bytes came instead of {self.entry.size}")
        if self._hash.hexdigest() != self.entry.sha256:
            self.reject("its SHA-256 is not the listed one")
        with disk(self.path):
            os.fsync(self._file.fileno())

    def reject(self, why: str) -> None:
        """Delete what is here and say why.

        Raises:
            WrongContentError: always.
        """
        self._file.close()
        self.path.unlink(missing_ok=True)
        raise WrongContentError(f"{self.entry.path} is not the listed file: {why}")


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that ends with this process, however that ends.

    The file stays: deleting it would let two processes lock two files of the same name.

    Args:
        path: the lock file.
        waiting: called once when another process holds the lock.
    """
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def place(entry: ModelEntry, complete: Path, folder: Path, aside: Path) -> None:
    """Make a complete download the model's folder, in one step.

    Args:
        entry: the model; files that it does not list are left out.
        complete: the folder with all its files.
        folder: the model's folder; what is there is replaced.
        aside: a free name on the same disk for what is replaced.

    Raises:
        PullError: the file system refuses.
    """
    listed = {complete / file.path for file in entry.files}
    with disk(folder):
        for found in sorted(complete.rglob("*"), reverse=True):
            if found.is_dir() and not found.is_symlink():
                if not any(found in path.parents for path in listed):
                    found.rmdir()
            elif found not in listed:
                found.unlink()
        for directory in {complete, *(path.parent for path in listed)}:
            _sync(directory)
        remove(aside)
        if folder.exists() or folder.is_symlink():
            folder.rename(aside)
        complete.replace(folder)
        _sync(folder.parent)
        remove(aside)


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
