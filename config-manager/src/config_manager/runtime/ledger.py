"""What the runtime reads from the database and writes to it, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from parlour_contracts.messages.configuration import ConfigEpochMetadata
from parlour_contracts.topics import CONFIG, CONFIG_KEYS
from parlour_kit.clock import utc_text

from config_manager import audit
from config_manager.audit import Chain
from config_manager.commands import Signer
from config_manager.commands.issue import reissue
from config_manager.lineage import begin_epoch, note_predecessor
from config_manager.runtime.publisher import OutboxRow
from config_manager.runtime.reconcile import Past
from config_manager.store import Store
from config_manager.tables import configs, epochs, floor, keysets, outbox, snapshots
from config_manager.tables.access import AccessRow
from config_manager.tables.epochs import EpochReason

_CONFIG_TOPICS = CONFIG.pattern.partition("{")[0]


@dataclass(frozen=True)
class Whole:
    """Everything that the manager's last-known-good file holds."""

    payload: dict[str, dict[str, Any]]
    config_epoch: str
    floor: str


class Ledger:
    """The database, as the runtime uses it."""

    def __init__(
        self, store: Store, signer: Callable[[], Signer], wall: Callable[[], datetime]
    ) -> None:
        """Take the store.

        Args:
            store: the database.
            signer: the keys of now.
            wall: aware wall time; it moves the floor where the signer says that it is trusted.
        """
        self.store = store
        self._signer = signer
        self._wall = wall

    async def past(self, minted: frozenset[str]) -> Past:
        """What the database knows of itself; ``minted``: epochs that began in this start."""

        def read(db: sqlite3.Connection) -> Past:
            active = epochs.active(db)
            name = active.config_epoch
            return Past(
                name,
                active.minted_floor,
                floor.get(db),
                frozenset(epochs.known(db) - {name}),
                minted_now=name in minted,
            )

        return await self.store.read(read)

    async def desired(self) -> dict[str, str]:
        """Service → checksum of what it should run with."""

        def read(db: sqlite3.Connection) -> dict[str, str]:
            return dict(
                db.execute(
                    "SELECT c.service, s.checksum FROM service_configs c "
                    "JOIN service_config_snapshots s "
                    "ON s.service = c.service AND s.version = c.version"
                ).fetchall()
            )

        return await self.store.read(read)

    async def known(self, pairs: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those pairs of service and checksum that are among the snapshots."""
        asked = list(pairs)

        def read(db: sqlite3.Connection) -> frozenset[tuple[str, str]]:
            return frozenset(pair for pair in asked if snapshots.has_checksum(db, *pair))

        return await self.store.read(read)

    async def whole(self) -> Whole:
        """All settings, the epoch and the floor."""

        def read(db: sqlite3.Connection) -> Whole:
            payload = {}
            for service in configs.names(db):
                row = configs.find(db, service)
                if row is not None:
                    payload[service] = row.config
            return Whole(payload, epochs.active(db).config_epoch, floor.get(db))

        return await self.store.read(read)

    async def floor(self) -> str:
        """The greatest ``issued_at`` that was given out or seen."""
        return await self.store.read(floor.get)

    async def metadata(self) -> ConfigEpochMetadata:
        """The active epoch, as the file beside the database holds it."""
        return await self.store.read(epochs.metadata)

    async def keyset(self) -> tuple[int, bytes] | None:
        """The newest keyset document and its version."""
        return await self.store.read(keysets.newest)

    async def audit_head(self) -> str:
        """The newest head of the audit chain."""
        return await self.store.read(audit.head)

    async def waiting_topics(self) -> frozenset[str]:
        """Topics with a message in the outbox."""

        def read(db: sqlite3.Connection) -> frozenset[str]:
            return frozenset(row[0] for row in db.execute("SELECT DISTINCT topic FROM outbox"))

        return await self.store.read(read)

    async def prepare_floor(self, least: str, record: Iterable[str]) -> None:
        """Raise the floor and record predecessors."""
        found = tuple(record)

        def work(db: sqlite3.Connection) -> None:
            self._raise(db, least, found)

        await self.store.transact(work)

    async def new_epoch(
        self,
        reason: EpochReason,
        by: str,
        least: str,
        record: Iterable[str] = (),
        why: str | None = None,
    ) -> str:
        """Begin a new epoch: above everything, every row version raised, nothing old to send.

        Args:
            reason: for the table.
            by: the user, or ``system:…``.
            least: what the floor must be at least.
            record: epochs of predecessors.
            why: in the words of whoever wanted it.
        """
        found = tuple(record)

        def work(db: sqlite3.Connection) -> str:
            self._raise(db, least, found)
            return begin_epoch(db, reason, floor.get(db), at=self._at(), by=by, why=why)

        made = await self.store.transact(work)
        await self.store.look()
        return made

    async def resend_keyset(self) -> None:
        """Queue the newest keyset document once more."""

        def work(db: sqlite3.Connection) -> None:
            newest = keysets.newest(db)
            if newest is not None:
                outbox.add(db, CONFIG_KEYS.topic(), newest[1], self._at())

        await self.store.transact(work)

    async def sign_again(self, services: Sequence[str]) -> None:
        """Sign and queue what these services should run with; empty the topic of unknown ones.

        At most :data:`~config_manager.commands.issue.BATCH` at a time, so that a change never
        waits long for the writer.
        """
        await self.store.transact(partial(self._sign, services=services))

    async def lifecycle(self, event: str, by: str, **facts: str | float | None) -> None:
        """Put an event in the life of the database on record."""
        await self.store.transact(lambda db: Chain(db).lifecycle(event, self._at(), by, **facts))

    async def denied(self, user: str, service: str | None, code: str, count: int) -> None:
        """Put a refusal for lack of rights on record."""
        reason = code if count == 1 else f"{code}, {count} times"

        def work(db: sqlite3.Connection) -> None:
            Chain(db).access(
                AccessRow(user, "unauthorized", service, None, False, reason, self._at())
            )

        await self.store.transact(work)

    # The outbox, as the publisher needs it.

    async def newest(self, after: int, limit: int) -> Sequence[OutboxRow]:
        """The newest message of each topic beyond an id."""

        def read(db: sqlite3.Connection) -> list[OutboxRow]:
            return [
                OutboxRow(m.id, m.topic, m.payload, m.retain, m.expiry_s)
                for m in outbox.due(db, limit, after)
            ]

        return await self.store.read(read)

    async def done(self, acknowledged: Sequence[tuple[str, int]]) -> None:
        """Forget what the broker has."""
        await self.store.transact(lambda db: outbox.sent(db, acknowledged))

    async def size(self) -> int:
        """How many rows wait."""
        return await self.store.read(outbox.count)

    # What follows runs in the writer thread.

    def _raise(self, db: sqlite3.Connection, least: str, record: Sequence[str]) -> None:
        floor.raise_to(db, least)
        known = epochs.known(db)
        for name in record:
            if name not in known:
                note_predecessor(db, name, floor.get(db), at=self._at(), by="system:reconcile")

    def _sign(self, db: sqlite3.Connection, services: Sequence[str]) -> None:
        reissue(db, self._signer(), services, self._wall())
        known = {row.service for row in configs.some(db, services)}
        for service in services:
            if service not in known:
                outbox.add(db, f"{_CONFIG_TOPICS}{service}", b"", self._at())

    def _at(self) -> str:
        return utc_text(self._wall())
