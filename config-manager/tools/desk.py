"""A command layer over a database in a folder, with test keys: for tests and for trials."""  # noqa: INP001

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from config_manager.commands import (
    Caller,
    Commands,
    RefusedError,
    Request,
    Signer,
    SyncState,
    body_digest,
    derived_transaction,
)
from config_manager.commands.model import Role
from config_manager.store import Store
from parlour_config.sealing import mask_key
from parlour_config.signing import SigningKey
from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_contracts.messages.requests import ConfigAnswer, ConfigRequest

MASTER = hashlib.sha256(b"test master").digest()
SIGNING = SigningKey(hashlib.sha256(b"test signing").digest())
START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


class DeskClock:
    """Wall time that moves when it is told to; a microsecond passes with each look."""

    def __init__(self) -> None:
        self.now = START
        self.seconds = 0.0

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return self.seconds

    def wall(self) -> datetime:
        """The time that was set, a little later each time."""
        self.now += timedelta(microseconds=1)
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.move(seconds)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Desk:
    """Asks the command layer what a test wants to know.

    Attributes:
        gate: why nothing may be changed, or None.
        trusted: whether the wall clock is believed.
        woken: how often something was left in the outbox.
    """

    def __init__(
        self,
        folder: Path,
        *,
        models: Mapping[str, type[ServiceConfigModel]] = CONFIGS,
        read_only: Mapping[str, frozenset[str]] | None = None,
        clock: Any = None,
        busy_ms: int = 50,
    ) -> None:
        self.clock = clock or DeskClock()
        self.path = folder / "config-manager" / "config.db"
        self.store = Store(self.path, busy_ms=busy_ms, now=self.clock.wall, models=models)
        self.gate: RefusedError | None = None
        self.trusted = True
        self.woken = 0
        self.sync = SyncState()
        self.use_master("m1", {"m1": MASTER})
        self.commands = Commands(
            self.store, lambda: self.signer, models, self.clock, gate=lambda: self.gate,
            wake=self._wake, status=lambda _service: self.sync, read_only=read_only,
        )  # fmt: skip
        self._ids = itertools.count()

    def use_master(self, kid: str, keyring: Mapping[str, bytes]) -> None:
        """Seal with another master key from now on."""
        self.signer = Signer(
            SIGNING, (kid, keyring[kid]), keyring, mask_key(keyring[kid]), lambda: self.trusted
        )

    async def open(self) -> Desk:
        """Open the database and seed it."""
        await self.store.open()
        if self.store.condition.ok:
            await self.commands.seed()
        return self

    async def ask(
        self,
        op: str,
        service: str = "tts-worker",
        *,
        user: str = "alice",
        role: Role = "write",
        via: Literal["mqtt", "rest"] = "mqtt",
        instance_of: str | None = None,
        derived: bool = False,
        **body: Any,
    ) -> ConfigAnswer:
        """Send one request; it gets an id of its own unless it brings one."""
        asked = ConfigRequest.model_validate(body)
        topic = f"system/config-request/{user}/{op}/{service}".encode()
        digest = body_digest(op, service, asked)
        chosen = asked.transaction or f"auto-{next(self._ids)}"
        return await self.commands.execute(
            Request(
                Caller(user, role, instance_of), op, service, asked, digest,
                derived_transaction(topic, digest.encode()) if derived else chosen,
                derived, via,
            )
        )  # fmt: skip

    async def config(self, service: str = "tts-worker") -> dict[str, Any]:
        """What get shows."""
        answer = await self.ask("get", service, role="read")
        found: dict[str, Any] = answer.data["config"]
        return found

    async def version(self, service: str = "tts-worker") -> int:
        """The row version."""
        answer = await self.ask("get", service, role="read")
        return int(answer.data["metadata"]["version"])

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the file, past the store."""
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(sql, values).fetchall()

    def write(self, sql: str, *values: Any) -> None:
        """Tamper with the file, past the store."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute(sql, values)

    async def in_database(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Work in a transaction of the store."""
        return await self.store.transact(work)

    async def close(self) -> None:
        """Close the database."""
        await self.store.close()

    def _wake(self) -> None:
        self.woken += 1
