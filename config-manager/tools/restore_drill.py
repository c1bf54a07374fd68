"""Kill config-manager and Litestream under traffic, restore, and let the fleet go on (test T18).

Behind a real Mosquitto, config-manager, Litestream under its lock and four services run while
people change settings. Again and again both are killed, one soon after the other, in either order;
the replica is restored as ``parlour backup restore`` does; both start on it, in either order. Each
copy must be whole and a beginning of what was lost, the new epoch above all that the broker held,
and every service must run with it and never call it stale.

``python config-manager/tools/restore_drill.py --count 100 --seed 1``; ends with 1 otherwise. With
``--copies`` copies by SQLite stand in for Litestream; with ``--crashes`` config-manager alone is
killed and goes on as well. Where the newest state of a replica is not good and an earlier one was
restored, that is told; it is a problem unless there were such crashes.
"""  # noqa: INP001

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from checker import check_retained, wanted_of
from config_manager.audit import verify
from drill_figures import Figures
from drill_house import House
from parlour_cli.backup.commands import pick
from parlour_cli.backup.fetching import Source
from parlour_cli.backup.litestream import find_litestream
from parlour_cli.backup.places import Places
from parlour_cli.backup.restoring import Restored, put_back
from parlour_config.clock import parse_moment
from parlour_config.errors import SignedConfigError
from parlour_config.update import read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.requests import ConfigApplied
from parlour_contracts.topics import CONFIG, CONFIG_APPLIED, CONFIG_HEALTH
from parlour_kit.errors import ParlourError
from real_fleet import find_mosquitto
from traffic import Log, Reader, Writer, connected, people, quiet, rest, until

PEOPLE = ("ada", "ben", "eva")
PATIENCE_S = 60.0
LOAD_S = (1.0, 4.0)
BETWEEN_S = (0.0, 1.0)
GOOD = ("applied", "pending_restart")


async def run(
    count: int, seed: int, folder: Path, *, litestream: bool = True, crashes: float = 0.0
) -> Figures:
    """Restore so many times.

    Args:
        count: of drills.
        seed: of the moments and of what is asked for.
        folder: of broker, keys, database and replicas.
        litestream: whether Litestream makes the copies; else SQLite does.
        crashes: how often config-manager is killed once more before, while Litestream goes on.
    """
    chance = random.Random(seed)  # noqa: S311  # for moments, not for secrets
    figures, log = Figures(), Log()
    house = House(folder, PEOPLE, litestream=litestream)
    try:
        await house.open()
        options = house.broker.options
        async with (
            connected(options("config-manager-2"), "reader") as bus,
            connected(options("admin"), "admin") as watching,
            people(options, PEOPLE, log, seed) as writers,
        ):
            await until(lambda: log.heard_at > 0, PATIENCE_S)
            config, applied = (Reader(bus, topic.filter()) for topic in (CONFIG, CONFIG_APPLIED))
            health = Reader(watching, CONFIG_HEALTH.topic())
            drill = Drill(house, config, applied, health, log)
            drill.crashes = crashes
            await drill.calm(writers)
            for _ in range(count):
                await drill.once(chance, writers, figures)
                figures.drills += 1
    except (TimeoutError, ParlourError) as error:
        figures.problems.append(f"in drill {figures.drills + 1}: {error or 'it hung'}")
    finally:
        await house.close()
    # What was answered and then lost may be answered again.
    figures.problems += [p for p in log.problems if "twice" not in p and "and then" not in p]
    figures.accepted = len(log.accepted)
    return figures


class Drill:
    """Breaks a house and mends it."""

    def __init__(
        self, house: House, config: Reader, applied: Reader, health: Reader, log: Log
    ) -> None:
        self.crashes = 0.0
        self._house = house
        self._log = log
        self._config = config
        self._applied = applied
        self._health = health
        self._epochs = {house.epoch()}

    async def once(self, chance: random.Random, writers: list[Writer], figures: Figures) -> None:
        """One loss, one restore; raises TimeoutError when the house does not come back."""
        house = self._house
        copied = await self._load(chance, writers)
        killed = await self._kill(chance)
        held = await self._config.retained(lambda found: len(found) >= len(CONFIGS), 5)
        began = time.monotonic()
        done = await asyncio.to_thread(self._restore, copied)
        figures.restore_s.append(time.monotonic() - began)
        lost, late_s = self._compare(done, killed, figures.problems)
        if done.passed_over is not None:
            figures.earlier.append(f"in drill {figures.drills + 1}: {done.passed_over.in_words()}")
            if not self.crashes:
                figures.problems.append(figures.earlier[-1])
        elif copied is None:
            figures.lost.append(lost)
            figures.late_s.append(late_s)
        self._applied.sequence.clear()
        began = time.monotonic()
        await house.start(replica_first=chance.random() < 0.5)
        await self.calm(writers)
        figures.converged_s.append(time.monotonic() - began)
        figures.problems += await self._look(held)

    async def calm(self, writers: list[Writer]) -> None:
        """Return when all is answered, and each service runs with what the database says."""
        end = time.monotonic() + PATIENCE_S
        await rest(writers, PATIENCE_S)
        while problems := await self._unsettled():
            if time.monotonic() > end:
                raise TimeoutError("; ".join(problems))
            await asyncio.sleep(0.05)

    async def _load(self, chance: random.Random, writers: list[Writer]) -> Path | None:
        """Traffic for a while; the copy that was made in its midst, where SQLite makes them."""
        for writer in writers:
            writer.go_on()
        await asyncio.sleep(chance.uniform(*LOAD_S))
        if chance.random() < self.crashes:
            self._house.keeper.kill()
            began = time.monotonic()
            self._house.keeper.start()
            await until(lambda: self._log.heard_at > began, PATIENCE_S)
            await asyncio.sleep(chance.uniform(*LOAD_S))
        copied = None if self._house.litestream else self._house.copy()
        await asyncio.sleep(0 if copied is None else chance.uniform(*LOAD_S))
        return copied

    async def _kill(self, chance: random.Random) -> datetime:
        """Both, in either order; when the first one died."""
        order = [self._house.keeper.kill, self._house.kill_litestream]
        chance.shuffle(order)
        first = datetime.now(UTC)
        order[0]()
        await asyncio.sleep(chance.uniform(*BETWEEN_S))
        order[1]()
        return first

    def _restore(self, copied: Path | None) -> Restored:
        places = Places.of(self._house.keeper.folder)
        source = (
            Source(copied, whole=True)
            if copied is not None
            else pick(places, str(self._house.replicas), None, None)
        )
        return put_back(places, source, at=datetime.now(UTC), say=lambda _: None)

    def _compare(self, done: Restored, killed: datetime, problems: list[str]) -> tuple[int, float]:
        """How much was lost before a moment: changes, and seconds back to the oldest of them."""
        database = self._house.keeper.database
        old = database.with_name(next(name for name in done.aside if name.endswith("Z")))
        with (
            closing(sqlite3.connect(f"file:{database}?immutable=1", uri=True)) as copy,
            closing(sqlite3.connect(old)) as before,
        ):
            report = verify(copy)
            if not report.ok:
                problems.append(f"the audit chain of a copy is broken: {report.problem}")
            for table in ("audit_chain", "service_config_snapshots", "config_history"):
                query = f"SELECT * FROM {table} ORDER BY rowid"  # noqa: S608  # of the three above
                had, has = before.execute(query).fetchall(), copy.execute(query).fetchall()
                both = min(len(had), len(has))
                if had[:both] != has[:both]:
                    problems.append(f"{table} of a copy is no beginning of what was lost")
            problems += self._invented(before, copy)
            newest = copy.execute("SELECT max(changed_at) FROM service_config_snapshots").fetchone()
            missing = [
                parse_moment(at)
                for (at,) in before.execute(
                    "SELECT changed_at FROM service_config_snapshots WHERE changed_at > ? "
                    "ORDER BY changed_at", newest,
                )
            ]  # fmt: skip
        missing = [at for at in missing if at < killed]
        return len(missing), (killed - missing[0]).total_seconds() if missing else 0.0

    def _invented(self, before: sqlite3.Connection, copy: sqlite3.Connection) -> list[str]:
        """What a copy has beyond the database, and somebody was told of.

        A commit on which its writer was killed may reach the copy alone; nobody was told of it.
        """
        query = "SELECT service, version, transaction_id FROM service_config_snapshots"
        more = set(copy.execute(query)) - set(before.execute(query))
        return [
            f"a copy alone has version {version} of {service}, which was answered"
            for service, version, transaction in more
            if (change := self._log.changes.get(transaction or "")) is None
            or change.new_version is not None
        ]

    async def _unsettled(self) -> list[str]:
        """What is not yet as it must be."""
        house = self._house
        house.mend()
        retained = await self._config.retained(lambda found: len(found) >= len(CONFIGS))
        problems = check_retained(house.keeper.database, retained, house.trusted())
        if problems:
            return problems
        epoch = house.epoch()
        told = await self._applied.retained(lambda found: len(found) >= len(house.services))
        for service in house.services:
            payload = told.get(CONFIG_APPLIED.topic(service=service, instance=service))
            said = ConfigApplied.decode(payload) if payload else None
            wanted = (wanted_of(house.keeper.database, service), epoch)
            if said is None or said.status not in GOOD:
                problems.append(f"{service} says {said.status if said else 'nothing'}")
            elif (said.checksum, said.config_epoch) != wanted:
                problems.append(f"{service} runs with something else")
        if house.litestream and not house.replicates():
            problems.append("Litestream does not copy the new epoch")
        if not problems:
            found = await self._health.retained(bool)
            said_of = [ConfigHealthPayload.decode(payload) for payload in found.values()]
            wanted_status = "healthy" if house.litestream else "disabled"
            if [(h.ok, h.litestream_status) for h in said_of] != [(True, wanted_status)]:
                problems.append("config-manager's health does not say that all is well")
        return problems

    async def _look(self, held: dict[str, bytes]) -> list[str]:
        """What is wrong after a restore."""
        house, problems = self._house, []
        epoch, reason, floor = house.lineage()
        if epoch in self._epochs:
            problems.append("the restored database kept its epoch")
        self._epochs.add(epoch)
        if reason not in ("restored", "restored-behind"):
            problems.append(f"the new epoch began because of {reason}")
        now = await self._config.retained(lambda found: len(found) >= len(CONFIGS), 5)
        for topic, payload in held.items():
            before, after = _issued(payload), _issued(now.get(topic, b""))
            if not before < after <= floor:
                problems.append(f"{topic} is not above what it held")
        for topic, payload in self._applied.sequence:
            said = ConfigApplied.decode(payload)
            if said.status not in GOOD:
                problems.append(f"{topic} said {said.status}")
        if Places.of(house.keeper.folder).marker.exists():
            problems.append("the mark of the restore is still there")
        return problems


def _issued(payload: bytes) -> str:
    try:
        return read_update(payload).issued_at
    except SignedConfigError:
        return ""


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Restore the configuration again and again.")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--copies", action="store_true", help="copies by SQLite, no Litestream")
    parser.add_argument("--crashes", type=float, default=0.0, help="share with one more kill")
    given = parser.parse_args()
    if find_mosquitto() is None:
        sys.stderr.write("mosquitto is not installed (apt install mosquitto)\n")
        return 1
    if not given.copies:
        find_litestream()
    quiet()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = asyncio.run(
            run(
                given.count,
                given.seed,
                Path(folder),
                litestream=not given.copies,
                crashes=given.crashes,
            )
        )
        if figures.problems:
            kept = tempfile.mkdtemp(prefix="restore-drill-")
            shutil.copytree(
                folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock")
            )
            sys.stdout.write(f"kept in {kept}\n")
    sys.stdout.write(figures.in_words(time.monotonic() - began))
    return 1 if figures.problems or figures.late else 0


if __name__ == "__main__":
    sys.exit(main())
