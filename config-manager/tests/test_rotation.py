"""Rotation of the three keys, killed at every step, under load, in a house with services.

The services here are the real rules of trust fed from the real outbox: whatever the manager
would publish, a service verifies, opens and keeps, or the test fails.
"""

from __future__ import annotations

import base64
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from config_manager.commands import Caller, Commands, RefusedError, Request, SyncState, body_digest
from config_manager.rotation import Grace, KeyRotations
from config_manager.rotation_journal import Entry, Journal
from config_manager.rotation_shelf import Shelf
from config_manager.signer import Signer
from config_manager.store import Store
from config_manager.tables.secrets import count_by_key
from parlour_config.errors import RefusedDocumentError, RefusedUpdateError
from parlour_config.keyfiles import KeyFile, read_root_key
from parlour_config.keyset import KeysetWalk, reset_floor, sign_keyset, trusted_keys
from parlour_config.lkg import read_lkg, render_lkg
from parlour_config.provision import provision
from parlour_config.sealing import is_sealed, open_sealed
from parlour_config.signing import SigningKey
from parlour_config.trust import Accept, TrustedSet
from parlour_contracts.config import CONFIGS, LLMWorkerConfig
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
        self.keys = KeyFile.of_service(folder / f"{name}.env")
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
        answer = await self.commands.set_secret(ADMIN, "llm-worker", "api_key", SECRET, version)
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

    async def deliver(self, *names: str) -> None:
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
                received_at=self.clock.wall(),
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
                transaction="", derived=True, via="rest", received_at=self.clock.wall(),
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


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    await house.open()
    yield house
    await house.store.close()


def ids(house: House) -> dict[str, str]:
    keys = house.keyfile.current()
    return {"signing": keys.signing.kid, "hmac": keys.hmac.id, "master": keys.master.id}


# The whole way.


@pytest.mark.req("C071")
@pytest.mark.parametrize("name", NAMES)
async def test_a_rotation_ends_with_another_key_and_nothing_refused(house, name):
    before = ids(house)
    await house.rotations.start(name, by="admin", reason="a year has passed")
    await house.until_rest(name)

    after = ids(house)
    assert after[name] != before[name]
    assert {key: after[key] for key in NAMES if key != name} == {
        key: before[key] for key in NAMES if key != name
    }
    assert house.refused == []
    assert house.services["llm-worker"].running["api_key"] == SECRET


async def _played(tmp_path: Path, name: str, kill_at: int) -> House:
    house = House(tmp_path)
    await house.open()
    house.kill_at = kill_at
    started = False
    for _ in range(3):
        try:
            if not started:
                await house.rotations.start(name, by="admin", reason="killed on the way")
            started = True
            await house.until_rest(name)
            break
        except Killed:
            house.boot()
            report = await house.rotations.report()
            key = next(key for key in report.keys if key.name == name)
            started = key.state != "idle" or key.completed_at is not None
    return house


@pytest.mark.req("C071")
@pytest.mark.parametrize("name", NAMES)
async def test_a_rotation_that_is_killed_at_any_step_goes_on_and_loses_nothing(tmp_path, name):
    whole = await _played(tmp_path / "whole", name, kill_at=-1)
    await whole.store.close()
    assert len(whole.steps) >= 5

    for number, step in enumerate(whole.steps):
        house = await _played(tmp_path / str(number), name, kill_at=number)
        report = await house.rotations.report()
        key = next(key for key in report.keys if key.name == name)

        assert house.refused == [], step
        assert (key.state, key.previous, key.next) == ("idle", [], None), step
        assert key.completed_at is not None, step
        assert house.services["llm-worker"].running["api_key"] == SECRET, step
        assert (await house.commands.verify_audit()).ok, step
        assert await house.commands.unreadable_secrets() == [], step
        await house.store.close()


# The signing key.


async def test_the_next_signing_key_waits_for_a_root_key_and_for_every_instance(house):
    house.away = {"router"}
    before = ids(house)["signing"]
    await house.rotations.start("signing", by="admin", reason="six months")
    report = await house.rotations.report()

    assert house.state(report, "signing") == "awaiting-keyset"
    assert report.draft["keyset_version"] == 1
    assert [key["status"] for key in report.draft["config_keys"]] == ["active", "next"]

    house.away = set()
    document = sign_keyset(report.draft, [house.root])
    await house.rotations.accept_keyset(document, by="admin", reason="signed at home")
    waiting = (await house.rotations.report()).keys[0]

    assert waiting.state == "awaiting-services"
    assert waiting.waiting_for == sorted(CONFIGS)
    assert ids(house)["signing"] == before

    await house.deliver()
    while await house.rotations.step():
        await house.deliver()

    assert ids(house)["signing"] != before
    assert house.state(await house.rotations.report(), "signing") == "grace"
    assert house.refused == []


async def test_an_instance_that_comes_back_within_the_grace_starts_from_its_file(house):
    house.away = {"router"}
    await house.rotations.start("signing", by="admin", reason="six months")
    for _ in range(8):
        draft = (await house.rotations.report()).draft
        if draft:
            document = sign_keyset(draft, [house.root])
            await house.rotations.accept_keyset(document, by="admin", reason="signed")
        await house.deliver()
        await house.rotations.step()
    assert house.state(await house.rotations.report(), "signing") == "grace"

    house.services["router"].restart()
    await house.come_back("router")

    assert house.services["router"].trust.state.floor_kid == ids(house)["signing"]


async def test_an_instance_that_was_away_for_longer_takes_what_is_retained(house):
    house.away = {"router"}
    await house.rotations.start("signing", by="admin", reason="six months")
    await house.until_rest("signing")
    await house.come_back("router")

    assert house.services["router"].trust.state.floor_kid == ids(house)["signing"]
    assert house.refused == []


async def test_after_the_grace_the_old_signing_key_verifies_nothing(house):
    old = house.keyfile.current().signing
    await house.rotations.start("signing", by="admin", reason="six months")
    await house.until_rest("signing")
    service = house.services["router"]
    trusted = trusted_keys(service.walk.current, service.trust.state, ())

    assert old.kid not in {key.kid for key in trusted}
    assert old.kid not in (house.folder / "router.env").read_text()
    assert base64.b64encode(old.public).decode() not in (house.folder / "router.env").read_text()


async def test_the_old_signing_key_counts_for_the_whole_grace(house):
    await house.rotations.start("signing", by="admin", reason="six months")
    draft = (await house.rotations.report()).draft
    await house.rotations.accept_keyset(
        sign_keyset(draft, [house.root]), by="admin", reason="signed"
    )
    await house.deliver()
    while await house.rotations.step():
        await house.deliver()
    key = (await house.rotations.report()).keys[0]

    assert key.grace_until == house.clock.wall() + timedelta(days=7)

    house.clock.pass_time(timedelta(days=7) - timedelta(seconds=1))
    await house.rotations.step()
    assert house.state(await house.rotations.report(), "signing") == "grace"

    house.clock.pass_time(timedelta(seconds=1))
    await house.rotations.step()
    assert house.state(await house.rotations.report(), "signing") == "awaiting-retirement"


async def test_a_revoked_key_is_left_at_once_with_a_new_epoch(house):
    old = ids(house)["signing"]
    house.away = {"stt-worker"}
    await house.rotations.start("signing", by="admin", reason="stolen", compromised=True)
    draft = (await house.rotations.report()).draft

    assert draft["revoked"] == draft["reset_floor_for"] == [old]

    await house.rotations.accept_keyset(
        sign_keyset(draft, [house.root]), by="admin", reason="stolen"
    )
    while await house.rotations.step():
        pass
    await house.deliver()

    assert house.epochs_made == 1
    assert house.state(await house.rotations.report(), "signing") == "idle"
    assert ids(house)["signing"] != old
    assert house.refused == []
    assert house.services["router"].trust.state.floor_kid == ids(house)["signing"]


@pytest.mark.parametrize("kill_at", range(14))
async def test_a_revocation_that_is_killed_still_makes_its_epoch(tmp_path, kill_at):
    house = House(tmp_path)
    await house.open()
    house.kill_at = kill_at
    for _ in range(3):
        try:
            report = await house.rotations.report()
            if house.state(report, "signing") == "idle" and report.keyset_version == 0:
                await house.rotations.start("signing", by="admin", reason="x", compromised=True)
                report = await house.rotations.report()
            if report.draft:
                document = sign_keyset(report.draft, [house.root])
                await house.rotations.accept_keyset(document, by="admin", reason="x")
            while await house.rotations.step():
                pass
            break
        except Killed:
            house.boot()
    await house.deliver()

    assert house.epochs_made >= 1
    assert house.state(await house.rotations.report(), "signing") == "idle"
    assert house.refused == []
    await house.store.close()


async def test_a_keyset_that_would_leave_the_manager_without_a_key_is_refused(house):
    stranger = SigningKey(bytes(range(32)))
    await house.rotations.start("signing", by="admin", reason="x")
    draft = (await house.rotations.report()).draft
    draft["config_keys"] = [
        {
            "kid": stranger.kid,
            "pub": base64.b64encode(stranger.public).decode(),
            "status": "active",
            "not_after": None,
        }
    ]
    document = sign_keyset(draft, [house.root])

    with pytest.raises(RefusedError, match="no key"):
        await house.rotations.accept_keyset(document, by="admin", reason="x")
    assert (await house.rotations.report()).keyset_version == 0


async def test_a_keyset_of_somebody_else_is_refused_and_the_same_one_twice_is_fine(house):
    await house.rotations.start("signing", by="admin", reason="x")
    draft = (await house.rotations.report()).draft
    forged = sign_keyset(draft, [SigningKey(bytes(range(32)))])

    with pytest.raises(RefusedDocumentError):
        await house.rotations.accept_keyset(forged, by="mallory", reason="x")

    document = sign_keyset(draft, [house.root])
    assert await house.rotations.accept_keyset(document, by="admin", reason="x") == 1
    assert await house.rotations.accept_keyset(document, by="admin", reason="x") == 1


# The other two.


async def test_the_manager_reads_old_and_new_last_known_good_files_within_the_grace(house):
    old = house.keyfile.current().lkg_keys("router")
    await house.rotations.start("hmac", by="admin", reason="six months")
    now = house.keyfile.current().lkg_keys("router")

    assert now[1:] == old
    assert now[0] not in old


@pytest.mark.req("C071", "SC035")
async def test_both_master_keys_open_secrets_within_the_grace_of_an_hour(house):
    await house.rotations.start("master", by="admin", reason="a year")
    while await house.rotations.step():
        pass
    key = (await house.rotations.report()).keys[2]

    assert (key.state, key.remaining) == ("grace", 0)
    assert key.grace_until == house.clock.wall() + timedelta(minutes=60)
    assert len(house.keyfile.current().keyring) == 2


@pytest.mark.req("C062")
async def test_a_rotation_is_completed_only_when_every_secret_was_opened_once(house, monkeypatch):
    async def one_is_broken() -> list[tuple[str, str]]:
        return [("llm-worker", "api_key")]

    monkeypatch.setattr(house.commands, "unreadable_secrets", one_is_broken)
    await house.rotations.start("master", by="admin", reason="a year")
    await house.rotations.step()
    await house.rotations.step()
    house.clock.pass_time(timedelta(days=1))
    await house.rotations.step()
    report = await house.rotations.report()

    assert house.state(report, "master") == "blocked"
    assert report.encryption.rotation_status == "in-progress"
    assert len(house.keyfile.current().keyring) == 2

    monkeypatch.undo()
    while await house.rotations.step():
        pass
    house.clock.pass_time(timedelta(hours=1))
    await house.rotations.step()

    assert (await house.rotations.report()).encryption.rotation_status == "completed"


async def test_a_retired_master_key_is_kept_for_old_backups(house):
    old = house.keyfile.current().master
    await house.rotations.start("master", by="admin", reason="a year")
    await house.until_rest("master")

    assert base64.b64encode(old.raw).decode() in (house.folder / "retired-master.keys").read_text()
    assert old.id not in house.keyfile.current().keyring


async def test_rewrapping_is_recorded_as_the_systems_own_change(house):
    await house.rotations.start("master", by="admin", reason="a year")
    while await house.rotations.step():
        pass
    by = await house.store.read(
        lambda db: db.execute(
            "SELECT updated_by FROM service_configs WHERE service = 'llm-worker'"
        ).fetchone()[0]
    )

    assert by == "system:rewrap"


@pytest.mark.parametrize("name", ["hmac", "master"])
async def test_a_clock_that_cannot_be_trusted_ends_no_grace_early(house, name):
    house.trusted = False
    await house.rotations.start(name, by="admin", reason="x")
    while await house.rotations.step():
        pass
    house.clock.date += timedelta(days=4000)
    await house.rotations.step()

    assert house.state(await house.rotations.report(), name) == "grace"

    house.trusted = True
    await house.rotations.step()

    assert house.state(await house.rotations.report(), name) == "grace"

    house.clock.now += Grace().of(name).total_seconds()
    await house.rotations.step()

    assert house.state(await house.rotations.report(), name) == "idle"


# What is told and what is not.


@pytest.mark.req("C062")
@pytest.mark.parametrize("name", NAMES)
async def test_the_report_shows_public_keys_and_ids_and_never_a_private_one(house, name):
    async def private() -> list[str]:
        shown = []
        for line in (house.folder / "config-manager.env").read_text().splitlines():
            key, _, value = line.partition("=")
            if "PRIVATE_KEY" in key or "MASTER" in key or "HMAC" in key:
                shown += [] if key.endswith("_ID") else value.split(",")
        return [text for text in shown if text]

    texts = [(await house.rotations.report()).model_dump_json()]
    secret = await private()
    await house.rotations.start(name, by="admin", reason="look")
    for _ in range(4):
        await house.deliver()
        await house.rotations.step()
        texts.append((await house.rotations.report()).model_dump_json())
        secret += await private()
    keys = house.keyfile.current()

    assert len(set(secret)) >= 4
    assert not [text for text in texts for value in secret if value in text]
    assert base64.b64encode(keys.signing.public).decode() in texts[-1]
    assert keys.master.id in texts[-1]


async def test_a_second_start_leaves_the_rotation_where_it_is(house):
    await house.rotations.start("master", by="admin", reason="once")
    one = ids(house)
    await house.rotations.start("master", by="admin", reason="twice")

    assert ids(house) == one


async def test_keys_from_the_environment_are_not_rotated_here(house, monkeypatch):
    other = SigningKey(bytes(range(32)))
    env = {"CONFIG_SIGNATURE_PRIVATE_KEY": base64.b64encode(bytes(range(32))).decode()}
    house.rotations._keys = KeyFile.of_manager(house.folder / "config-manager.env", env)
    assert house.rotations._keys.current().signing.kid == other.kid

    with pytest.raises(RefusedError, match="environment"):
        await house.rotations.start("signing", by="admin", reason="x")


async def test_a_manager_that_may_change_nothing_rotates_nothing(house):
    house.rotations._gate = lambda: RefusedError("READ_ONLY", "standing by")

    with pytest.raises(RefusedError, match="standing by"):
        await house.rotations.start("hmac", by="admin", reason="x")
    with pytest.raises(RefusedError, match="standing by"):
        await house.rotations.accept_keyset(b"{}", by="admin", reason="x")
    assert house.steps == []


async def test_one_key_that_does_not_go_on_holds_up_no_other(house, monkeypatch):
    async def broken() -> int:
        raise RefusedError("STORAGE_FULL", "no room")

    monkeypatch.setattr(house.commands, "reissue", broken)
    await house.rotations.start("hmac", by="admin", reason="x")
    await house.rotations.start("master", by="admin", reason="x")
    while (await house.rotations.report()).keys[2].state == "in-progress":
        await house.rotations.step()
    report = await house.rotations.report()

    assert (report.keys[1].state, report.keys[1].problem) == ("blocked", "STORAGE_FULL")
    assert report.keys[2].state == "grace"


def test_a_journal_that_cannot_be_read_counts_as_empty(tmp_path):
    (tmp_path / "rotation.json").write_text('{"entries": 7}')

    assert Journal(tmp_path).entry("hmac", "abc") == Entry(key_id="abc")


def test_what_a_journal_knows_of_an_earlier_key_does_not_count_for_this_one(tmp_path):
    journal = Journal(tmp_path)
    journal.put("hmac", Entry(key_id="old", spread=True, grace_until="2026-01-01T00:00:00.000000Z"))

    assert Journal(tmp_path).entry("hmac", "old").spread
    assert not Journal(tmp_path).entry("hmac", "new").spread


@pytest.mark.req("SC034", "C071")
async def test_a_thousand_secrets_are_sealed_anew_within_thirty_seconds(tmp_path):
    models = {f"service-{number}": LLMWorkerConfig for number in range(1000)}
    house = House(tmp_path)
    house.services = {}
    house.commands = Commands(
        Store(tmp_path / "many" / "config.db", models=models), house._signer, models, house.clock,
        gate=lambda: None, wake=lambda: None, status=lambda _service: SyncState(),
    )  # fmt: skip
    house.store = house.commands._store
    house.rotations = KeyRotations(
        house.keyfile, house.folder, house.commands,
        Shelf(house.store, house.clock.wall, lambda: None), house, house.clock,
    )  # fmt: skip
    await house.store.open()
    await house.commands.seed({name: {"api_key": f"{SECRET}-{name}"} for name in models})
    old = house.keyfile.current().master.id
    assert await house.store.read(count_by_key) == {old: 1000}

    began = time.monotonic()
    await house.rotations.start("master", by="admin", reason="a year has passed")
    while await house.rotations.step():
        pass
    took = time.monotonic() - began
    report = await house.rotations.report()
    new = house.keyfile.current().master.id
    counts = await house.store.read(count_by_key)
    unreadable = await house.commands.unreadable_secrets()
    await house.store.close()

    assert (report.keys[2].state, report.keys[2].remaining) == ("grace", 0)
    assert counts == {new: 1000}
    assert unreadable == []
    assert took <= 30.0, f"{took:.1f} s"


@pytest.mark.req("C071", "SC035")
@pytest.mark.parametrize("seed", range(3))
async def test_rotations_one_after_another_under_load_and_kills_refuse_nothing_valid(
    tmp_path, seed
):
    chance = random.Random(seed)
    house = House(tmp_path)
    await house.open()
    killed = 0

    def sometimes(name: str) -> None:
        if chance.random() < 0.1:
            raise Killed(name)

    house._failpoint = sometimes
    house.boot()
    for _ in range(6):
        name = chance.choice(NAMES)
        before = ids(house)[name]
        while ids(house)[name] == before or house.state(await house.rotations.report(), name) != (
            "idle"
        ):
            try:
                await house.rotations.start(name, by="admin", reason="again")
                await house.until_rest(name)
            except Killed:
                killed += 1
                house.boot()
    house._failpoint = lambda _name: None
    house.boot()
    await house.change_something()
    await house.deliver()
    audit = await house.commands.verify_audit()
    await house.store.close()

    assert killed > 0
    assert house.refused == []
    assert house.services["llm-worker"].running["api_key"] == SECRET
    assert audit.ok
