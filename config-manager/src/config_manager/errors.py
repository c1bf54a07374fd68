"""What can be wrong with the database, each with what the operator can do."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class StoreError(ParlourError):
    """The root of everything that the store raises."""

    code = "DB_UNAVAILABLE"
    hint = "see the log of config-manager"


class LockedError(StoreError):
    """Somebody else held the database for longer than the busy time-out."""

    code = "DB_LOCKED"
    retryable = True
    hint = "end the other program that has the database open for writing"


class BusyError(StoreError):
    """More changes wait than the store holds; this one was not taken."""

    code = "BUSY"
    retryable = True
    hint = "try again in a moment"


class CorruptedError(StoreError):
    """The file is damaged, gone or cannot be read; nothing is written any more."""

    code = "DB_CORRUPTED"
    hint = "keep the database with its -wal and -shm files together and restore a backup"


class SchemaMismatchError(StoreError):
    """The file is not a database of this release; nothing in it is changed."""

    code = "SCHEMA_MISMATCH"
    hint = "run the release that wrote the database, or restore a backup that fits"

    def __init__(self, message: str, found: int) -> None:
        super().__init__(message)
        self.found = found


class StorageFullError(StoreError):
    """There is no room; nothing was written in part."""

    code = "STORAGE_FULL"
    retryable = True
    hint = "make room on the disk that holds DATA_DIR"


def unwritable(what: str, error: OSError) -> StorageFullError:
    """A file beside the database that could not be written: for want of room, but for a fault.

    Args:
        what: the file, in words, at the beginning of a sentence.
        error: what the system said.
    """
    return StorageFullError(
        f"{what} cannot be written: {error.strerror or type(error).__name__}",
        hint="make room on the disk that holds DATA_DIR, and see who owns config-manager's folder",
    )
