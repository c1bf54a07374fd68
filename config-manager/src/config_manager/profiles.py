"""Profiles: settings of several services under one name, set together or not at all (C083).

Secrets are no part of a profile: they are left out when it is kept, and stay as they are when it
is activated. What a profile does not name stays, too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from parlour_config.canonical import canonical
from parlour_config.clock import parse_moment
from parlour_config.errors import RefusedJsonError
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.requests import ConfigRequest
from parlour_contracts.messages.signed import moment_text
from parlour_kit.clock import Clock

from config_manager.audit import Chain
from config_manager.commands import Caller, RefusedError, Request, Signer, SyncState
from config_manager.commands.change import Cause, write
from config_manager.commands.plan import plan
from config_manager.commands.reads import Reads
from config_manager.commands.refusal import Gate, pass_gate, refused_by_store
from config_manager.commands.rules import Rules
from config_manager.errors import StoreError
from config_manager.profile_models import (
    Profile,
    ProfileActivated,
    ProfileBody,
    ProfileInfo,
)
from config_manager.secrets_box import SecretsBox
from config_manager.store import Store, Work
from config_manager.tables import configs, profiles
from config_manager.tables.profiles import ProfileRow

MOST_PROFILES = 100
MOST_SERVICES = 1000

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Profiles:
    """What can be done with profiles.

    Attributes:
        store: the open database.
        signer: the keys of now.
        rules: service → its rules; raises RefusedError for an unknown one.
        clock: wall time for columns.
        gate: why nothing may be changed now, or None.
        wake: called after a commit that left something in the outbox.
    """

    store: Store
    signer: Callable[[], Signer]
    rules: Callable[[str], Rules]
    clock: Clock
    gate: Gate
    wake: Callable[[], None]

    @classmethod
    def of_models(
        cls,
        store: Store,
        signer: Callable[[], Signer],
        models: Mapping[str, type[ServiceConfigModel]],
        clock: Clock,
        *,
        gate: Gate,
        wake: Callable[[], None],
    ) -> Self:
        """With the rules that follow from the services' models."""
        rules = Reads(models, {}, lambda _service: SyncState()).rules
        return cls(store, signer, rules, clock, gate, wake)

    async def listed(self) -> list[ProfileInfo]:
        """Every profile, without contents."""
        return [_info(row) for row in await self._read(profiles.every)]

    async def get(self, name: str) -> Profile:
        """A profile.

        Raises:
            RefusedError: ``UNKNOWN_KEY``.
        """
        return _profile(await self._read(lambda db: _required(db, name)))

    async def put(self, caller: Caller, name: str, body: ProfileBody) -> Profile:
        """Keep the settings in the body, or those of now.

        Raises:
            RefusedError: a setting that could not be activated, or too many profiles.
        """

        def work(db: sqlite3.Connection) -> ProfileRow:
            settings = self._now(db) if body.settings is None else body.settings
            self._check(db, caller, settings)
            if len(profiles.every(db)) >= MOST_PROFILES and profiles.find(db, name) is None:
                raise RefusedError(
                    "VALIDATION_FAILED",
                    f"there are {MOST_PROFILES} profiles already",
                    hint="delete one first",
                )
            now = moment_text(self.clock.wall())
            row = ProfileRow(
                name, body.description, _text(settings), now, caller.user, now, caller.user
            )
            profiles.put(db, row)
            Chain(db).lifecycle("profile-kept", now, caller.user, profile=name)
            return _required(db, name)

        return _profile(await self._change(work))

    async def delete(self, caller: Caller, name: str) -> None:
        """Forget a profile.

        Raises:
            RefusedError: ``UNKNOWN_KEY``.
        """

        def work(db: sqlite3.Connection) -> None:
            if not profiles.remove(db, name):
                raise _unknown(name)
            now = moment_text(self.clock.wall())
            Chain(db).lifecycle("profile-deleted", now, caller.user, profile=name)

        await self._change(work)

    async def activate(self, caller: Caller, name: str, reason: str) -> ProfileActivated:
        """Make a new version of every service of a profile, in one transaction.

        Raises:
            RefusedError: one of them cannot take it; then none has changed.
        """
        signer, now = self.signer(), self.clock.wall()

        def work(db: sqlite3.Connection) -> dict[str, int]:
            row = _required(db, name)
            at = moment_text(now)
            Chain(db).lifecycle("profile-activated", at, caller.user, profile=name, reason=reason)
            versions = {}
            for service, settings in json.loads(row.snapshot_json).items():
                planned, rules = self._planned(db, caller, service, settings, signer)
                cause = Cause(caller.user, "profile", f"profile {name}: {reason}"[:500])
                versions[service], _ = write(db, planned, rules, signer, cause, now)
            return versions

        versions = await self._change(work)
        self.wake()
        return ProfileActivated(versions=versions)

    def _now(self, db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
        """What is set now, without secrets and without what comes from an environment.

        A service that this release no longer has is left out. One service more than a profile
        holds is enough: so many are refused.
        """
        known = {name: rules for name in configs.names(db) if (rules := self._rules_of(name))}
        found = {}
        for row in configs.some(db, list(known)[: MOST_SERVICES + 1]):
            rules, config = known[row.service], row.config
            kept = [key for key in rules.stored if key not in rules.secret]
            found[row.service] = {key: config[key] for key in kept if key in config}
        return found

    def _rules_of(self, service: str) -> Rules | None:
        try:
            return self.rules(service)
        except RefusedError:
            return None

    def _check(self, db: sqlite3.Connection, caller: Caller, settings: Settings) -> None:
        """See that a profile could be activated now."""
        signer = self.signer()
        if not settings or len(settings) > MOST_SERVICES:
            raise RefusedError(
                "VALIDATION_FAILED",
                f"a profile has settings of 1 to {MOST_SERVICES} services",
                hint="name the services that belong together, and their settings",
            )
        for service, values in settings.items():
            secret = sorted(set(values) & self.rules(service).secret)
            if secret:
                raise RefusedError(
                    "VALIDATION_FAILED",
                    f"{service}.{secret[0]} is a secret and no part of a profile",
                    hint="leave it out; a secret stays as it is",
                    key=secret[0],
                )
            self._planned(db, caller, service, values, signer)

    def _planned(
        self, db: sqlite3.Connection, caller: Caller, service: str,
        settings: Mapping[str, Any], signer: Signer,
    ) -> tuple[Any, Rules]:  # fmt: skip
        rules = self.rules(service)
        request = Request(
            caller=caller, op="patch", service=service,
            body=ConfigRequest(config=dict(settings)), body_sha256="", transaction="",
            derived=True, via="rest",
        )  # fmt: skip
        try:
            return plan(db, request, rules, SecretsBox(signer)), rules
        except RefusedError as error:
            raise RefusedError(
                error.answer_code,
                f"{service}: {error}",
                hint=error.hint,
                details=error.details or (),
                key=error.key,
            ) from error

    async def _read(self, work: Work[Any]) -> Any:
        try:
            return await self.store.read(work)
        except StoreError as error:
            raise refused_by_store(error) from error

    async def _change(self, work: Work[Any]) -> Any:
        pass_gate(self.gate)
        try:
            return await self.store.transact(work)
        except StoreError as error:
            raise refused_by_store(error) from error


def _required(db: sqlite3.Connection, name: str) -> ProfileRow:
    row = profiles.find(db, name)
    if row is None:
        raise _unknown(name)
    return row


def _unknown(name: str) -> RefusedError:
    return RefusedError(
        "UNKNOWN_KEY", f"there is no profile {name[:100]!r}", hint="GET /v1/profiles lists them"
    )


def _text(settings: Settings) -> str:
    try:
        return canonical({service: dict(values) for service, values in settings.items()}).decode()
    except RefusedJsonError as error:
        raise RefusedError("VALIDATION_FAILED", str(error)) from error


def _info(row: ProfileRow) -> ProfileInfo:
    return ProfileInfo(
        name=row.name,
        description=row.description,
        services=sorted(json.loads(row.snapshot_json)),
        created_at=parse_moment(row.created_at),
        created_by=row.created_by,
        updated_at=parse_moment(row.updated_at),
        updated_by=row.updated_by,
    )


def _profile(row: ProfileRow) -> Profile:
    return Profile(**_info(row).model_dump(mode="python"), settings=json.loads(row.snapshot_json))
