"""Throw mutated bytes at every reader of signed bytes: ``fuzz.py --count 200000 --seed 1``.

Each round takes one genuine document, or two, and damages the bytes: flipped bits, swapped
fields, keys twice, other spellings of numbers and base64, other services, old epochs. A reader
may refuse with a code, or accept what says exactly the same as a document that it should take. A
service whose files are damaged must start, on settings that were verified or on defaults. Anything
else counts as a failure, and the program ends with 1: another content accepted, or an exception
that is no refusal.
"""

# ruff: noqa: INP001, S311  # a script beside the package; chance from a seed is the point

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from fuzz_boot import FILES, boots
from fuzz_mutations import MUTATIONS
from fuzz_readers import Target, targets
from parlour_config.errors import SignedConfigError

CHUNK = 5_000
"""Rounds of one seed; the processes take turns with them."""


@dataclass
class Report:
    """What came of the rounds."""

    rounds: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(target: Target, count: int, seed: int) -> Report:
    """Throw so many mutated documents at a reader.

    Args:
        target: the reader.
        count: rounds.
        seed: the same one brings the same rounds.
    """
    chance = random.Random(seed)
    report = Report()
    started = time.perf_counter()
    for _ in range(count):
        _judge(target, mutated(chance, target.documents), report)
    report.rounds = count
    report.seconds = time.perf_counter() - started
    return report


def mutated(chance: random.Random, documents: Sequence[bytes]) -> bytes:
    """A document that was damaged once or twice, perhaps with parts of another."""
    data, other = chance.choice(documents), chance.choice(documents)
    for _ in range(1 if chance.random() < 0.8 else 2):
        data = chance.choice(MUTATIONS)(chance, data, other)
    return data


def _judge(target: Target, data: bytes, report: Report) -> None:
    try:
        content = target.read(data)
    except SignedConfigError as error:
        report.codes[error.code] += 1
    except Exception as error:  # noqa: BLE001  # whatever else comes is what is looked for
        report.codes["CRASH"] += 1
        report.failures.append(f"{type(error).__name__} for {data!r}")
    else:
        good = content in target.allowed
        report.codes["accepted" if good else "ACCEPTED_DIFFERENT"] += 1
        if not good:
            report.failures.append(f"accepted {data!r}")


def shared(name: str, count: int, seed: int, workers: int) -> Report:
    """The same on several processes; the figures do not depend on how many they are."""
    parts = [
        (name, min(CHUNK, count - start), seed * 1_000_003 + start)
        for start in range(0, count, CHUNK)
    ]
    whole = Report()
    started = time.perf_counter()
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for part in pool.map(_part, parts):
            whole.rounds += part.rounds
            whole.codes += part.codes
            whole.failures += part.failures
    whole.seconds = time.perf_counter() - started
    return whole


def _part(part: tuple[str, int, int]) -> Report:
    name, count, seed = part
    if name in FILES:
        with boots() as starts:
            return run(starts[name], count, seed)
    return run(targets()[name], count, seed)


def main() -> int:
    """Run what the command line says; 0 when nothing failed."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of signed bytes.")
    parser.add_argument("--count", type=int, default=200_000, help="rounds for updates")
    parser.add_argument("--seed", type=int, default=1)
    names = [*targets(), *FILES]
    parser.add_argument("--only", choices=names, help="one reader instead of all")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    failed = 0
    for name in names:
        if given.only not in (None, name):
            continue
        part = 1 if name in ("update", given.only) else 300 if name in FILES else 10
        count = max(given.count // part, 1)
        report = shared(name, count, given.seed, given.workers)
        failed += len(report.failures)
        summary = {
            "reader": name,
            "seed": given.seed,
            "rounds": report.rounds,
            "per_second": round(report.rounds / report.seconds),
            "accepted": report.codes["accepted"],
            "accepted_different": report.codes["ACCEPTED_DIFFERENT"],
            "crashes": report.codes["CRASH"],
            "codes": dict(report.codes.most_common()),
        }
        sys.stdout.write(json.dumps(summary) + "\n")
        for failure in report.failures[:5]:
            sys.stdout.write(f"  {failure}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
