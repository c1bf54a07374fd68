"""Putting a copy in the place of the database, so that config-manager takes it up safely.

The copy is fetched and examined first; the old files go aside together, and stay. Before they do,
``restore.marker`` is there: config-manager begins a new epoch on a marked database, and does not
start where a mark but no database is, so that a restore that was cut off is never taken for a
house without settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from parlour_config.files import replace_file, sync_file, sync_folder

from parlour_cli.backup.contents import Contents
from parlour_cli.backup.errors import BackupError
from parlour_cli.backup.fetching import PassedOver, Source, fetch, sweep
from parlour_cli.backup.places import Places, take_owner

Say = Callable[[str], None]
Agree = Callable[[PassedOver], bool]


@dataclass(frozen=True)
class Restored:
    """What a restore did.

    Attributes:
        contents: of the database that is in place now.
        aside: the names that the old files have now.
        passed_over: newer states of the replica that are not good, if there are any.
    """

    contents: Contents
    aside: tuple[str, ...]
    passed_over: PassedOver | None = None


def put_back(
    places: Places, source: Source, *, at: datetime, say: Say, agree: Agree = lambda _: True
) -> Restored:
    """Put a copy in the place of the database.

    Args:
        places: of the database.
        source: of the copy.
        at: the time in the old files' new names.
        say: takes a line whenever a step is done.
        agree: asked before an earlier state than the newest takes the place.

    Raises:
        RunningError: config-manager or Litestream runs.
        BackupError: it failed or was not agreed to; the old files are in their place.
    """
    part = places.database.with_name("config.db.restoring")
    with places.alone():
        say("config-manager and Litestream are stopped, and cannot start meanwhile")
        try:
            fetched = fetch(source, part)
            contents, passed = fetched.contents, fetched.passed_over
            if passed is not None and not agree(passed):
                raise BackupError("nothing was changed", hint="agree, or give --yes")
            whose = "the newest state" if passed is None else "an earlier state"
            say(f"fetched {part.stat().st_size / 1e6:.1f} MB, {whose}; all checks passed")
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
    return Restored(contents, aside, passed)


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
