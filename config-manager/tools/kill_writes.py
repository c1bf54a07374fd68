"""Kill a writer at any moment, many times: nothing that was accepted may be lost (test T1).

A forked child changes settings, one full change after another, and tells each accepted one
through a pipe. It is killed with SIGKILL 0 to 6 ms after one of the first of them. Then the
database is looked at: every accepted change is there, whole and once; the one that was under way
is there whole or not at all. The next child repeats it under the same transaction.

``python config-manager/tools/kill_writes.py --count 10000``
"""  # noqa: INP001

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from config_manager.audit import verify
from desk import Desk

SERVICE = "tts-worker"
PER_DATABASE = 250
"""A fresh database after so many kills, so that looking at it does not take ever longer."""

MOST_BEFORE = 4
"""A child is killed after 0 to 3 changes, and so on into the next."""

READY = "ready"


@dataclass
class Figures:
    """What the kills brought.

    Attributes:
        kills: writers killed.
        accepted: changes whose acceptance was seen.
        unseen: changes that were committed although nobody saw them accepted.
        repeated: of those, how many the repeat recognised.
        problems: what must not happen.
    """

    kills: int = 0
    accepted: int = 0
    unseen: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Told:
    """What a child said before it died: transaction → version, and whether it was a repeat."""

    ready: bool = False
    accepted: dict[str, tuple[int, bool]] = field(default_factory=dict)
    begun: str | None = None


def run(count: int, seed: int, folder: Path) -> Figures:
    """Kill so many writers.

    Args:
        count: of kills.
        seed: of the moments.
        folder: where the databases are made; one at a time is kept.
    """
    chance = random.Random(seed)  # noqa: S311  # for moments, not for secrets
    asyncio.run(warm(folder / "warm"))
    figures = Figures()
    while figures.kills < count and not figures.problems:
        place = Path(tempfile.mkdtemp(dir=folder))
        _one_database(place, min(PER_DATABASE, count - figures.kills), chance, figures)
        if not figures.problems:
            shutil.rmtree(place)
    return figures


async def warm(place: Path) -> None:
    """Work out once what every child would work out anew."""
    desk = await Desk(place).open()
    await desk.ask("patch", SERVICE, config=values_of("t-0-0"))
    await desk.close()


def _one_database(place: Path, kills: int, chance: random.Random, figures: Figures) -> None:
    known: dict[str, int] = {}
    open_change: str | None = None
    number = 0
    for turn in range(kills):
        moment = (chance.randrange(MOST_BEFORE), chance.uniform(0, 0.006))
        told = _killed(place, number, open_change, moment)
        figures.kills += 1
        if not told.ready and turn == 0:
            open_change = None
            continue  # it died while it made the database; the next one goes on
        for transaction, (version, duplicate) in told.accepted.items():
            figures.accepted += 1
            figures.repeated += duplicate
            known[transaction] = version
        begun = told.begun or open_change  # one that was not begun again stays open
        open_change = begun if begun not in known else None
        problem, committed = look(place, known, open_change)
        if problem:
            figures.problems.append(f"after kill {figures.kills}: {problem}, see {place}")
            return
        figures.unseen += committed
        number += 1
    problem = look_fully(place)
    if problem:
        figures.problems.append(f"{problem}, see {place}")


def _killed(place: Path, number: int, repeat: str | None, moment: tuple[int, float]) -> _Told:
    """Let a child write, kill it so long after so many changes; what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w", buffering=1) as pipe:
            try:
                asyncio.run(_write(place, number, repeat, pipe))
            finally:
                os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        first = pipe.readline()
        lines: list[str] = []
        changes, after_s = moment
        while first and sum(line.startswith("ok") for line in lines) < changes:
            lines.append(pipe.readline())
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return _read(first, "".join(lines) + pipe.read())


def _read(first: str, rest: str) -> _Told:
    told = _Told(ready=first.strip() == READY)
    for line in rest.splitlines():
        word, *values = line.split(" ")
        if word == "begin":
            told.begun = values[0]
        elif word == "ok" and len(values) == 3:  # a line may be cut off by the kill
            told.accepted[values[0]] = (int(values[1]), values[2] == "True")
    return told


async def _write(place: Path, number: int, repeat: str | None, pipe: TextIO) -> None:
    """Change settings until killed."""
    desk = await Desk(place, busy_ms=5000).open()
    pipe.write(f"{READY}\n")
    if repeat is not None:
        await _change(desk, repeat, pipe)
    step = 0
    while True:
        await _change(desk, f"t-{number}-{step}", pipe)
        step += 1


async def _change(desk: Desk, transaction: str, pipe: TextIO) -> None:
    pipe.write(f"begin {transaction}\n")
    answer = await desk.ask(
        "patch", SERVICE, config=values_of(transaction), transaction=transaction
    )
    version = answer.data["new_version"]
    pipe.write(f"ok {transaction} {version} {answer.duplicate}\n")


def values_of(transaction: str) -> dict[str, Any]:
    """Settings that follow from the id, so that a repeat is the same request."""
    _, number, step = transaction.split("-")
    return {"volume_percent": (int(number) + int(step)) % 200, "threads": int(step) % 64}


def look(place: Path, known: dict[str, int], open_change: str | None) -> tuple[str, bool]:
    """Whether all that must be there is; what is wrong, and whether the open one is there."""
    with closing(sqlite3.connect(place / "config-manager" / "config.db")) as db:
        version, config_json = db.execute(
            "SELECT version, config_json FROM service_configs WHERE service = ?",
            (SERVICE,),
        ).fetchone()
        found = db.execute(
            "SELECT count(*), max(version), count(DISTINCT transaction_id) "
            "FROM service_config_snapshots WHERE service = ?",
            (SERVICE,),
        ).fetchone()
        if found != (version, version, version - 1):
            return "versions are missing or a change was made twice", False
        stored = dict(
            db.execute(
                "SELECT transaction_id, version FROM service_config_snapshots "
                "WHERE service = ? AND transaction_id IS NOT NULL",
                (SERVICE,),
            )
        )
        for transaction, accepted in known.items():
            if stored.get(transaction) != accepted:
                return f"the accepted change {transaction} was lost", False
        if stored.keys() - known.keys() - {open_change}:
            return "there is a change that nobody asked for", False
        half = _half(db, stored, config_json)
        return half, open_change in stored


def _half(db: sqlite3.Connection, stored: dict[str, int], config_json: str) -> str:
    """What of the newest change is missing."""
    answers = dict(db.execute("SELECT transaction_id, answer_json FROM transactions"))
    if answers.keys() != stored.keys():
        return "a change is without its answer, or an answer without its change"
    for transaction, version in stored.items():
        if json.loads(answers[transaction])["data"]["new_version"] != version:
            return "an answer names another version"
    newest = max(stored, key=lambda one: stored[one], default=None)
    payload = json.loads(
        db.execute(
            "SELECT payload FROM outbox WHERE topic = ? ORDER BY id DESC LIMIT 1",
            (f"system/config/{SERVICE}",),
        ).fetchone()[0]
    )
    moment = payload["issued_at"]
    told = json.loads(answers[newest])["issued_at"] if newest is not None else moment
    if moment != told or payload["config"] != json.loads(config_json):
        return "the newest message is not the newest change"
    if db.execute("SELECT floor FROM clock_floor").fetchone()[0] < moment:
        return "the floor is below the newest message"
    items = db.execute("SELECT key, value_json FROM config_items WHERE service = ?", (SERVICE,))
    if {key: json.loads(value) for key, value in items} != json.loads(config_json):
        return "the items are not those of the newest change"
    rows = db.execute(
        "SELECT (SELECT count(*) FROM config_history) + (SELECT count(*) FROM access_log), "
        "(SELECT count(*) FROM audit_chain)"
    ).fetchone()
    return "" if rows[0] == rows[1] else "a row is without its place in the chain"


def look_fully(place: Path) -> str:
    """What the checks of SQLite and of the audit chain say; empty when all is well."""
    with closing(sqlite3.connect(place / "config-manager" / "config.db")) as db:
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            return "the database fails its check"
        report = verify(db)
        return "" if report.ok else f"the audit chain is broken: {report.problem}"


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Kill writers and look for lost changes.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = run(given.count, given.seed, Path(folder))
        if figures.problems:
            shutil.copytree(folder, tempfile.mkdtemp(prefix="kill-writes-"), dirs_exist_ok=True)
    sys.stdout.write(
        f"{figures.kills} kills in {time.monotonic() - began:.0f} s: {figures.accepted} changes "
        f"seen accepted, {figures.unseen} committed unseen, {figures.repeated} of them recognised "
        f"when repeated; {len(figures.problems)} problems\n"
    )
    for problem in figures.problems:
        sys.stdout.write(f"  {problem}\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
