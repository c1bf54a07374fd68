"""``clock_floor``: everything that is signed from now on has a later moment than this."""

from __future__ import annotations

import sqlite3

from parlour_config.clock import EPOCH_START


def get(db: sqlite3.Connection) -> str:
    """The floor."""
    row = db.execute("SELECT floor FROM clock_floor WHERE id = 1").fetchone()
    return str(row[0]) if row else EPOCH_START


def raise_to(db: sqlite3.Connection, moment: str) -> None:
    """Move the floor up; it never moves down."""
    db.execute(
        "INSERT INTO clock_floor (id, floor) VALUES (1, ?) ON CONFLICT (id) DO UPDATE "
        "SET floor = max(floor, excluded.floor)",
        (moment,),
    )
