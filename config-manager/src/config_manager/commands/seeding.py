"""First rows for every service, and new settings' defaults after an upgrade."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from parlour_config.canonical import canonical
from parlour_config.sealing import UnreadableSecretError, is_sealed
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.validation import validate_config
from parlour_contracts.messages.requests import Problem
from parlour_contracts.messages.signed import moment_text
from parlour_kit.clock import Clock

from config_manager.audit import Chain
from config_manager.commands.change import Cause, Pen, item_row, keep_version, write
from config_manager.commands.issue import BATCH, enqueue, next_moment
from config_manager.commands.model import Signer
from config_manager.commands.plan import Plan
from config_manager.commands.rules import Rules
from config_manager.model_hash import model_hash
from config_manager.secrets_box import SecretsBox
from config_manager.store import Store
from config_manager.tables import configs, epochs, items, schema
from config_manager.tables.access import AccessRow
from config_manager.tables.configs import ConfigRow

SEED = "system:seed"
UPGRADE = "system:upgrade"


@dataclass
class SeedReport:
    """What a start wrote.

    Attributes:
        created: services that got their first row.
        upgraded: services that got or lost settings.
        problems: service and what was wrong with what it was to start with; defaults were
            taken there.
    """

    created: list[str] = field(default_factory=list)
    upgraded: list[str] = field(default_factory=list)
    problems: list[tuple[str, Problem]] = field(default_factory=list)


@dataclass(frozen=True)
class _Seeder:
    """Seeds services within one transaction after another."""

    signer: Signer
    rules: Callable[[str], Rules]
    clock: Clock
    settings: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]
    described: bool
    first_version: int

    def batch(self, db: sqlite3.Connection, services: list[str]) -> SeedReport:
        """Seed some services; the report of this batch."""
        done = SeedReport()
        for service in services:
            row = configs.find(db, service)
            if row is None:
                self._create(db, service, done)
            else:
                self._upgrade(db, row, done)
        return done

    def _create(self, db: sqlite3.Connection, service: str, done: SeedReport) -> None:
        rules, now = self.rules(service), self.clock.wall()
        shown = moment_text(now)
        config, problems = self._first(rules)
        done.problems += [(service, problem) for problem in problems]
        cause = Cause(SEED, "seed", self.reasons.get(service))
        epoch = epochs.active(db).config_epoch
        issued_at = next_moment(db, self.signer, now)
        row = ConfigRow(service, canonical(config).decode(), self.first_version, epoch, shown, SEED)
        configs.insert(db, row)
        keep_version(db, row, config, cause)
        enqueue(db, self.signer, service, config, epoch, issued_at, shown)
        pen = Pen(db, Chain(db), rules, SecretsBox(self.signer), row, cause)
        for key, value in config.items():
            pen.put(key, value)
        pen.chain.access(AccessRow(SEED, "write", service, None, True, "seed", shown))
        done.created.append(service)

    def _first(self, rules: Rules) -> tuple[dict[str, Any], list[Problem]]:
        """The first settings of a service: what it was given where that fits, else defaults."""
        box = SecretsBox(self.signer)
        given = {rules.bare(k): v for k, v in self.settings.get(rules.service, {}).items()}
        problems: list[Problem] = []
        while True:
            clear = {k: self._clear(box, rules, k, v) for k, v in given.items()}
            model, found = validate_config(rules.service, clear, rules.model)
            problems += found
            if model is not None:
                break
            wrong = {problem.key for problem in found} & given.keys()
            given = {k: v for k, v in given.items() if k not in wrong} if wrong else {}
        values = model.model_dump(mode="json")
        return {
            key: box.seal(rules.service, key, values[key])
            if key in rules.secret and values[key] is not None
            else values[key]
            for key in rules.stored
        }, problems

    def _clear(self, box: SecretsBox, rules: Rules, key: str, value: Any) -> Any:
        """A given value; one that is sealed comes from a last-known-good file."""
        if not is_sealed(value):
            return value
        try:
            return box.open(rules.service, key, value)
        except UnreadableSecretError:
            return rules.defaults.get(key)

    def _upgrade(self, db: sqlite3.Connection, row: ConfigRow, done: SeedReport) -> None:
        rules, was = self.rules(row.service), row.config
        if was.keys() != set(rules.stored):
            config = {key: was.get(key, rules.defaults[key]) for key in rules.stored}
            epoch = epochs.active(db).config_epoch
            cause = Cause(UPGRADE, "upgrade", "settings of this release")
            write(db, Plan(row, was, config, epoch), rules, self.signer, cause, self.clock.wall())
            done.upgraded.append(row.service)
        if not self.described:
            for key in rules.stored:
                items.describe(db, item_row(rules, row, key, None))


async def seed(
    store: Store,
    signer: Callable[[], Signer],
    models: Mapping[str, type[ServiceConfigModel]],
    rules: Callable[[str], Rules],
    clock: Clock,
    settings: Mapping[str, Mapping[str, Any]],
    reasons: Mapping[str, str],
    first_version: int = 1,
) -> SeedReport:
    """Seed every service, at most 100 in one transaction, then note the models.

    Raises:
        StoreError: what was committed stays; calling it again goes on from there.
    """
    report = SeedReport()
    for service in settings.keys() - models.keys():
        report.problems.append((service, Problem(key="", problem="there is no such service")))
    current = model_hash(models)
    described = (await store.read(schema.get)).model_hash == current
    services = sorted(models)
    for start in range(0, len(services), BATCH):
        seeder = _Seeder(signer(), rules, clock, settings, reasons, described, first_version)
        done = await store.transact(partial(seeder.batch, services=services[start : start + BATCH]))
        report.created += done.created
        report.upgraded += done.upgraded
        report.problems += done.problems
    now = moment_text(clock.wall())
    if not described:
        await store.transact(lambda db: schema.note_models(db, current, now))
    return report
