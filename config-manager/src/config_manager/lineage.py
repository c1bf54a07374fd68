"""A new epoch: the lineage of the database begins anew, and the old one ends for good."""

from __future__ import annotations

import sqlite3
from uuid import uuid4

from config_manager.audit import Chain
from config_manager.moments import moment_after
from config_manager.tables import epochs, floor
from config_manager.tables.epochs import EpochReason, EpochRow

VERSION_STEP = 1000
"""How far row versions jump, so that one read before a restore matches none by accident."""


def begin_epoch(
    db: sqlite3.Connection,
    reason: EpochReason,
    moment: str,
    *,
    at: str,
    by: str,
    why: str | None = None,
    raise_versions: bool = True,
) -> str:
    """Mint an epoch and move every row into it; nothing is signed here.

    Args:
        db: within a transaction.
        reason: for the table of epochs.
        moment: above everything that was ever signed or seen; the floor moves to it, and what
            is signed in the new epoch comes after it.
        at: what the wall clock shows, for people.
        by: a person, or ``system:…``.
        why: in words, for the audit trail.
        raise_versions: whether row versions jump by 1,000; each jump is a version of its own.

    Returns:
        The epoch.
    """
    floor.raise_to(db, moment)
    minted = floor.get(db)
    before = epochs.active(db)
    epoch = str(uuid4())
    epochs.retire_active(db)
    epochs.insert(db, EpochRow(epoch, at, minted, before.schema_version, True, reason))
    db.execute("DELETE FROM outbox WHERE topic GLOB 'system/config/*'")  # of the old epoch
    if raise_versions:
        _raise_versions(db, epoch, at, by, reason)
    else:
        db.execute("UPDATE service_configs SET config_epoch = ?", (epoch,))
    Chain(db).lifecycle(
        "epoch", at, by, epoch=epoch, before=before.config_epoch, reason=reason, why=why
    )
    return epoch


def note_predecessor(db: sqlite3.Connection, epoch: str, moment: str, *, at: str, by: str) -> None:
    """Record an epoch that somebody else signed with and that is over.

    Args:
        db: within a transaction.
        epoch: as seen.
        moment: the greatest that was seen of it; the floor moves to it.
        at: what the wall clock shows, for people.
        by: ``system:…``.
    """
    floor.raise_to(db, moment)
    schema = epochs.active(db).schema_version
    epochs.insert(db, EpochRow(epoch, at, moment, schema, False, "predecessor"))
    Chain(db).lifecycle("predecessor", at, by, epoch=epoch)


def _raise_versions(db: sqlite3.Connection, epoch: str, at: str, by: str, reason: str) -> None:
    rows = db.execute("SELECT service, updated_at FROM service_configs").fetchall()
    db.executemany(
        "UPDATE service_configs SET config_epoch = ?, version = version + ?, updated_at = ?, "
        "updated_by = ? WHERE service = ?",
        [(epoch, VERSION_STEP, moment_after(last, at), by, service) for service, last in rows],
    )
    db.execute(
        "INSERT INTO service_config_snapshots (service, version, config_epoch, config_json, "
        "checksum, changed_at, changed_by, change_reason, transaction_id) "
        "SELECT c.service, c.version, c.config_epoch, c.config_json, s.checksum, c.updated_at, "
        "c.updated_by, ?, NULL FROM service_configs c JOIN service_config_snapshots s "
        "ON s.service = c.service AND s.version = c.version - ?",
        (reason, VERSION_STEP),
    )
