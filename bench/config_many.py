"""What ten thousand services cost: sign and publish, reconcile, read, memory.

    python -m bench.config_many [--services 10000] [--json FILE]

Starts of config-manager over one broker. The first has an empty database and an empty broker:
every setting of every service is written, with its history. Then a reader takes all of
``system/config/+``. The second start finds database and broker full, checks every retained message
and has nothing to publish. Then a take-over signs and publishes everything anew under another
epoch; from the first of these messages to the last is what signing and publishing cost. The last
start is beside a broker that lost all it had retained.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
from parlour_cli.broker.address import free_port
from parlour_cli.broker.users import ADMIN
from parlour_cli.keys.places import token_file
from parlour_cli.up.members import environment_of
from parlour_kit.bus import Message
from parlour_kit.mqtt_bus import MqttBus

from bench.config_ground import Ground, ground, resident_mb
from bench.machine import describe, load

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0


async def count(
    bus: MqttBus, wanted: int, *, issued_after: str = "", times: list[float] | None = None
) -> set[str]:
    """Services whose configuration is there, once all are; ``times``: when each one came."""
    seen: set[str] = set()
    done = asyncio.Event()

    def hear(message: Message) -> None:
        if message.payload and json.loads(message.payload)["issued_at"] > issued_after:
            seen.add(message.topic)
            if times is not None:
                times.append(time.perf_counter())
        if len(seen) >= wanted:
            done.set()

    await bus.subscribe("system/config/+", hear)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
    except TimeoutError:
        raise SystemExit(f"only {len(seen)} of {wanted} configurations came") from None
    await bus.unsubscribe("system/config/+")
    return seen


async def issued(bus: MqttBus, topics: set[str]) -> list[str]:
    """When what is retained was issued."""
    found: dict[str, str] = {}
    done = asyncio.Event()

    def hear(message: Message) -> None:
        found[message.topic] = json.loads(message.payload)["issued_at"]
        if len(found) == len(topics):
            done.set()

    await bus.subscribe("system/config/+", hear)
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()
    await bus.unsubscribe("system/config/+")
    return list(found.values())


async def leading(bus: MqttBus) -> None:
    """Return when config-manager says that all is well."""
    done = asyncio.Event()

    def hear(message: Message) -> None:
        if not message.retain and b'"ok":true' in message.payload:
            done.set()

    await bus.subscribe("system/health/config-manager", hear)
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()
    await bus.unsubscribe("system/health/config-manager")


def start(place: Ground, services: int, rest_port: int = 0) -> None:
    """Start config-manager for so many services."""
    told = environment_of("config-manager", place.broker, place.data, os.environ, rest_port)
    told |= {"MANY_SERVICES": str(services), "LOG_LEVEL": "WARNING", "PYTHONPATH": str(ROOT)}
    place.start("config-manager", [sys.executable, "-m", "bench.many"], told)


def stop(place: Ground, name: str = "config-manager") -> None:
    """End a process as SIGTERM does."""
    process = place.processes.pop(name)
    process.terminate()
    process.wait(30)


async def measure(place: Ground, services: int) -> dict[str, float]:
    """The whole run, in seconds and MiB."""
    keeper = await place.connect("reader", "config-manager")
    found: dict[str, float] = {"services": services}
    began = time.perf_counter()
    start(place, services)
    await count(keeper, services)
    found["first_start_s"] = round(time.perf_counter() - began, 2)
    await leading(keeper)
    found["first_start_leading_s"] = round(time.perf_counter() - began, 2)
    found["resident_mib"] = round(resident_mb(place.processes["config-manager"].pid), 1)
    began = time.perf_counter()
    read = await count(keeper, services)
    found["read_all_s"] = round(time.perf_counter() - began, 2)
    found["read"] = len(read)

    stop(place)
    rest_port = free_port()
    began = time.perf_counter()
    start(place, services, rest_port)
    await leading(keeper)
    found["cold_reconcile_s"] = round(time.perf_counter() - began, 2)
    found["resident_after_reconcile_mib"] = round(
        resident_mb(place.processes["config-manager"].pid), 1
    )

    newest = max(await issued(keeper, read))
    token = token_file(place.data, ADMIN).read_text().strip()
    began = time.perf_counter()
    times: list[float] = []
    reading = asyncio.create_task(count(keeper, services, issued_after=newest, times=times))
    await asyncio.to_thread(
        httpx.post,
        f"http://127.0.0.1:{rest_port}/v1/takeover",
        json={"reason": "to measure it"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE_S,
    )
    await reading
    found["take_over_s"] = round(time.perf_counter() - began, 2)
    found["sign_and_publish_s"] = round(times[-1] - times[0], 2)

    stop(place)
    for topic in sorted(read):
        await keeper.publish(topic, b"", qos=1, retain=True)
    began = time.perf_counter()
    start(place, services)
    await count(keeper, services)
    found["republish_s"] = round(time.perf_counter() - began, 2)
    await keeper.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What a great many services cost.")
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    about = describe(ROOT)
    with tempfile.TemporaryDirectory() as folder, ground(Path(folder) / "data") as place:
        found = asyncio.run(measure(place, given.services))
    for name, value in found.items():
        print(f"{name:30} {value}")
    document = {"machine": {**about, "load_after": load()}, "config_many": found}
    if given.json:
        given.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
