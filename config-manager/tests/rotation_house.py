"""A manager's keys and commands, and services that read what it would publish, for rotations.

The services here are the real rules of trust fed from the real outbox: whatever the manager would
publish, a service verifies, opens and keeps, or it is in :attr:`House.refused`.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from config_manager.commands import (
    Caller,
    Commands,
    Request,
    SecretChange,
    SyncState,
    body_digest,
)
from config_manager.rotation import KeyRotations
from config_manager.rotation.shelf import Shelf
from config_manager.signer import Signer
from config_manager.store import Store
from parlour_config.errors import RefusedDocumentError, RefusedUpdateError
from parlour_config.keyfiles import KeyFile, read_root_key
from parlour_config.keyset import KeysetWalk, reset_floor, sign_keyset, trusted_keys
from parlour_config.lkg import read_lkg, render_lkg
from parlour_config.provision import provision
from parlour_config.sealing import is_sealed, open_sealed
from parlour_config.trust import Accept, TrustedSet
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.requests import ConfigRequest
from parlour_contracts.topics import CONFIG, CONFIG_KEYS

ADMIN = Caller("admin", "admin")
SECRET = "an-api-key-of-a-provider"
NAMES = ("signing", "hmac", "master")


class Killed(BaseException):
    """The process is gone."""


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.date = datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return self.date

    async def sleep(self, seconds: float) -> None:
        self.pass_time(timedelta(seconds=seconds))

    def pass_time(self, span: timedelta) -> None:
        self.now += span.total_seconds()
        self.date += span


class Service:
    """What a service does with what it gets, by the rules of the shared library."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.keys = KeyFile.of_service(folder / f"{name}/keys.env")
        found = self.keys.current()
        self.walk = KeysetWalk(found.root_keys, found.threshold)
        self.trust = TrustedSet(name, ())
        self.running: dict[str, object] = {}
        self.applied = 0
        self.lkg = b""

    def keyset(self, document: bytes) -> None:
        new = self.walk.judge(document)
        if new is not None:
            self.walk.commit(new)
            self.trust.commit(reset_floor(self.trust.state, new))

    def config(self, payload: bytes) -> None:
        keys = self.keys.current()
        self.trust.keys = trusted_keys(self.walk.current, self.trust.state, keys.public_keys)
        update, verdict = self.trust.verify(payload, CONFIG.topic(service=self.name))
        if not isinstance(verdict, Accept):
            return
        self.running = {
            key: open_sealed(value, keys.service_keys, service=self.name, name=key)
            if is_sealed(value)
            else value
            for key, value in update.config.items()
        }
        self.trust.commit(verdict.new_state)
        self.lkg = render_lkg(
            payload={self.name: update.config},
            config_epoch=update.config_epoch,
            generated_at=update.issued_at,
            update=update.raw,
            state=verdict.new_state,
            key=keys.lkg_keys[0],
        )
        self.applied += 1

    def restart(self) -> None:
        """What was kept must still be readable."""
        keys = self.keys.current()
        trusted = trusted_keys(self.walk.current, self.trust.state, keys.public_keys)
        read_lkg(self.lkg, keys.lkg_keys, service=self.name, trusted=trusted)

    @property
    def keyset_version(self) -> int:
        return self.walk.current.version if self.walk.current else 0


class House:
    """A manager that can be killed, its files, and the services."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "keys"
        provision(self.folder, CONFIGS)
        self.root = read_root_key(self.folder / "root.key")
        self.clock = Hand()
        self.trusted = True
        self.store = Store(tmp_path / "db" / "config.db", now=self.clock.wall)
        self.services = {name: Service(name, self.folder) for name in CONFIGS}
        self.away: set[str] = set()
        self.refused: list[str] = []
        self.epochs_made = 0
        self.steps: list[str] = []
        self.kill_at = -1
        self._read_up_to = 0
        self._number = 0
        self.boot()

    def boot(self) -> None:
        """A new process over the same files."""
        self.keyfile = KeyFile.of_manager(self.folder / "config-manager.env")
        self.commands = Commands(
            self.store, self._signer, CONFIGS, self.clock, gate=lambda: None,
            wake=lambda: None, status=lambda _service: SyncState(),
        )  # fmt: skip
        self.rotations = KeyRotations(
            self.keyfile, self.folder, self.commands,
            Shelf(self.store, self.clock.wall, lambda: None), self, self.clock,
            clock_trusted=lambda: self.trusted, failpoint=self._failpoint,
        )  # fmt: skip

    async def open(self) -> None:
        await self.store.open()
        await self.commands.seed()
        version = (await self._get("llm-worker"))["metadata"]["version"]
        answer = await self.commands.set_secret(
            SecretChange(ADMIN, "llm-worker", "api_key", SECRET, version)
        )
        assert answer.status == "accepted", answer
        await self.deliver()

    # What the runtime gives to rotations.

    def keyset_versions(self) -> dict[str, int]:
        return {
            name: service.keyset_version
            for name, service in self.services.items()
            if name not in self.away
        }

    async def key_revoked(self, by: str) -> None:
        self.epochs_made += 1

    # What happens in the house.

    async def deliver(self) -> None:
        """Everybody who is there reads what is new; keys may come after what they sign."""
        rows = await self.store.read(
            lambda db: db.execute(
                "SELECT id, topic, payload FROM outbox WHERE id > ? ORDER BY id",
                (self._read_up_to,),
            ).fetchall()
        )
        for name, service in self.services.items():
            if name in self.away:
                continue
            for _, topic, payload in rows:
                try:
                    if topic == CONFIG_KEYS.topic():
                        service.keyset(payload)
                    elif topic == CONFIG.topic(service=name):
                        service.config(payload)
                except (RefusedUpdateError, RefusedDocumentError) as error:
                    self.refused.append(f"{name}: {error.code}")
            service.restart()
        self._read_up_to = rows[-1][0] if rows else self._read_up_to

    async def come_back(self, name: str) -> None:
        """An instance that was away gets what is retained, keysets by catching up."""
        self.away.discard(name)
        service = self.services[name]
        documents, payload = await self.store.read(
            lambda db: (
                [row[0] for row in db.execute("SELECT document FROM keysets ORDER BY 1")],
                db.execute(
                    "SELECT payload FROM outbox WHERE topic = ? ORDER BY id DESC LIMIT 1",
                    (CONFIG.topic(service=name),),
                ).fetchone()[0],
            )
        )
        for document in sorted(documents, key=lambda raw: json.loads(raw)["keyset_version"]):
            if json.loads(document)["keyset_version"] > service.keyset_version:
                service.keyset(document)
        service.config(payload)

    async def change_something(self) -> None:
        """Load: an ordinary change while keys rotate."""
        self._number += 1
        body = ConfigRequest(config={"volume_percent": self._number % 100})
        answer = await self.commands.execute(
            Request(
                caller=ADMIN, op="patch", service="tts-worker", body=body,
                body_sha256=body_digest("patch", "tts-worker", body),
                transaction=f"t-{self._number}", derived=False, via="rest",
            )
        )  # fmt: skip
        assert answer.status == "accepted", answer

    async def until_rest(self, name: str, *, sign: bool = True) -> None:
        """Play the operator until the rotation has ended."""
        for _ in range(40):
            await self.change_something()
            await self.deliver()
            await self.rotations.step()
            report = await self.rotations.report()
            state = self.state(report, name)
            if state == "idle":
                break
            assert state != "blocked", report
            if report.draft is not None and sign:
                document = sign_keyset(report.draft, [self.root])
                await self.rotations.accept_keyset(document, by="admin", reason="rotation")
            if state == "grace":
                self.clock.pass_time(timedelta(days=1))
        else:
            pytest.fail(f"the rotation does not end: {state}")
        await self.deliver()

    @staticmethod
    def state(report, name: str) -> str:
        return next(key.state for key in report.keys if key.name == name)

    async def _get(self, service: str):
        answer = await self.commands.execute(
            Request(
                caller=ADMIN, op="get", service=service, body=ConfigRequest(), body_sha256="",
                transaction="", derived=True, via="rest",
            )
        )  # fmt: skip
        return answer.data

    def _signer(self) -> Signer:
        keys = self.keyfile.current()
        return Signer(
            key=keys.signing, master=keys.master, keyring=keys.keyring, mask_key=keys.mask,
            clock_trusted=lambda: self.trusted,
        )  # fmt: skip

    def _failpoint(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) - 1 == self.kill_at:
            raise Killed(name)


def ids(house: House) -> dict[str, str]:
    keys = house.keyfile.current()
    return {"signing": keys.signing.kid, "hmac": keys.hmac.id, "master": keys.master.id}


async def random_life(folder: Path, seed: int, rotations: int) -> tuple[House, int]:
    """Rotations of random keys, one after another, under load, with kills between any two effects.

    Returns:
        The house, with its database closed, and how often the manager was killed.
    """
    chance = random.Random(seed)  # plays a life, keeps no secret
    house = House(folder)
    await house.open()
    killed = 0

    def sometimes(name: str) -> None:
        if chance.random() < 0.1:
            raise Killed(name)

    house._failpoint = sometimes
    house.boot()
    for _ in range(rotations):
        name = chance.choice(NAMES)
        before, state = ids(house)[name], ""
        while ids(house)[name] == before or state != "idle":
            try:
                await house.rotations.start(name, by="admin", reason="again")
                await house.until_rest(name)
            except Killed:
                killed += 1
                house.boot()
            state = house.state(await house.rotations.report(), name)
    house._failpoint = lambda _name: None
    house.boot()
    await house.change_something()
    await house.deliver()
    assert (await house.commands.verify_audit()).ok
    await house.store.close()
    return house, killed
