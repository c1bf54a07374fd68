"""Desired against reported, as people and rotations ask for it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping

from config_manager.commands import SyncState
from config_manager.fronts.rest_models import FleetState, ServiceState
from config_manager.runtime.conductor import Conductor
from config_manager.runtime.core import Core


class FleetView:
    """Looks at the book; also from the threads that read the database."""

    def __init__(self, core: Core, conductor: Conductor) -> None:
        self._core = core
        self._conductor = conductor
        self._now = asyncio.get_running_loop().time

    def status(self, service: str) -> SyncState:
        """Whether a service runs what is desired, and when that was last sent."""
        book, now = self._core.book, self._now()
        lagging, runs = tuple(book.lagging(service, now)), book.runs(service, now)
        if not lagging and not book.has_reports(service):
            return SyncState(issued_at=book.issued.get(service), runs=runs)
        return SyncState(not lagging, lagging, book.issued.get(service), runs)

    def keyset_versions(self) -> Mapping[str, int]:
        """Every living instance and the keyset that it says it has."""
        book, now = self._core.book, self._now()
        return {
            instance: report.keyset_version if report else 0
            for service, instance in book.living(now)
            if service in book.desired
            for report in (book.reported.get((service, instance)),)
        }

    async def key_revoked(self, by: str) -> None:
        """Begin a new epoch because of a revoked signing key."""
        await self._conductor.new_epoch("key-revoked", by)

    async def state(self) -> FleetState:
        """Every service, what it should run with, and what its instances say."""

        def read(db: sqlite3.Connection) -> list[tuple[str, int, str]]:
            return db.execute(
                "SELECT c.service, c.version, s.checksum FROM service_configs c "
                "JOIN service_config_snapshots s ON s.service = c.service "
                "AND s.version = c.version ORDER BY c.service"
            ).fetchall()

        rows = await self._core.parts.ledger.store.read(read)
        book = self._core.book
        return FleetState(
            services=[
                ServiceState(
                    service=service,
                    version=version,
                    checksum=checksum,
                    in_sync=known.in_sync,
                    lagging=list(known.lagging),
                    instances=[
                        report.said
                        for (name, _), report in sorted(book.reported.items())
                        if name == service and report.said is not None
                    ],
                )
                for service, version, checksum in rows
                for known in (self.status(service),)
            ]
        )
