"""What the fleet costs while nobody speaks: CPU of one core, and memory.

    .venv/bin/python bench/idle.py [--data DIR] [--settle 20] [--seconds 60] [--json FILE]

Starts a fleet of its own, waits until it has settled, and takes the CPU time of the whole tree of
processes (supervisor and broker included) over a minute. PSS shares out pages that several
processes hold; RSS counts them in each. Exit 1 when above 2 % of one core or 1 GB of RSS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# Run as a file, only this folder is on the path.
import psutil  # noqa: E402

from bench import machine  # noqa: E402
from bench.parlour_side import Fleet  # noqa: E402
from bench.peers.servers import free_port  # noqa: E402
from bench.scratch import data_of, scratch_data  # noqa: E402

CPU_PERCENT, MEMORY_MB = 2.0, 1024.0


@dataclass(frozen=True)
class Usage:
    """One process: CPU in percent of one core, memory in MB."""

    name: str
    pid: int
    cpu_percent: float
    rss_mb: float
    pss_mb: float


def name_of(process: psutil.Process) -> str:
    """What a person calls it: the module it runs, or its program."""
    words = process.cmdline()
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    for word in words[:2]:
        if not Path(word).name.startswith("python"):
            return Path(word).name
    return process.name()


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def observe(pid: int, seconds: float) -> list[Usage]:
    """The use of a process and all below it, over ``seconds``."""
    root = psutil.Process(pid)
    before = {p: cpu_seconds(p) for p in [root, *root.children(recursive=True)]}
    began = time.monotonic()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    seen = []
    for process in [root, *root.children(recursive=True)]:
        used = cpu_seconds(process) - before.get(process, 0.0)
        memory = process.memory_full_info()
        percent = round(used / passed * 100, 2)
        rss, pss = round(memory.rss / 2**20, 1), round(memory.pss / 2**20, 1)
        seen.append(Usage(name_of(process), process.pid, percent, rss, pss))
    gone = [p.pid for p in before if not p.is_running()]
    if gone:
        raise RuntimeError(f"processes ended while they were observed: {gone}")
    return seen


async def run(arguments: argparse.Namespace) -> int:
    data = data_of(arguments.data)
    with tempfile.TemporaryDirectory(prefix="parlour-idle-") as folder:
        scratch = Path(folder)
        own = scratch_data(data, scratch)
        fleet = Fleet(ROOT / ".venv/bin/parlour", own, free_port(), scratch / "fleet.log")
        try:
            await fleet.start()
            await asyncio.sleep(arguments.settle)
            seen = await observe(fleet.pid, arguments.seconds)
        finally:
            await fleet.stop()
    cpu = round(sum(u.cpu_percent for u in seen), 2)
    rss = round(sum(u.rss_mb for u in seen), 1)
    pss = round(sum(u.pss_mb for u in seen), 1)
    print(f"{'process':<24}     CPU       RSS       PSS")
    for usage in seen:
        print(
            f"{usage.name:<24} {usage.cpu_percent:5.2f} % {usage.rss_mb:6.0f} MB "
            f"{usage.pss_mb:6.0f} MB"
        )
    print(f"{'all':<24} {cpu:5.2f} % {rss:6.0f} MB {pss:6.0f} MB")
    good = cpu <= CPU_PERCENT and rss <= MEMORY_MB
    print(f"{'within' if good else 'ABOVE'} {CPU_PERCENT:g} % of one core and {MEMORY_MB:g} MB")
    if arguments.json:
        about = machine.describe(ROOT) | {
            "seconds": arguments.seconds,
            "settle_s": arguments.settle,
            "parlour": machine.versions(machine.PARLOUR),
        }
        result = {
            "about": about,
            "total": {"cpu_percent": cpu, "rss_mb": rss, "pss_mb": pss},
            "processes": [asdict(usage) for usage in seen],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="data directory that holds the models")
    parser.add_argument("--settle", type=float, default=20.0, help="seconds before it counts")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds that count")
    parser.add_argument("--json", type=Path, help="write the result here")
    # A terminated run stops what it started, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(run(parser.parse_args()))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
