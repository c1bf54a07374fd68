"""Compares what people were told with the database, and the database with the broker."""  # noqa: INP001

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from config_manager.audit import verify
from parlour_config.canonical import checksum
from parlour_config.errors import SignedConfigError
from parlour_config.signing import TrustedKey
from parlour_config.update import Update, check_update, read_update
from parlour_contracts.topics import CONFIG
from traffic import Change, Log


def read_only(path: Path) -> sqlite3.Connection:
    """The database beside the manager that writes it."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)


def check_database(path: Path, log: Log) -> list[str]:
    """What is wrong in the database of a manager that is stopped.

    Each version must be the one before with exactly one asked change, so that a change that was
    lost, made twice, halved or refused and yet made would show.
    """
    problems = list(log.problems)
    with closing(read_only(path)) as db:
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            problems.append("the database fails its check")
        report = verify(db)
        if not report.ok:
            problems.append(f"the audit chain is broken: {report.problem}")
        if (epochs := db.execute("SELECT count(*) FROM epochs").fetchone()[0]) != 1:
            problems.append(f"there are {epochs} epochs although nobody asked for another")
        made: dict[str, int] = {}
        for (service,) in db.execute("SELECT service FROM service_configs").fetchall():
            problems += _replay(db, service, log.changes, made)
    for change in log.changes.values():
        found = made.get(change.transaction)
        if change.new_version != found:
            problems.append(
                f"{change.transaction} was told {change.new_version or change.error}, "
                f"the database has {found}"
            )
    return problems


def _replay(
    db: sqlite3.Connection, service: str, asked: Mapping[str, Change], made: dict[str, int]
) -> list[str]:
    rows = db.execute(
        "SELECT version, config_json, transaction_id FROM service_config_snapshots "
        "WHERE service = ? ORDER BY version",
        (service,),
    ).fetchall()
    if [row[0] for row in rows] != list(range(1, len(rows) + 1)):
        return [f"the versions of {service} have gaps"]
    problems: list[str] = []
    before: dict[str, object] = json.loads(rows[0][1])
    for version, config_json, transaction in rows[1:]:
        change = asked.get(transaction or "")
        now: dict[str, object] = json.loads(config_json)
        if change is None or change.service != service:
            problems.append(f"version {version} of {service} was asked for by nobody")
        elif transaction in made:
            problems.append(f"{transaction} was made twice")
        elif now != before | change.values:
            problems.append(f"version {version} of {service} is not what {transaction} asked for")
        made[transaction] = version
        before = now
    newest = db.execute(
        "SELECT version, config_json FROM service_configs WHERE service = ?", (service,)
    ).fetchone()
    if newest != rows[-1][:2]:
        problems.append(f"the settings of {service} are not its newest version")
    return problems


def wanted_of(path: Path, service: str) -> str:
    """The checksum of a service's newest settings."""
    with closing(read_only(path)) as db:
        row = db.execute(
            "SELECT config_json FROM service_configs WHERE service = ?", (service,)
        ).fetchone()
    return checksum(json.loads(row[0]))


def waiting_in(path: Path) -> int:
    """How many messages wait in the outbox."""
    with closing(read_only(path)) as db:
        return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])


def check_retained(
    path: Path, retained: Mapping[str, bytes], keys: Sequence[TrustedKey]
) -> list[str]:
    """What of the broker's store is not what the database says; empty when all is."""
    with closing(read_only(path)) as db:
        rows = db.execute("SELECT service, config_json FROM service_configs").fetchall()
        epoch = db.execute("SELECT config_epoch FROM epochs WHERE active = 1").fetchone()[0]
        floor = db.execute("SELECT floor FROM clock_floor").fetchone()[0]
    wanted = {service: checksum(json.loads(config_json)) for service, config_json in rows}
    topics = {CONFIG.topic(service=service): service for service in wanted}
    problems = [f"{topic} holds something" for topic in sorted(retained.keys() - topics.keys())]
    for topic, service in topics.items():
        update = _verified(retained.get(topic, b""), keys)
        if update is None:
            problems.append(f"{topic} holds nothing that verifies")
        elif (update.service, update.config_epoch) != (service, epoch) or update.issued_at > floor:
            problems.append(f"{topic} holds something of another lineage")
        elif update.checksum != wanted[service]:
            problems.append(f"{topic} does not hold the newest settings")
    return problems


def check_sequence(
    path: Path, heard: Iterable[tuple[str, bytes]], keys: Sequence[TrustedKey]
) -> list[str]:
    """What in the messages that came would have made a service go back, or was never accepted."""
    with closing(read_only(path)) as db:
        known = set(db.execute("SELECT service, checksum FROM service_config_snapshots").fetchall())
    problems = []
    last: dict[str, str] = {}
    for topic, payload in heard:
        update = _verified(payload, keys)
        if update is None or (update.service, update.checksum) not in known:
            problems.append(f"{topic} brought something that was never accepted")
        elif update.issued_at < last.get(topic, ""):
            problems.append(f"{topic} went back in time")
        else:
            last[topic] = update.issued_at
    return problems


def _verified(payload: bytes, keys: Sequence[TrustedKey]) -> Update | None:
    try:
        update = read_update(payload)
        check_update(update, keys)
    except SignedConfigError:
        return None
    return update
