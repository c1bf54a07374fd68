"""A new database in place of one that cannot be used: only where the operator allowed it.

The old files are kept, always the three together. What the new one begins with is the newest
backup that is sound, else the last-known-good settings, else defaults. It begins a new epoch,
its row versions jump, and ``rebuild.info`` beside it says what happened.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from parlour_config.clock import EPOCH_START
from parlour_config.files import replace_file, sync_folder

from config_manager.commands import Commands
from config_manager.errors import SchemaMismatchError, StoreError
from config_manager.lineage import VERSION_STEP, begin_epoch
from config_manager.migrate import found_version, shipped_steps
from config_manager.sqlite import READERS, connect
from config_manager.store import Store

Origin = Literal["backup", "last-known-good", "defaults"]

INFO = "rebuild.info"
_PARTS = ("", "-wal", "-shm")


@dataclass(frozen=True)
class Sources:
    """What a new database may begin with.

    Attributes:
        backups: copies made with :meth:`~config_manager.store.Store.backup`, best first.
        settings: service → last-known-good configuration, secrets sealed; None without such a
            file.
        floor: above everything that is known to have been signed.
    """

    backups: Sequence[Path] = ()
    settings: Mapping[str, Mapping[str, Any]] | None = None
    floor: str = EPOCH_START


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did.

    Attributes:
        origin: what the new database began with.
        epoch: its new epoch.
        aside: the names that the old files have now.
    """

    origin: Origin
    epoch: str
    aside: tuple[str, ...]


async def rebuild(
    store: Store, commands: Commands, sources: Sources, *, by: str, why: str, now: str
) -> Rebuilt:
    """Put a new database in place of the old one.

    Every configuration must be signed anew afterwards, above whatever the broker holds.

    Args:
        store: its condition is corrupted, or its form does not fit.
        commands: seeds what the new database lacks.
        sources: what to begin with.
        by: a person, or ``system:…``.
        why: in words, for the audit trail.
        now: what the wall clock shows, for people and for the names of the old files.

    Raises:
        StoreError: it failed; the fallback goes on and the old files are still there.
    """
    backup = next((path for path in sources.backups if is_sound(path)), None)
    aside: list[str] = []

    def make(path: Path) -> None:
        aside.extend(set_aside(path, now))
        if backup is not None:
            _copy(backup, path)

    try:
        await store.begin_rebuild(make)
        epoch = await store.transact(
            partial(begin_epoch, reason="rebuilt", moment=sources.floor, at=now, by=by, why=why)
        )
        settings = {} if backup is not None else dict(sources.settings or {})
        await commands.seed(
            settings, dict.fromkeys(settings, "last-known-good"), first_version=VERSION_STEP + 1
        )
        origin: Origin = (
            "backup" if backup is not None else "last-known-good" if settings else "defaults"
        )
        done = Rebuilt(origin, epoch, tuple(aside))
        _leave_word(store.path.with_name(INFO), done, by=by, why=why, now=now)
    except StoreError as error:
        store.end_rebuild(error)
        raise
    except BaseException:
        store.end_rebuild(StoreError("the rebuild was broken off"))
        raise
    store.end_rebuild()
    await store.look()
    return done


def is_sound(path: Path) -> bool:
    """Whether a file is a whole database that this release can use."""
    if not path.is_file():
        return False
    try:
        with closing(connect(path, READERS, 1000)) as db:
            if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                return False
            return found_version(db, shipped_steps()[-1].number) > 0
    except (sqlite3.Error, SchemaMismatchError):
        return False


def set_aside(path: Path, now: str) -> list[str]:
    """Rename a database with its log, as a set; the new names come back."""
    ending = now.replace(":", "").replace("-", "")
    names = []
    for part in _PARTS:
        old = path.with_name(path.name + part)
        if old.exists():
            new = path.with_name(f"{path.name}.bad-{ending}{part}")
            old.rename(new)
            names.append(new.name)
    sync_folder(path.parent)
    return names


def _copy(backup: Path, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    shutil.copyfile(backup, part)
    part.chmod(0o600)
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.rename(path)
    sync_folder(path.parent)


def _leave_word(path: Path, done: Rebuilt, *, by: str, why: str, now: str) -> None:
    """The tombstone: what was here before, and where it is now (C073)."""
    told = {
        "at": now,
        "by": by,
        "why": why,
        "origin": done.origin,
        "config_epoch": done.epoch,
        "set_aside": list(done.aside),
    }
    replace_file(path, json.dumps(told, indent=2).encode() + b"\n")
