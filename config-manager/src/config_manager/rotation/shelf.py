"""Keysets in the database, and what is recorded of rotations. One transaction each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

from parlour_config.keyset import Keyset, read_keyset
from parlour_contracts.messages.signed import moment_text
from parlour_contracts.topics import CONFIG_KEYS

from config_manager.audit import Chain
from config_manager.store import Store
from config_manager.tables import keysets, outbox, secrets


class Shelf:
    """What rotations read and write."""

    def __init__(
        self, store: Store, wall: Callable[[], datetime], wake: Callable[[], None]
    ) -> None:
        """Take the store.

        Args:
            store: the open database.
            wall: aware wall time.
            wake: called after a commit that left something in the outbox.
        """
        self._store = store
        self._wall = wall
        self._wake = wake

    async def newest(self) -> Keyset | None:
        """The keyset in force."""
        found = await self._store.read(keysets.newest)
        return read_keyset(found[1]) if found else None

    async def put(self, keyset: Keyset, by: str, reason: str) -> None:
        """Keep a keyset, record who brought it, and leave it for the broker."""
        now = moment_text(self._wall())

        def work(db: sqlite3.Connection) -> None:
            keysets.insert(db, keyset.version, keyset.raw, now)
            Chain(db).lifecycle(
                "keyset",
                now,
                by,
                keyset_version=keyset.version,
                revoked=",".join(keyset.revoked) or None,
                reason=reason,
            )
            outbox.add(db, CONFIG_KEYS.topic(), keyset.raw, now)

        await self._store.transact(work)
        self._wake()

    async def note(self, event: str, by: str, **facts: str | None) -> None:
        """Record a step of a rotation: ids and reasons."""
        now = moment_text(self._wall())
        await self._store.transact(lambda db: Chain(db).lifecycle(event, now, by, **facts))

    async def left(self, key_id: str) -> int:
        """How many secrets are under another master key than this."""
        counts = await self._store.read(secrets.count_by_key)
        return sum(count for kid, count in counts.items() if kid != key_id)
