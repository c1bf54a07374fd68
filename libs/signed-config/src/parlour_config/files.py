"""Files that survive a power cut: after one, a file holds the old content or the new.

A new content goes into a file of its own, reaches the disk, and then takes the old one's
name in one step; the folder is synced last, so that the step itself lasts. Whoever fails in
between leaves the old content and at most a ``.tmp`` file.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from parlour_config.errors import StorageError

PRIVATE = 0o600
KEPT_ASIDE = 5
"""So many bad copies of one file are kept, the newest ones."""


def replace_file(
    path: Path, data: bytes, *, keep_previous: bool = False, mode: int = PRIVATE
) -> None:
    """Put a new content in the place of an old one, whole or not at all.

    Args:
        path: the file; its folder exists.
        data: the whole content.
        keep_previous: keep the old content under ``previous_of(path)``.
        mode: the file's rights.

    Raises:
        StorageError: for example a full disk; the old content is still there.
    """
    try:
        fresh = _write_beside(path, data, mode)
        try:
            if keep_previous:
                _keep(path)
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise _failed("write", path, error) from error


def remove_file(path: Path) -> None:
    """Remove a file for good; one that is not there is fine.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failed("remove", path, error) from error


def previous_of(path: Path) -> Path:
    """Where the content before the last is kept."""
    return path.with_name(f"{path.name}.prev")


def set_aside(path: Path, now: datetime | None = None) -> Path:
    """Rename a file that must not be used to ``<name>.bad-<time>`` and keep it for people.

    Args:
        path: the file.
        now: the time in its new name; the wall clock's if it is None.

    Returns:
        Its new path. Older bad copies go when there are more than five.

    Raises:
        StorageError: it cannot be renamed.
    """
    moment = datetime.now(UTC) if now is None else now
    stem = f"{path.name}.bad-{moment:%Y%m%dT%H%M%S.%fZ}"
    try:
        aside = path.with_name(stem)
        number = 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{stem}-{number}")
        path.rename(aside)
        sync_folder(path.parent)
    except OSError as error:
        raise _failed("set aside", path, error) from error
    for old in sorted(path.parent.glob(f"{path.name}.bad-*"))[:-KEPT_ASIDE]:
        if old != aside:
            with suppress(OSError):
                old.unlink()
    return aside


def read_limited(path: Path, limit: int) -> bytes:
    """A regular file's bytes.

    Raises:
        FileNotFoundError: there is none.
        StorageError: it is larger, no regular file, or cannot be read.
    """
    try:
        # Not to wait for ever when somebody put a pipe there.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            regular = stat.S_ISREG(os.fstat(handle).st_mode)
            data = file.read(limit + 1) if regular else b""
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _failed("read", path, error) from error
    if not regular:
        raise StorageError(f"{path.name} is no regular file", retryable=False)
    if len(data) > limit:
        raise StorageError(f"{path.name} has more than {limit} bytes", retryable=False)
    return data


def sweep(folder: Path, name: str) -> None:
    """Remove what killed writers of a file left; for the file's only owner, at its start."""
    for left in folder.glob(f".{name}.*.tmp"):
        with suppress(OSError):
            left.unlink()


def sync_file(path: Path) -> None:
    """Make a file's content last, whoever wrote it; raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    """A synced file with this content in the same folder."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _keep(path: Path) -> None:
    """Give the present content its second name, without a moment in which it has none."""
    if not path.exists():
        return
    spare = path.with_name(f".{path.name}.prev.tmp")
    spare.unlink(missing_ok=True)
    try:
        try:
            os.link(path, spare)
        except OSError:  # a file system without links
            shutil.copy2(path, spare)
            sync_file(spare)
        spare.replace(previous_of(path))
    finally:
        spare.unlink(missing_ok=True)  # still there if both were names of one file


def _failed(what: str, path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot {what} {path.name}: {error.strerror or error}")
