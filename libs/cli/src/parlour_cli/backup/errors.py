"""Why a copy could not be looked at or put back."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class BackupError(ParlourError):
    """The root of what can go wrong with copies."""

    code = "BACKUP_FAILED"
    hint = "parlour backup status shows which copies there are"


class RunningError(BackupError):
    """Somebody has the database open."""

    code = "DATABASE_IN_USE"
    retryable = True


class NoCopyError(BackupError):
    """There is no copy to begin with, or more than one could be meant."""

    code = "NO_COPY"


class DamagedCopyError(BackupError):
    """The copy is not what it should be; nothing was replaced."""

    code = "COPY_DAMAGED"
    hint = "take another one: --from with an earlier replica or the daily copy, or --until"


class ContradictionError(DamagedCopyError):
    """The copy can be read, but its rows do not fit each other: it is of no one moment."""

    code = "COPY_CONTRADICTS_ITSELF"
    hint = "take another one: --from, --until; or this one all the same: --contradictory"


class LitestreamError(BackupError):
    """Litestream is missing, too old, or failed."""

    code = "LITESTREAM_FAILED"
