"""What shows that config-manager works: its database answers, and is of this release's form."""

from __future__ import annotations

import sqlite3

from parlour_kit.errors import ParlourError
from parlour_kit.probes.checks import Check, Look
from parlour_kit.probes.checkup import DATABASE, known_check

from config_manager.store import Store

DATABASE_S = 1.5
"""What a read may take: whoever asks has an answer within two seconds (D003, SC109)."""


def checks_of(store: Store) -> list[Check]:
    """The checks of a database; it is read each time that somebody asks."""

    async def read() -> None:
        await store.read(_read_a_page)

    def look() -> Look:
        condition = store.condition
        return Look(trouble=condition.error if condition.final else None)

    def schema() -> ParlourError | None:
        condition = store.condition
        return condition.error if condition.status == "schema-mismatch" else None

    return [
        Check(DATABASE, read, limit_s=DATABASE_S, look=look, ttl_s=0.0),
        known_check("schema", schema),
    ]


def _read_a_page(db: sqlite3.Connection) -> None:
    # SELECT 1 alone would be answered without a look at the file.
    db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
