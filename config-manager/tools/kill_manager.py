"""Kill config-manager at any moment while people change settings through a broker (test T3).

The real process behind a real Mosquitto is killed with SIGKILL again and again, sometimes before
it has started. Several people go on asking, each request under its transaction until it is
answered. In the end every accepted change must have been made exactly once and no refused one,
and what the broker retains must be what the database says.

``python config-manager/tools/kill_manager.py --count 100 --seed 1``; ends with 1 otherwise.
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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from checker import check_database, check_retained, check_sequence, waiting_in
from parlour_config.keyfiles import KeyFile
from parlour_config.keyfolder import manager_path
from parlour_contracts.config import CONFIGS
from parlour_contracts.topics import CONFIG
from real_fleet import Keeper, Mosquitto, find_mosquitto
from traffic import Log, Reader, Writer, connected, people, quiet, rest, until

PEOPLE = ("ada", "ben", "eva", "tom")
PATIENCE_S = 60.0
EARLY = 0.25
"""How often it is killed while it starts, without having answered."""


@dataclass
class Figures:
    """What the kills brought.

    Attributes:
        kills: of the process.
        early: of them, before it had answered anything.
        accepted: changes.
        refused: changes, for good.
        repeated: answers that came from the store.
        resent: requests beyond the first of a change.
        answer_s: seconds from each start of the process to the first answer.
        problems: what must not happen.
    """

    kills: int = 0
    early: int = 0
    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    resent: int = 0
    answer_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


async def run(count: int, seed: int, folder: Path) -> Figures:
    """Kill it so many times.

    Args:
        count: of kills.
        seed: of the moments and of what is asked for.
        folder: of broker, keys and database.
    """
    chance = random.Random(seed)  # noqa: S311  # for moments, not for secrets
    figures, log = Figures(), Log()
    broker = Mosquitto(folder / "broker", ("admin", *PEOPLE))
    keeper = Keeper(
        f"mqtt://127.0.0.1:{broker.port}", folder / "manager", folder / "keys", people=PEOPLE
    )
    broker.start()
    try:
        async with connected(broker.options("config-manager-2"), "reader") as bus:
            reader = Reader(bus, CONFIG.filter())
            await reader.listen()
            async with people(broker.options, PEOPLE, log, seed) as writers:
                await _kill(keeper, log, chance, count, figures)
                await _settle(keeper, writers)
            keeper.stop()
            retained = await reader.retained(lambda found: len(found) >= len(CONFIGS), 5)
        keys = KeyFile.of_manager(manager_path(folder / "keys")).current().trusted
        figures.problems += check_database(keeper.database, log)
        figures.problems += check_retained(keeper.database, retained, keys)
        figures.problems += check_sequence(keeper.database, reader.sequence, keys)
    except TimeoutError:
        figures.problems.append("it did not answer within a minute")
    finally:
        keeper.kill()
        broker.kill()
    figures.accepted, figures.refused = len(log.accepted), len(log.refused)
    figures.repeated = log.duplicates
    figures.resent = sum(change.sent - 1 for change in log.changes.values())
    return figures


async def _kill(
    keeper: Keeper, log: Log, chance: random.Random, count: int, figures: Figures
) -> None:
    usual_s = 2.0
    while figures.kills < count:
        began = time.monotonic()
        keeper.start()
        if chance.random() < EARLY:
            figures.early += 1
            await asyncio.sleep(chance.uniform(0, 1.2 * usual_s))
        else:
            await until(partial(_heard, log, began), PATIENCE_S)
            usual_s = log.heard_at - began
            figures.answer_s.append(usual_s)
            await asyncio.sleep(chance.uniform(0, 1.0))
        keeper.kill()
        figures.kills += 1


def _heard(log: Log, since: float) -> bool:
    return log.heard_at > since


async def _settle(keeper: Keeper, writers: list[Writer]) -> None:
    """Let what was begun be answered, and what was accepted go out."""
    keeper.start()
    await rest(writers, PATIENCE_S)
    await until(lambda: waiting_in(keeper.database) == 0, PATIENCE_S)


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Kill config-manager and look for lost changes.")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if find_mosquitto() is None:
        sys.stderr.write("mosquitto is not installed (apt install mosquitto)\n")
        return 1
    quiet()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = asyncio.run(run(given.count, given.seed, Path(folder)))
        if figures.problems:
            kept = tempfile.mkdtemp(prefix="kill-manager-")
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            sys.stdout.write(f"kept in {kept}\n")
    times = sorted(figures.answer_s) or [0.0]
    sys.stdout.write(
        f"{figures.kills} kills ({figures.early} while starting) in "
        f"{time.monotonic() - began:.0f} s: {figures.accepted} changes accepted, "
        f"{figures.refused} refused, {figures.resent} sent again, {figures.repeated} answered "
        f"from the store; first answer {statistics.median(times):.1f} s after a start, at most "
        f"{times[-1]:.1f} s; {len(figures.problems)} problems\n"
    )
    for problem in figures.problems:
        sys.stdout.write(f"  {problem}\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
