"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from parlour_cli.broker.errors import DataDirError

PRIVATE = 0o600
PRIVATE_DIR = 0o700


def make_private_dir(path: Path) -> None:
    """Create a folder for the owner alone; an existing one of ours loses its open bits.

    Raises:
        DataDirError: it cannot be created or belongs to somebody else.
    """
    if "\n" in str(path) or "\r" in str(path):
        raise DataDirError("the data directory's path holds a line break", hint="choose another")
    try:
        path.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
        info = path.stat()
        if info.st_uid != os.geteuid():
            raise DataDirError(
                f"{path} belongs to another user",
                hint=f"use another directory with --data, or: chown -R {os.geteuid()} '{path}'",
            )
        if stat.S_IMODE(info.st_mode) & 0o077:
            path.chmod(PRIVATE_DIR)
    except OSError as error:
        raise DataDirError(
            f"{path} cannot be used: {error.strerror}", hint="use another directory with --data"
        ) from error


def write_private(path: Path, text: str, *, mode: int = PRIVATE) -> None:
    """Replace a file in one step; nobody ever reads half of it.

    Raises:
        DataDirError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            temporary.chmod(mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataDirError(
            f"{path} cannot be written: {error.strerror}",
            hint="make room, or use another directory with --data",
        ) from error
