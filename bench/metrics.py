"""What metrics cost a process, beside the same process without them; and how fast they are had.

    python -m bench.metrics [--rounds 5] [--seconds 12] [--rate 200] [--json FILE]

Mosquitto and a router as ``parlour up`` runs them. The router gets so many transcripts a second,
far more than a home makes, and Prometheus' question each 5 s. Then the same router without
metrics and without that question, round after round, and who comes first changes. What counts is
the processor time of the process, which a busy machine changes less than time on the clock; it is
given as percent of one core. The rounds without transcripts show the cost in a quiet home.

At the end every core is kept busy, and the router is asked again and again: how long an answer
takes then (SC108), and how late its event loop is meanwhile (F35).

Exit 1 when metrics cost 1 % of a core or 10 MB, or 1 answer of 100 takes 50 ms (SC106, SC108).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from parlour_cli.up.members import environment_of
from parlour_contracts.messages.turn import Transcript
from parlour_contracts.topics import TRANSCRIPT
from parlour_kit.ids import new_id
from parlour_kit.mqtt_bus import MqttBus

from bench.config_ground import Ground, ground, resident_mb
from bench.machine import cores, describe, load
from bench.peers.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
SCRAPE_S = 5.0
SETTLE_S = 3.0
ASKED, PAUSE_S = 100, 1.05
"""A pause longer than an answer is kept, so that each is written for whoever asks."""

LIMIT_CPU, LIMIT_MB, LIMIT_MS = 1.0, 10.0, 50.0


@dataclass(frozen=True)
class House:
    """Where the router runs, somebody who watches and somebody who is heard."""

    ground: Ground
    watcher: MqttBus
    ears: MqttBus


@dataclass(frozen=True)
class Sample:
    """One run of the router: percent of one core and MB."""

    cpu_percent: float
    rss_mb: float


def scrape(port: int) -> tuple[float, str]:
    """Ask once; milliseconds and the text."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return (time.perf_counter() - began) * 1000, text


async def speak(bus: MqttBus, rate: float) -> None:
    """So many partial transcripts a second, for ever."""
    message = Transcript(kind="partial", turn_id=new_id(), text="turn on the light in the kitchen")
    topic, payload = TRANSCRIPT.topic(site="kitchen"), message.encode()
    due = time.monotonic()
    while True:
        await bus.publish(topic, payload, qos=0)
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def ask_regularly(port: int) -> None:
    """As Prometheus does."""
    while True:
        await asyncio.to_thread(scrape, port)
        await asyncio.sleep(SCRAPE_S)


def cpu_seconds(pid: int) -> float:
    """What its threads have used, from the scheduler's own count: ``times`` ticks in 10 ms."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@contextlib.asynccontextmanager
async def router(house: House, port: int, *, measured: bool) -> AsyncIterator[int]:
    """A router with or without metrics, ready; its process id."""
    environment = environment_of("router", house.ground.broker, house.ground.data, os.environ) | {
        "LOG_LEVEL": "WARNING",
        "PROBE_PORT": str(port),
        "PROMETHEUS_METRICS_ENABLED": str(measured).lower(),
        "PYTHONPATH": str(ROOT),
    }
    module = ["router"] if measured else ["bench.without_metrics", "router"]
    process = house.ground.start("router", [sys.executable, "-P", "-m", *module], environment)
    try:
        await house.ground.ready(house.watcher, "router")
        yield process.pid
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def run(house: House, seconds: float, rate: float, *, measured: bool) -> Sample:
    """One run, from a fresh process on."""
    port = free_port()
    async with router(house, port, measured=measured) as pid:
        tasks = []
        if rate > 0:
            tasks.append(asyncio.create_task(speak(house.ears, rate)))
        if measured:
            tasks.append(asyncio.create_task(ask_regularly(port)))
        await asyncio.sleep(SETTLE_S)
        before, began = cpu_seconds(pid), time.monotonic()
        await asyncio.sleep(seconds)
        used, passed = cpu_seconds(pid) - before, time.monotonic() - began
        resident = resident_mb(pid)
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in done:
            if isinstance(failure, Exception):
                raise failure
    return Sample(used / passed * 100, resident)


async def compare(house: House, rounds: int, seconds: float, rate: float) -> dict[str, Any]:
    """Both sides in turns; medians, and the median of the pairs' differences and ratios."""
    pairs: list[tuple[Sample, Sample]] = []
    for number in range(rounds):
        found = {}
        for measured in (True, False) if number % 2 else (False, True):
            found[measured] = await run(house, seconds, rate, measured=measured)
        pairs.append((found[True], found[False]))
        with_, without = pairs[-1]
        print(
            f"  {rate:4.0f}/s  with {with_.cpu_percent:6.2f} %"
            f"  without {without.cpu_percent:6.2f} %"
        )
    return {
        "messages_per_s": rate,
        "cpu_percent_with": median(w.cpu_percent for w, _ in pairs),
        "cpu_percent_without": median(o.cpu_percent for _, o in pairs),
        "cpu_percent_more": median(w.cpu_percent - o.cpu_percent for w, o in pairs),
        "cpu_ratio": median(w.cpu_percent / max(o.cpu_percent, 0.01) for w, o in pairs),
        "rss_mb_more": median(w.rss_mb - o.rss_mb for w, o in pairs),
        "pairs": [[round(w.cpu_percent, 3), round(o.cpu_percent, 3)] for w, o in pairs],
    }


def median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


@contextlib.contextmanager
def every_core_busy() -> Iterator[None]:
    spinners = [multiprocessing.Process(target=spin, daemon=True) for _ in range(cores())]
    for spinner in spinners:
        spinner.start()
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.join()


async def asked_under_load(house: House, rate: float) -> dict[str, Any]:
    """How long an answer takes while every core is busy, and how late the loop is meanwhile."""
    port = free_port()
    async with router(house, port, measured=True):
        talk = asyncio.create_task(speak(house.ears, rate))
        with every_core_busy():
            await asyncio.sleep(2)
            psutil.cpu_percent()
            took: list[float] = []
            text = ""
            for _ in range(ASKED):
                ms, text = await asyncio.to_thread(scrape, port)
                took.append(ms)
                await asyncio.sleep(PAUSE_S)
            busy = psutil.cpu_percent()
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
    lag = {
        line.split('"')[1]: float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("parlour_event_loop_lag_seconds_bucket")
    }
    ranked = sorted(took)
    return {
        "asked": ASKED,
        "cpu_percent_of_machine": busy,
        "p50_ms": round(statistics.median(took), 2),
        "p99_ms": round(ranked[int(len(ranked) * 0.99) - 1], 2),
        "largest_ms": round(ranked[-1], 2),
        "answer_bytes": len(text),
        "seconds_by_loop_lag_at_most": lag,
    }


async def measure(arguments: argparse.Namespace) -> int:
    about = describe(ROOT)
    with (
        tempfile.TemporaryDirectory(prefix="parlour-metrics-") as folder,
        ground(Path(folder)) as started,
    ):
        watcher = await started.connect("bench-metrics")
        house = House(started, watcher, await started.connect("bench-ears", "stt-worker"))
        busy = await compare(house, arguments.rounds, arguments.seconds, arguments.rate)
        quiet = await compare(house, arguments.rounds, arguments.seconds, 0)
        loaded = await asked_under_load(house, arguments.rate)
        await house.ears.stop()
        await watcher.stop()
    result = {"about": about | {"load_after": load()}, "busy": busy, "quiet": quiet,
              "every_core_busy": loaded}  # fmt: skip
    print(json.dumps({k: v for k, v in result.items() if k != "about"}, indent=1))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    good = (
        busy["cpu_percent_more"] < LIMIT_CPU
        and quiet["cpu_percent_more"] < LIMIT_CPU
        and busy["rss_mb_more"] < LIMIT_MB
        and loaded["p99_ms"] < LIMIT_MS
    )
    print("within" if good else "ABOVE", f"{LIMIT_CPU:g} % of a core, {LIMIT_MB:g} MB, "
          f"{LIMIT_MS:g} ms")  # fmt: skip
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs")
    parser.add_argument("--seconds", type=float, default=12.0, help="seconds that count, each")
    parser.add_argument("--rate", type=float, default=200.0, help="transcripts a second")
    parser.add_argument("--json", type=Path, help="write the result here")
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
