"""Many writers change one number at once, each by what it read: no update may be lost (test T15).

``python config-manager/tools/lost_updates.py --count 10000``
"""  # noqa: INP001

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from desk import Desk
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.fields import setting

WRITERS = 16
SERVICE = "counter"


class Counter(ServiceConfigModel):
    """One number that everybody counts up."""

    value: int = setting(0, "Value", "How often it was counted.", ge=0)


@dataclass
class Figures:
    """What the writers brought.

    Attributes:
        sets: requests.
        accepted: of them.
        conflicts: of them.
        value: of the number at the end.
        versions: row versions above the first.
        problems: what must not happen.
    """

    sets: int = 0
    accepted: int = 0
    conflicts: int = 0
    value: int = 0
    versions: int = 0
    problems: list[str] = field(default_factory=list)


async def run(count: int, folder: Path) -> Figures:
    """Send so many sets from 16 writers."""
    desk = await Desk(folder, models={SERVICE: Counter}, busy_ms=5000).open()
    figures, numbers, seen = Figures(), itertools.count(), set[int]()
    await asyncio.gather(
        *(_writer(desk, f"writer-{n}", count, numbers, figures, seen) for n in range(WRITERS))
    )
    figures.value = (await desk.config(SERVICE))["value"]
    figures.versions = await desk.version(SERVICE) - 1
    report = await desk.commands.verify_audit()
    await desk.close()
    if figures.versions != figures.accepted:
        figures.problems.append("there are not as many versions as accepted sets")
    if figures.value != figures.accepted:
        figures.problems.append("an update was lost")
    if len(seen) != figures.accepted:
        figures.problems.append("two sets got the same version")
    if not report.ok:
        figures.problems.append(f"the audit chain is broken: {report.problem}")
    return figures


async def _writer(
    desk: Desk, name: str, count: int, numbers: Iterator[int], figures: Figures, seen: set[int]
) -> None:
    """Count up: read, add one, write if nobody was faster."""
    while next(numbers) < count:
        read = await desk.ask("get", SERVICE, user=name, role="write")
        answer = await desk.ask(
            "set", SERVICE, user=name,
            config={"value": read.data["config"]["value"] + 1},
            version=read.data["metadata"]["version"],
        )  # fmt: skip
        figures.sets += 1
        if answer.status == "accepted":
            figures.accepted += 1
            seen.add(answer.data["new_version"])
        elif answer.error == "VERSION_CONFLICT":
            figures.conflicts += 1
        else:
            figures.problems.append(f"a set was answered with {answer.error}")


def main() -> int:
    """The command line; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description="Let many writers count and look for lost ones.")
    parser.add_argument("--count", type=int, default=10_000)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(given.count, Path(folder)))
    sys.stdout.write(
        f"{WRITERS} writers, {figures.sets} sets in {time.monotonic() - began:.0f} s: "
        f"{figures.accepted} accepted, {figures.conflicts} conflicts; the number is "
        f"{figures.value} after {figures.versions} versions; {len(figures.problems)} problems\n"
    )
    for problem in figures.problems:
        sys.stdout.write(f"  {problem}\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
