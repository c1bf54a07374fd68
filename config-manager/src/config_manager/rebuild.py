"""A new database in place of one that cannot be used: only where the operator allowed it.

The old files are kept, always the three together. What the new one begins with is the newest
backup that is sound, else the last-known-good settings, else defaults. It begins a new epoch,
its row versions jump, and ``rebuild.info`` beside it says what happened.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from parlour_config.clock import EPOCH_START
from parlour_config.errors import StorageError
from parlour_config.files import replace_file
from parlour_contracts.config import ServiceConfigModel

from config_manager.checks import check_fully, read_facts
from config_manager.commands import Commands
from config_manager.errors import BusyError, StoreError
from config_manager.exchange import Exchange
from config_manager.fill import has_settings, require_fit
from config_manager.lineage import VERSION_STEP, begin_epoch
from config_manager.migrate import found_version, shipped_steps
from config_manager.sqlite import READERS, connect
from config_manager.store import Store

Origin = Literal["backup", "last-known-good", "defaults"]

INFO = "rebuild.info"


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
        noted: whether ``rebuild.info`` says so.
    """

    origin: Origin
    epoch: str
    aside: tuple[str, ...]
    noted: bool = True


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
        BusyError: one is under way.
        StoreError: it failed, or nothing is wrong; the fallback goes on, and the old files are in
            their place.
    """
    if store.condition.mode == "rebuilding":
        raise BusyError("the database is being made anew already")
    if not store.condition.final:
        raise StoreError("nothing is known to be wrong with the database")
    exchange, backup = Exchange(now), None

    def make(path: Path) -> None:
        nonlocal backup
        backup = next((copy for copy in sources.backups if is_sound(copy, store.models)), None)
        exchange.make(path, backup)

    try:
        await store.begin_rebuild(make)
        epoch = await store.transact(
            partial(begin_epoch, reason="rebuilt", moment=sources.floor, at=now, by=by, why=why)
        )
        settings = {} if backup is not None else dict(sources.settings or {})
        await commands.seed(
            settings, dict.fromkeys(settings, "last-known-good"), first_version=VERSION_STEP + 1
        )
    except BaseException as error:
        broken_off = StoreError("the rebuild was broken off")
        outcome = error if isinstance(error, StoreError) else broken_off
        await store.abandon_rebuild(exchange.undo, outcome)
        raise
    origin: Origin = (
        "backup" if backup is not None else "last-known-good" if settings else "defaults"
    )
    done = Rebuilt(origin, epoch, tuple(exchange.aside))
    noted = _leave_word(store.path.with_name(INFO), done, by=by, why=why, now=now)
    store.end_rebuild()
    await store.look()
    return replace(done, noted=noted)


def is_sound(path: Path, models: Mapping[str, type[ServiceConfigModel]]) -> bool:
    """Whether a file is a whole database that this release can open, and not an empty one.

    Args:
        path: of the file; it is read, page by page.
        models: service → the model that its stored settings must fit.
    """
    try:
        with closing(connect(path, READERS, 1000)) as db:
            check_fully(db)
            if not found_version(db, shipped_steps()[-1].number):
                return False
            read_facts(db)
            if has_settings(db):
                require_fit(db, models)
    except (sqlite3.Error, StoreError):
        return False
    return True


def _leave_word(path: Path, done: Rebuilt, *, by: str, why: str, now: str) -> bool:
    """The tombstone: what was here before, and where it is now (C073).

    The database is sound without it, so that nothing is undone where it cannot be written.
    """
    told = {
        "at": now,
        "by": by,
        "why": why,
        "origin": done.origin,
        "config_epoch": done.epoch,
        "set_aside": list(done.aside),
    }
    try:
        replace_file(path, json.dumps(told, indent=2).encode() + b"\n")
    except StorageError:
        return False
    return True
