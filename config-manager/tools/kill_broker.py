"""Kill, end or freeze the broker while people change settings (test T8).

Mosquitto dies by SIGKILL or SIGTERM, with its store kept or deleted, or stands still for a while,
again and again, under traffic, with a real config-manager and a real router beside it. After each
time the broker must soon hold what the database says and the router run with it; in the end no
accepted change may be lost.

``python config-manager/tools/kill_broker.py --count 50 --seed 1``; ends with 1 otherwise.
"""  # noqa: INP001

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from checker import check_database, check_retained, waiting_in, wanted_of
from parlour_config.keyfiles import KeyFile
from parlour_config.keyfolder import manager_path
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.requests import ConfigApplied
from parlour_contracts.topics import CONFIG, CONFIG_APPLIED
from real_fleet import Keeper, Mosquitto, Worker, find_mosquitto
from traffic import Log, Reader, Writer, connected, people, quiet, rest, until

PEOPLE = ("ada", "ben", "eva")
FAULTS = ("kill", "kill and forget", "end", "end and forget", "freeze")
PATIENCE_S = 60.0
CALM_S = (5.5, 8.0)
"""Traffic between two faults. A connection that stood for five seconds is tried again soon; after
shorter ones the waits grow, up to thirty seconds, and that would be what is measured."""

DOWN_S = (0.0, 2.0)
GOAL_S = 10.0


@dataclass
class Figures:
    """What the faults brought.

    Attributes:
        faults: how often each came.
        accepted: changes.
        refused: changes, for good.
        resent: requests beyond the first of a change.
        converged_s: seconds from each time that the broker was up again until it held what the
            database says, the router ran with it, and everybody was answered.
        problems: what must not happen.
    """

    faults: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    resent: int = 0
    converged_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class House:
    """Broker, config-manager, router, and readers of what the broker retains."""

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys"
        self.broker = Mosquitto(folder / "broker", ("admin", *PEOPLE))
        url = f"mqtt://127.0.0.1:{self.broker.port}"
        self.keeper = Keeper(url, folder / "manager", self.keys, people=PEOPLE)
        self.router = Worker(url, folder / "router", self.keys, "router")

    async def start(self) -> None:
        """Everything runs when this returns, except that the router may still be starting."""
        self.broker.start()
        self.keeper.start()
        await until(self.keeper.database.exists, PATIENCE_S)
        await until((self.keys / "router").exists, PATIENCE_S)
        self.router.start()

    def end(self) -> None:
        """Whatever still runs."""
        self.broker.thaw()
        for one in (self.router, self.keeper, self.broker):
            one.kill()

    async def converged(self, config: Reader, applied: Reader) -> list[str]:
        """What is not yet as it must be."""
        keys = KeyFile.of_manager(manager_path(self.keys)).current().trusted
        retained = await config.retained(lambda found: len(found) >= len(CONFIGS))
        problems = check_retained(self.keeper.database, retained, keys)
        if problems:
            return problems
        wanted = wanted_of(self.keeper.database, "router")
        topic = CONFIG_APPLIED.topic(service="router", instance="router")
        payload = (await applied.retained(lambda found: topic in found)).get(topic)
        said = ConfigApplied.decode(payload) if payload else None
        if said is None or (said.checksum, said.status) != (wanted, "applied"):
            return [f"the router runs with something else: {said}"]
        return []


async def run(
    count: int,
    seed: int,
    folder: Path,
    *,
    freeze_s: tuple[float, float],
    faults: tuple[str, ...] = FAULTS,
) -> Figures:
    """Let so many faults happen.

    Args:
        count: of faults.
        seed: of their kinds and moments, and of what is asked for.
        folder: of broker, keys and database.
        freeze_s: how long the broker stands still, between these.
        faults: their kinds; each comes once before any comes again.
    """
    chance = random.Random(seed)  # noqa: S311  # for moments, not for secrets
    figures, log, house = Figures(), Log(), House(folder)
    try:
        await house.start()
        options = house.broker.options
        async with (
            connected(options("config-manager-2"), "reader") as bus,
            people(options, PEOPLE, log, seed) as writers,
        ):
            readers = Reader(bus, CONFIG.filter()), Reader(bus, CONFIG_APPLIED.filter())
            await until(lambda: log.heard_at > 0, PATIENCE_S)
            await _calm(house, writers, readers)
            for number in range(count):
                if number % len(faults) == 0:
                    order = chance.sample(faults, len(faults))
                for writer in writers:
                    writer.go_on()
                await asyncio.sleep(chance.uniform(*CALM_S))
                fault = order[number % len(faults)]
                await _fault(house.broker, fault, chance, freeze_s)
                figures.converged_s.append(await _calm(house, writers, readers))
                figures.faults[fault] += 1
            await until(lambda: waiting_in(house.keeper.database) == 0, PATIENCE_S)
            house.keeper.stop()
            figures.problems += await house.converged(*readers)
        figures.problems += check_database(house.keeper.database, log)
    except TimeoutError as error:
        figures.problems.append(f"it did not come back within a minute: {error}")
    finally:
        house.end()
    figures.accepted, figures.refused = len(log.accepted), len(log.refused)
    figures.resent = sum(change.sent - 1 for change in log.changes.values())
    return figures


async def _fault(
    broker: Mosquitto, fault: str, chance: random.Random, freeze_s: tuple[float, float]
) -> None:
    """Let it happen; the broker is up again when this returns."""
    if fault == "freeze":
        broker.freeze()
        await asyncio.sleep(chance.uniform(*freeze_s))
        broker.thaw()
        return
    if fault.startswith("kill"):
        broker.kill()
    else:
        await asyncio.to_thread(broker.stop)
    if fault.endswith("forget"):
        broker.forget()
    await asyncio.sleep(chance.uniform(*DOWN_S))
    await asyncio.to_thread(broker.start)


async def _calm(house: House, writers: list[Writer], readers: tuple[Reader, Reader]) -> float:
    """Seconds until all is answered and in line; raises TimeoutError naming what is not."""
    began = time.monotonic()
    await rest(writers, PATIENCE_S)
    while problems := await house.converged(*readers):
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError("; ".join(problems))
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Kill the broker and look for lost changes.")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--freeze", type=float, default=20.0, help="longest standstill, seconds")
    given = parser.parse_args()
    if find_mosquitto() is None:
        sys.stderr.write("mosquitto is not installed (apt install mosquitto)\n")
        return 1
    quiet()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        freeze_s = (min(2.0, given.freeze), given.freeze)
        figures = asyncio.run(run(given.count, given.seed, Path(folder), freeze_s=freeze_s))
        if figures.problems:
            kept = tempfile.mkdtemp(prefix="kill-broker-")
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            sys.stdout.write(f"kept in {kept}\n")
    times = sorted(figures.converged_s) or [0.0]
    late = sum(seconds > GOAL_S for seconds in times)
    sys.stdout.write(
        f"{figures.faults.total()} faults in {time.monotonic() - began:.0f} s "
        f"({', '.join(f'{n} {kind}' for kind, n in sorted(figures.faults.items()))}): "
        f"{figures.accepted} changes accepted, {figures.refused} refused, {figures.resent} sent "
        f"again; all in line {statistics.median(times):.1f} s after the broker was up, at most "
        f"{times[-1]:.1f} s, {late} later than {GOAL_S:.0f} s; {len(figures.problems)} problems\n"
    )
    for problem in figures.problems:
        sys.stdout.write(f"  {problem}\n")
    return 1 if figures.problems or late else 0


if __name__ == "__main__":
    sys.exit(main())
