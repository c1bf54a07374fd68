"""What every database holds once it was opened: this release's form, one epoch, one floor."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.metadata import secret_keys
from parlour_contracts.config.validation import validate_config

from config_manager.errors import CorruptedError, SchemaMismatchError
from config_manager.migrate import Step, migrate
from config_manager.model_hash import model_hash
from config_manager.sqlite import roll_back
from config_manager.tables import configs, snapshots
from config_manager.tables.configs import ConfigRow

NOTHING_SIGNED = "1970-01-01T00:00:00.000000Z"
"""The floor below a first epoch: nothing was signed before it."""


def fill(
    db: sqlite3.Connection,
    path: Path,
    steps: Sequence[Step],
    models: Mapping[str, type[ServiceConfigModel]],
    now: str,
) -> None:
    """Migrate, see that the stored settings fit, and name the first epoch.

    The hash of the models is left as it is when it differs: whoever adds the new settings'
    defaults writes it with them.

    Raises:
        SchemaMismatchError: stored settings no longer fit; nothing was changed.
    """
    version = steps[-1].number
    current = model_hash(models)
    settled = has_settings(db)
    if settled:
        require_fit(db, models)
    migrate(db, path, steps, current, now)
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(
            "INSERT INTO epochs (config_epoch, created_at, minted_floor, schema_version, "
            "active, reason) SELECT ?, ?, ?, ?, 1, 'created' "
            "WHERE NOT EXISTS (SELECT 1 FROM epochs)",
            (str(uuid4()), now, NOTHING_SIGNED, version),
        )
        if not settled:
            db.execute(
                "UPDATE schema_version SET model_hash = ?, updated_at = ? WHERE model_hash <> ?",
                (current, now, current),
            )
        db.execute("COMMIT")
    except BaseException:
        roll_back(db)
        raise


def require_fit(db: sqlite3.Connection, models: Mapping[str, type[ServiceConfigModel]]) -> None:
    """See that all stored settings fit their models, new fields by their defaults.

    A setting that its service no longer has is no misfit: it is ended, and history tells of it.
    Secrets are left out: they cannot be read here, and only their owner could mend them.

    Raises:
        SchemaMismatchError: a service's settings do not fit.
        CorruptedError: they are no settings at all, or not what was accepted.
    """
    for row in _rows(db):
        snapshots.require_same(db, row)
        service = row.service
        model = models.get(service)
        if model is None:
            continue
        secret = secret_keys(service, model)
        known = model.model_fields.keys() - secret
        config = {k: v for k, v in _read(row).items() if k in known}
        _, problems = validate_config(service, config, model)
        found = [problem for problem in problems if problem.key not in secret]
        if found:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            raise SchemaMismatchError(
                f"the stored settings of {service} do not fit this release: "
                f"{found[0].key} {found[0].problem}"[:400],
                version,
            )


def _rows(db: sqlite3.Connection) -> Iterator[ConfigRow]:
    """Every row, a hundred at a time."""
    last = ""
    while rows := configs.page(db, last, 100):
        yield from rows
        last = rows[-1].service


def _read(row: ConfigRow) -> dict[str, Any]:
    try:
        found = json.loads(row.config_json)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CorruptedError(f"the stored settings of {row.service} cannot be read")
    return found


def has_settings(db: sqlite3.Connection) -> bool:
    """Whether there are settings; a form without their table has none."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'service_configs'").fetchone():
        return False
    return db.execute("SELECT 1 FROM service_configs LIMIT 1").fetchone() is not None
