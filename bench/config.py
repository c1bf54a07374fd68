"""How fast a setting is changed, beside a bare message over the same broker in the same run.

    python -m bench.config [--changes 1000] [--json FILE]

Mosquitto, config-manager and a router as ``parlour up`` runs them. One client changes a setting
of the router again and again and waits each time: for ``accepted`` (committed, fsync and all),
then for the router's ``applied`` (verified, in use, last-known-good on disk). Between two changes
it sends one message to itself: what any exchange over this broker costs. Who comes first changes
from round to round. The disk is measured, too: a write and fdatasync beside the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from parlour_contracts.config import RouterConfig
from parlour_kit.bus import Message
from parlour_kit.mqtt_bus import MqttBus

from bench.config_ground import Ground, ground, resident_mb
from bench.machine import describe, load

WARM_UP = 50
PATIENCE_S = 10.0


class Line:
    """One client that asks and waits."""

    def __init__(self, bus: MqttBus, echo: MqttBus) -> None:
        self._bus, self._echo = bus, echo
        self._answers: dict[str, asyncio.Future[tuple[float, dict[str, object]]]] = {}
        self._applied: dict[str, float] = {}
        self._news = asyncio.Event()
        self._back: asyncio.Future[float] | None = None

    async def open(self) -> None:
        """Listen."""
        await self._bus.subscribe("system/config-response/admin/#", self._answer)
        await self._bus.subscribe("system/config-applied/router/router", self._report)
        await self._echo.subscribe("system/selftest/stt-worker", self._echoed)

    def _answer(self, message: Message) -> None:
        now = time.perf_counter()
        answer = json.loads(message.payload)
        waiting = self._answers.pop(answer["transaction"], None)
        if waiting is not None:
            waiting.set_result((now, answer))

    def _report(self, message: Message) -> None:
        now = time.perf_counter()
        report = json.loads(message.payload)
        if report["status"] == "applied" and report["issued_at"]:
            self._applied[report["issued_at"]] = now
            self._news.set()

    def _echoed(self, _message: Message) -> None:
        if self._back is not None and not self._back.done():
            self._back.set_result(time.perf_counter())

    async def change(self, number: int) -> tuple[float, float]:
        """Milliseconds to ``accepted`` and to ``applied``."""
        transaction = f"bench-{number}"
        waiting = asyncio.get_running_loop().create_future()
        self._answers[transaction] = waiting
        body = {"transaction": transaction, "config": {"history_messages": number % 100}}
        began = time.perf_counter()
        sent = asyncio.create_task(
            self._bus.publish(
                "system/config-request/admin/patch/router", json.dumps(body).encode(), qos=1
            )
        )
        async with asyncio.timeout(PATIENCE_S):
            accepted, answer = await waiting
            if answer["status"] != "accepted":
                raise SystemExit(f"refused: {answer}")
            while (applied := self._applied.pop(str(answer["issued_at"]), None)) is None:
                self._news.clear()
                await self._news.wait()
            await sent
        return (accepted - began) * 1e3, (applied - began) * 1e3

    async def bare(self) -> float:
        """Milliseconds of a message to oneself, QoS 1."""
        self._back = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        sent = asyncio.create_task(
            self._echo.publish("system/selftest/stt-worker", b"x" * 120, qos=1)
        )
        async with asyncio.timeout(PATIENCE_S):
            back = await self._back
            await sent
        return (back - began) * 1e3


async def measure(place: Ground, changes: int) -> dict[str, object]:
    """The whole run."""
    bus = await place.connect("bench")
    place.member("config-manager", CONFIG_REQUESTS_PER_S="100000", CONFIG_REQUESTS_AT_ONCE="1000")
    await place.ready(bus, "config-manager")
    place.member("router")
    await place.ready(bus, "router")
    line = Line(bus, await place.connect("bench-echo", "stt-worker"))
    await line.open()
    accepted, applied, bare, disk = [], [], [], []
    for number in range(WARM_UP + changes):
        if number % 2:
            own = await line.bare()
            first, second = await line.change(number)
        else:
            first, second = await line.change(number)
            own = await line.bare()
        if number >= WARM_UP:
            accepted.append(first)
            applied.append(second)
            bare.append(own)
            if number % 10 == 0:
                disk.append(flush(place.data / "disk.probe"))
        if number % 200 == 199:
            print(f"{number + 1} of {WARM_UP + changes}", flush=True)
    fields = len(RouterConfig.model_fields)
    return {
        "changes": changes,
        "settings": fields,
        "accepted_ms": spread(accepted),
        "applied_ms": spread(applied),
        "bare_ms": spread(bare),
        "fdatasync_ms": spread(disk),
        "accepted_over_bare": round(statistics.median(accepted) / statistics.median(bare), 2),
        "applied_over_bare": round(statistics.median(applied) / statistics.median(bare), 2),
        "manager_mib": round(resident_mb(place.processes["config-manager"].pid), 1),
    }


def flush(path: Path) -> float:
    """Milliseconds of a write of 4 KiB and its fdatasync."""
    with path.open("ab") as probe:
        began = time.perf_counter()
        probe.write(bytes(4096))
        probe.flush()
        os.fdatasync(probe.fileno())
        return (time.perf_counter() - began) * 1e3


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile, largest."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, round(share * len(ordered)))], 2)

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": round(ordered[-1], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast a setting is changed.")
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    about = describe(root)
    with tempfile.TemporaryDirectory() as folder, ground(Path(folder) / "data") as place:
        found = asyncio.run(measure(place, given.changes))
    document = {"machine": {**about, "load_after": load()}, "config": found}
    for name, aim in (("accepted_ms", "5, 50"), ("applied_ms", "15, 100"), ("bare_ms", "")):
        row = found[name]
        assert isinstance(row, dict)
        print(f"{name:14} p50 {row['p50']:7.2f}  p99 {row['p99']:7.2f}  max {row['max']:7.2f}"
              + (f"   (aim {aim})" if aim else ""))  # fmt: skip
    print(f"over a bare message: accepted {found['accepted_over_bare']}, "
          f"applied {found['applied_over_bare']}")  # fmt: skip
    if given.json:
        given.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
