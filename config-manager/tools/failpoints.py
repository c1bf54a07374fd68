"""Kill a writer before and after every statement of a change, COMMIT included (test T2).

What ``kill_writes.py`` leaves to chance is tried here one point after another: the change is there
whole or not at all, and repeated under its transaction it is made exactly once. Before each round
the database has another past.

``python config-manager/tools/failpoints.py --count 20``; ends with 1 otherwise.
"""  # noqa: INP001

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from desk import Desk
from kill_writes import SERVICE, look, look_fully, values_of


@dataclass
class Figures:
    """What the deaths brought.

    Attributes:
        points: deaths.
        whole: of them, that left the change in the database.
        problems: what must not happen.
    """

    points: int = 0
    whole: int = 0
    problems: list[str] = field(default_factory=list)


class Dying:
    """A connection whose process dies at a point: an even one before a statement, else after."""

    def __init__(self, db: sqlite3.Connection, at: int) -> None:
        self._db = db
        self._left = at

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Carry a statement out, unless it is time."""
        self._point()
        cursor = self._db.execute(sql, *values)
        self._point()
        return cursor

    def __getattr__(self, name: str) -> Any:
        """Everything else is the connection's."""
        return getattr(self._db, name)

    def _point(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def run(count: int, folder: Path) -> Figures:
    """Go through all points so many times.

    Args:
        count: of rounds.
        folder: where the databases are made; one at a time is kept.
    """
    figures = Figures()
    for past in range(count):
        template = folder / f"past-{past}"
        asyncio.run(_make(template, past))
        at, died = 0, True
        while died and not figures.problems:
            place = folder / f"{past}-{at}"
            shutil.copytree(template, place)
            died = _dies(place, past, at)
            figures.points += died
            problem = _judged(place, past, figures, died=died)
            if problem:
                figures.problems.append(f"point {at} with {past} changes before: {problem}")
            shutil.rmtree(place)
            at += 1
    return figures


def _named(number: int) -> str:
    return f"t-0-{number}"


async def _make(place: Path, past: int) -> None:
    desk = await Desk(place, busy_ms=5000).open()
    for number in range(past):
        transaction = _named(number)
        await desk.ask("patch", SERVICE, config=values_of(transaction), transaction=transaction)
    await desk.close()


def _dies(place: Path, past: int, at: int) -> bool:
    """Let a child make the change and die at the point; False when the change was over before."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_write(place, past, at))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


async def _write(place: Path, past: int, at: int) -> None:
    desk = await Desk(place, busy_ms=5000).open()
    writer = desk.store._writer  # noqa: SLF001
    writer.db = Dying(writer.db, at)  # type: ignore[assignment, arg-type]
    await desk.ask("patch", SERVICE, config=values_of(_named(past)), transaction=_named(past))
    os._exit(0)


def _judged(place: Path, past: int, figures: Figures, *, died: bool) -> str:
    """What is wrong with the database, and with the change when it is asked for once more."""
    known = {_named(number): number + 2 for number in range(past)}
    problem, whole = look(place, known, _named(past))
    if problem:
        return problem
    figures.whole += whole and died
    if not died and not whole:
        return "an accepted change is not there"
    answer = asyncio.run(_again(place, past))
    if (answer.status, answer.duplicate) != ("accepted", whole):
        return f"the repeat was answered with {answer.status}, duplicate: {answer.duplicate}"
    if answer.data["new_version"] != past + 2:
        return "the change was made twice"
    return look(place, {**known, _named(past): past + 2}, None)[0] or look_fully(place)


async def _again(place: Path, past: int) -> Any:
    desk = await Desk(place, busy_ms=5000).open()
    transaction = _named(past)
    answer = await desk.ask(
        "patch", SERVICE, config=values_of(transaction), transaction=transaction
    )
    await desk.close()
    return answer


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Kill a writer at every point of a change.")
    parser.add_argument("--count", type=int, default=20)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = run(given.count, Path(folder))
    sys.stdout.write(
        f"{figures.points} deaths in {time.monotonic() - began:.0f} s, {figures.whole} of them "
        f"left the change whole, the others nothing of it; {len(figures.problems)} problems\n"
    )
    for problem in figures.problems:
        sys.stdout.write(f"  {problem}\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
