"""Numbered steps that bring a database to the form of this release.

Each step is one transaction that also sets the numbers, so a kill at any moment leaves the
form before it or the form after it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from parlour_config.files import sync_folder

from config_manager.errors import SchemaMismatchError, unwritable
from config_manager.sqlite import roll_back, write_copy

APPLICATION_ID = 0x50524C52
"""``PRLR``: marks the file as Parlour's."""

_FILE = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True)
class Step:
    """One step; its number is the form that it leads to."""

    number: int
    sql: str


def shipped_steps() -> tuple[Step, ...]:
    """The steps of this release, in order, numbered from 1 without a gap."""
    folder = resources.files("config_manager") / "migrations"
    steps = sorted(
        (
            Step(int(match[1]), item.read_text(encoding="utf-8"))
            for item in folder.iterdir()
            if (match := _FILE.fullmatch(item.name))
        ),
        key=lambda step: step.number,
    )
    assert [s.number for s in steps] == list(range(1, len(steps) + 1)), "a step is missing"
    return tuple(steps)


def found_version(db: sqlite3.Connection, newest: int) -> int:
    """The number of the form a file has; 0 for an empty one. Reads only.

    Raises:
        SchemaMismatchError: it is not Parlour's, newer than ``newest``, or its two numbers
            disagree.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if tables == 0 and version == 0 and application == 0:
        return 0
    if application != APPLICATION_ID:
        raise SchemaMismatchError("the file is a database, but not config-manager's", version)
    if version > newest:
        raise SchemaMismatchError(
            f"the database has form {version}, this release knows up to {newest}", version
        )
    row = db.execute("SELECT version FROM schema_version WHERE id = 1").fetchone()
    if row is None or row[0] != version:
        raise SchemaMismatchError("the database's two numbers of its form disagree", version)
    return version


def migrate(
    db: sqlite3.Connection, path: Path, steps: Sequence[Step], model_hash: str, now: str
) -> None:
    """Take the steps that are missing, after a copy of what was there.

    Args:
        db: the only connection that writes, in autocommit.
        path: the database file; the copy is ``<path>.v<number>``.
        steps: all steps of this release.
        model_hash: goes into ``schema_version`` of an empty database; another keeps its own.
        now: the time for ``updated_at``.

    Raises:
        SchemaMismatchError: the file is not one that the steps lead on from.
        StorageFullError: the copy cannot be written; nothing was changed.
        sqlite3.Error: a step failed; the steps before it stay.
    """
    version = found_version(db, steps[-1].number)
    missing = [step for step in steps if step.number > version]
    if version and missing:
        _keep(db, path.with_name(f"{path.name}.v{version}"))
    for step in missing:
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(step.sql):
                db.execute(statement)
            db.execute(
                "INSERT INTO schema_version (id, version, model_hash, updated_at) "
                "VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version, "
                "updated_at = excluded.updated_at",
                (step.number, model_hash, now),
            )
            db.execute(f"PRAGMA user_version = {step.number}")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("COMMIT")
        except BaseException:
            roll_back(db)
            raise


def _keep(db: sqlite3.Connection, copy: Path) -> None:
    """Copy the old form; it is on the disk, name and all, before anything is changed."""
    try:
        copy.unlink(missing_ok=True)  # of an attempt that did not come to its end
        write_copy(db, copy)
        sync_folder(copy.parent)
    except OSError as error:
        raise unwritable("the copy of the old form", error) from error


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script; ``executescript`` would commit between them."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip() and not statement.strip().startswith("--"):
        yield statement
