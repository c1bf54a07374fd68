"""What a copy of the database holds, and whether it is whole.

Nothing is written, not even the small files that SQLite puts beside a database that it reads.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from parlour_cli.backup.errors import DamagedCopyError
from parlour_cli.backup.story import require_one_story

APPLICATION_ID = 0x50524C52
"""``PRLR``, which config-manager writes into its database."""


@dataclass(frozen=True)
class Contents:
    """What is in a copy.

    Attributes:
        epoch: the active one.
        schema_version: number of its form.
        services: how many have settings.
        versions: how many versions of settings there are.
        audit_rows: how long the audit chain is.
        audit_head: its newest head.
        last_change: when settings changed last, ISO 8601; empty when never.
    """

    epoch: str
    schema_version: int
    services: int
    versions: int
    audit_rows: int
    audit_head: str
    last_change: str


@dataclass(frozen=True)
class Distance:
    """How a copy lies to the database that runs.

    Attributes:
        prefix: everything in the copy is in the database, in the same order.
        behind: rows of the audit chain that the copy does not have yet.
    """

    prefix: bool
    behind: int


def examine(path: Path, *, contradictory: bool = False) -> Contents:
    """Read a copy through: pages, indexes, its form, and whether all of it tells one story.

    Args:
        path: of the file; nobody writes to it.
        contradictory: whether one will do whose rows do not fit each other.

    Raises:
        DamagedCopyError: it is damaged, or not config-manager's.
        ContradictionError: its rows do not fit each other.
    """
    try:
        with closing(_open(path, "immutable=1")) as db:
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise DamagedCopyError("the copy fails SQLite's integrity check")
            if db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                raise DamagedCopyError("the copy is a database, but not config-manager's")
            if not contradictory:
                require_one_story(db)
            return _read(db)
    except sqlite3.Error as error:
        raise DamagedCopyError(f"the copy cannot be read: {error}"[:300]) from error


def distance(copy: Contents, database: Path) -> Distance | None:
    """Compare a copy with the database that runs; None where that cannot be read.

    The audit chain binds each row to all before it, so one head in common is a whole beginning
    in common.
    """
    try:
        with closing(_open(database, "")) as db:
            rows, *_ = db.execute("SELECT coalesce(max(seq), 0) FROM audit_chain").fetchone()
            found = db.execute(
                "SELECT head FROM audit_chain WHERE seq = ?", (copy.audit_rows,)
            ).fetchone()
    except sqlite3.Error:
        return None
    return Distance(found == (copy.audit_head,), int(rows) - copy.audit_rows)


def _open(path: Path, more: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro&{more}"
    return sqlite3.connect(uri, uri=True, timeout=5)


def _read(db: sqlite3.Connection) -> Contents:
    epoch = db.execute("SELECT config_epoch FROM epochs WHERE active = 1").fetchone()
    if epoch is None:
        raise DamagedCopyError("the copy has no epoch")
    seq, head = db.execute(
        "SELECT seq, head FROM audit_chain ORDER BY seq DESC LIMIT 1"
    ).fetchone() or (0, "")
    return Contents(
        epoch=str(epoch[0]),
        schema_version=int(db.execute("PRAGMA user_version").fetchone()[0]),
        services=int(db.execute("SELECT count(*) FROM service_configs").fetchone()[0]),
        versions=int(db.execute("SELECT count(*) FROM service_config_snapshots").fetchone()[0]),
        audit_rows=int(seq),
        audit_head=str(head),
        last_change=str(
            db.execute("SELECT coalesce(max(changed_at), '') FROM config_history").fetchone()[0]
        ),
    )
