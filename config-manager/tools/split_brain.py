"""Two config-managers that should be one, in every way that comes to mind (test T10).

Virtual time, two brokers in memory with a bridge between them, a whole manager on each, and on
each a service's door (its rules of trust). The second manager runs on a copy of the first one's
database, on an older copy, or on a new one with the same keys; under the same name or another;
the bridge is whole, cut before it starts, or cut later; people change settings on both sides;
managers crash and come back. Afterwards no service may have changed its epoch more than once,
never may two managers lead for longer than fifteen seconds while they can hear each other, and
nothing may go on swinging.

``python config-manager/tools/split_brain.py --count 200 --seed 1``; ends with 1 otherwise.
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
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parlour_config.keyfiles import KeyFile
from parlour_config.keyfolder import manager_path
from parlour_contracts.topics import CONFIG
from parlour_testkit import MemoryBroker
from parlour_testkit.virtual_time import VirtualTimeLoop
from running_manager import Person, manager
from split_house import MODELS, SERVICES, Door, Life, Node
from traffic import quiet

COPIES = ("copy", "older copy", "new database")
CUTS = ("whole", "cut before", "cut later")
BOTH_S = 15.0
"""Two may lead for so long while they can hear each other."""

STEP_S = 0.5
CALM_S = 75.0
"""Watched after the last disturbance: a lease lives for 30 s, and a claim follows it."""


@dataclass
class Figures:
    """What came of the schedules.

    Attributes:
        schedules: that were played.
        ends: how many of each: the roles of both managers at the end.
        most_flips: of a service's epoch in one schedule.
        longest_s: that two led although they could hear each other.
        problems: what must not happen.
    """

    schedules: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    most_flips: int = 0
    longest_s: float = 0.0
    problems: list[str] = field(default_factory=list)


class Schedule:
    """One of them, from a seed."""

    def __init__(self, seed: int, template: Path, folder: Path, figures: Figures) -> None:
        chance = random.Random(seed)  # noqa: S311  # for moments, not for secrets
        self._chance, self._figures = chance, figures
        self.copy, self.cut = chance.choice(COPIES), chance.choice(CUTS)
        self.same_name = chance.random() < 0.5
        self.name = (
            f"schedule {seed} ({self.copy}, {self.cut}, "
            f"{'the same name' if self.same_name else 'two names'})"
        )
        shutil.copytree(template, folder / "a")
        (folder / "b").mkdir()
        shutil.copytree(template / "keys", folder / "b" / "keys")
        self.nodes = Node(chance.uniform(0, 0.5)), Node(chance.uniform(0, 0.5))
        self.nodes[0].other, self.nodes[1].other = self.nodes[1], self.nodes[0]
        name = "config-manager" if self.same_name else "config-manager-2"
        self.lives = (
            Life(self.nodes[0], folder / "a", "config-manager"),
            Life(self.nodes[1], folder / "b", name),
        )
        keys = KeyFile.of_manager(manager_path(template / "keys")).current().trusted
        self.doors = [Door(service, keys) for _ in self.nodes for service in SERVICES]
        self._both_since: float | None = None

    async def play(self) -> None:
        """Let it happen, then look."""
        await self._begin()
        await self._trouble()
        for node in self.nodes:
            node.heal()
        await self._pass(BOTH_S + 1)
        settled = [door.epoch for door in self.doors]
        for _ in range(3):
            await self._change(self._chance.choice(self.nodes))
            await self._pass(CALM_S / 3)
        self._look(settled)
        for life in self.lives:
            await life.stop()

    async def _begin(self) -> None:
        """The first one leads for a while; then the second one starts on what it has."""
        for node, doors in zip(self.nodes, (self.doors[:2], self.doors[2:]), strict=True):
            for door in doors:
                await node.client("door").subscribe(CONFIG.topic(service=door.service), door.take)
        self.lives[0].start()
        await self._pass(4)
        await self._change(self.nodes[0])
        await self._pass(self._chance.uniform(1, 12))
        if self.copy != "new database":
            self._clone()
        if self.copy == "older copy":
            await self._change(self.nodes[0])
        if self.cut == "cut before":
            self._cut()
        await self._pass(self._chance.uniform(0, 12))
        self.lives[1].start()

    async def _trouble(self) -> None:
        """Changes, a crash and a cut at any moment, while both run."""
        loop, chance = asyncio.get_running_loop(), self._chance
        end = loop.time() + chance.uniform(5, 90)
        cut_at = loop.time() + chance.uniform(0, 40) if self.cut == "cut later" else end
        crash_at = loop.time() + chance.uniform(0, 40) if chance.random() < 0.3 else end
        while (now := loop.time()) < end:
            if now >= cut_at:
                self._cut()
                cut_at = end
            if now >= crash_at:
                crash_at = end
                await self._crash(chance.choice(self.lives))
            if chance.random() < 0.1:
                await self._change(chance.choice(self.nodes))
            await self._pass(chance.uniform(0.1, 3))

    def _look(self, settled: list[str | None]) -> None:
        figures = self._figures
        flips = max(door.flips for door in self.doors)
        figures.most_flips = max(figures.most_flips, flips)
        roles = [life.role.value if life.role else "away" for life in self.lives]
        figures.ends[" and ".join(roles)] += 1
        if flips > 1:
            self._problem(f"a service changed its epoch {flips} times")
        if all(life.leads for life in self.lives):
            self._problem("two lead in the end")
        if settled != [door.epoch for door in self.doors]:
            self._problem("a service changed its epoch long after the bridge was whole")

    def _problem(self, what: str) -> None:
        self._figures.problems.append(f"{self.name}: {what}")

    async def _pass(self, seconds: float) -> None:
        """Let time pass, and watch who leads."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(STEP_S, left))
            hear = all(node.whole for node in self.nodes)
            if not (hear and all(life.leads for life in self.lives)):
                self._both_since = None
                continue
            if self._both_since is None:
                self._both_since = loop.time()
            lasted = loop.time() - self._both_since
            if self._figures.longest_s <= BOTH_S < lasted:
                self._problem(f"two have led for {lasted:.1f} s")
            self._figures.longest_s = max(self._figures.longest_s, lasted)

    def _cut(self) -> None:
        for node in self.nodes:
            node.whole = False

    def _clone(self) -> None:
        first, second = (life.folder / "config-manager" / "config.db" for life in self.lives)
        second.parent.mkdir()
        with closing(sqlite3.connect(first)) as db:
            db.execute("VACUUM INTO ?", (str(second),))
        lkg = first.with_name("config-manager.lkg.json")
        if lkg.exists():
            shutil.copy(lkg, second.parent)

    async def _change(self, node: Node) -> None:
        """Somebody changes something, if anybody is there to take it."""
        person = await Person(node).listen()
        volume = self._chance.randrange(200)
        await person.ask("patch", "tts-worker", {"config": {"volume_percent": volume}}, wait_s=0.5)
        person.bus.kill()

    async def _crash(self, life: Life) -> None:
        await life.crash()
        await self._pass(self._chance.uniform(0, 20))
        life.start()


def run(count: int, seed: int, folder: Path) -> Figures:
    """Play so many.

    Args:
        count: of schedules.
        seed: of the first; each next one has the next.
        folder: for databases; a schedule's is deleted after it.
    """
    figures = Figures()
    template = folder / "template"
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(_make(template))
    for number in range(seed, seed + count):
        place = folder / str(number)
        place.mkdir()
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(_play(number, template, place, figures))
        shutil.rmtree(place)
        figures.schedules += 1
    return figures


async def _make(template: Path) -> None:
    """Keys and a first database once, for all."""
    async with manager(MemoryBroker(), template, models=MODELS):
        pass


async def _play(seed: int, template: Path, place: Path, figures: Figures) -> None:
    def failed(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        figures.problems.append(f"schedule {seed}: {context.get('exception') or context}")

    asyncio.get_running_loop().set_exception_handler(failed)
    await Schedule(seed, template, place, figures).play()


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Let two managers be one, in many ways.")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    quiet()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(given.count, given.seed, Path(folder))
    ends = ", ".join(f"{number} {end}" for end, number in figures.ends.most_common())
    sys.stdout.write(
        f"{figures.schedules} schedules in {time.monotonic() - began:.0f} s: a service changed its "
        f"epoch at most {figures.most_flips} times, two led for at most {figures.longest_s:.1f} s "
        f"while they could hear each other; in the end: {ends}; "
        f"{len(figures.problems)} problems\n"
    )
    for problem in figures.problems:
        sys.stdout.write(f"  {problem}\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
