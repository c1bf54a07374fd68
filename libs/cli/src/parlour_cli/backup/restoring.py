"""Putting a copy in the place of the database, so that config-manager takes it up safely.

The copy is fetched and examined first; the old files go aside together, and stay. Before they do,
``restore.marker`` is there: config-manager begins a new epoch on a marked database, and does not
start where a mark but no database is, so that a restore that was cut off is never taken for a
house without settings.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from parlour_config.files import PRIVATE, replace_file, sync_file, sync_folder

from parlour_cli.backup.contents import Contents, examine
from parlour_cli.backup.errors import BackupError
from parlour_cli.backup.litestream import find_litestream, restore
from parlour_cli.backup.places import Places, take_owner

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Where a copy comes from.

    Attributes:
        copy: a whole database in a file, or a replica by its folder or URL.
        whole: whether it is such a file.
        until: take nothing that is later.
    """

    copy: Path | str
    whole: bool = False
    until: datetime | None = None


@dataclass(frozen=True)
class Restored:
    """What a restore did.

    Attributes:
        contents: of the database that is in place now.
        aside: the names that the old files have now.
    """

    contents: Contents
    aside: tuple[str, ...]


def fetch(source: Source, target: Path) -> Contents:
    """Write a copy into a file of its own and examine it.

    Args:
        source: of the copy.
        target: the file; what is there is replaced. Only its owner may read it.

    Raises:
        BackupError: it could not be fetched, or is damaged.
    """
    sweep(target)
    if source.whole:
        try:
            shutil.copyfile(source.copy, target)
        except OSError as error:
            raise BackupError(f"{source.copy} cannot be copied: {error.strerror}") from error
    else:
        restore(find_litestream(), source.copy, target, source.until)
    target.chmod(PRIVATE)
    return examine(target)


def sweep(target: Path) -> None:
    """Remove a fetched copy and what Litestream or SQLite left beside it."""
    for left in target.parent.glob(f"{target.name}*"):
        left.unlink()


def put_back(places: Places, source: Source, *, at: datetime, say: Say) -> Restored:
    """Put a copy in the place of the database.

    Args:
        places: of the database.
        source: of the copy.
        at: the time in the old files' new names.
        say: takes a line whenever a step is done.

    Raises:
        RunningError: config-manager or Litestream runs.
        BackupError: it failed; the old files are in their place.
    """
    part = places.database.with_name("config.db.restoring")
    with places.alone():
        say("config-manager and Litestream are stopped, and cannot start meanwhile")
        try:
            contents = fetch(source, part)
            say(f"fetched {part.stat().st_size / 1e6:.1f} MB; the integrity check passed")
            say(
                f"it holds {contents.services} services in {contents.versions} versions, the last "
                f"change of {contents.last_change or 'an unknown time'}"
            )
            aside = _exchange(places, part, source, at)
        except OSError as error:
            raise BackupError(f"the copy could not be put in place: {error.strerror}") from error
        finally:
            sweep(part)
    say(f"in place; the old files are kept as {aside[0] if aside else 'nothing: there were none'}")
    return Restored(contents, aside)


def _exchange(places: Places, part: Path, source: Source, at: datetime) -> tuple[str, ...]:
    take_owner(part, places.folder)
    sync_file(part)
    marked = places.marker.exists()
    note = {"at": at.isoformat(timespec="seconds"), "from": str(source.copy)}
    replace_file(places.marker, json.dumps(note).encode() + b"\n")
    take_owner(places.marker, places.folder)
    stem = f"{places.database.name}.before-restore-{at:%Y%m%dT%H%M%SZ}"
    old = [places.database.with_name(places.database.name + end) for end in ("", "-wal", "-shm")]
    moves = [(path, path.with_name(stem + path.name[len("config.db") :])) for path in old]
    moves.append((places.state, places.state.with_name(f".{stem}-litestream")))
    # Without it Litestream waits for the new epoch's path, whoever is started first.
    moves.append((places.env, places.env.with_name(f"{stem}-litestream.env")))
    made: list[tuple[Path, Path]] = []
    try:
        for path, kept in moves:
            if os.path.lexists(path):
                path.rename(kept)
                made.append((path, kept))
        part.rename(places.database)
    except OSError:
        for path, kept in reversed(made):
            kept.rename(path)
        if not marked:
            places.marker.unlink()
        raise
    sync_folder(places.folder)
    return tuple(kept.name for _, kept in made)
