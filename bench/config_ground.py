"""A broker with passwords and access list, config-manager and a service, for measuring."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from parlour_cli.broker.choice import Broker, choose_broker
from parlour_cli.broker.running import Access, options_of
from parlour_cli.broker.users import ADMIN, read_password
from parlour_cli.keys.making import ensure_keys
from parlour_cli.up.members import INSTANCES, environment_of
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus

READY_S = 60.0


@dataclass
class Ground:
    """A running broker and the processes beside it; ``pids``: instance → process id."""

    broker: Broker
    data: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process; it ends with the ground."""
        log = (self.data / f"{name}.log").open("ab")
        process = subprocess.Popen(
            command, env=dict(environment or os.environ), stdout=log, stderr=log, cwd=self.data
        )
        log.close()
        self.processes[name] = process
        return process

    def member(self, instance: str, module: str | None = None, **more: str) -> None:
        """Start a process of the fleet as ``parlour up`` would."""
        told = environment_of(instance, self.broker, self.data, os.environ)
        told |= {"LOG_LEVEL": "WARNING", **more}
        name = module or INSTANCES[instance].replace("-", "_")
        self.start(instance, [sys.executable, "-P", "-m", name], told)

    async def connect(self, name: str, user: str = ADMIN) -> MqttBus:
        """A connection as a user of the broker."""
        access = Access(url=self.broker.url, user=user, password=read_password(self.data, user))
        bus = MqttBus.connect_to(options_of(access), name, LoopClock())
        await bus.start()
        async with asyncio.timeout(READY_S):
            await bus.wait_connected()
        return bus

    async def ready(self, bus: MqttBus, *instances: str) -> None:
        """Return when these instances say that they are ready."""
        waiting = set(instances)
        done = asyncio.Event()

        def hear(message: Message) -> None:
            if b'"ok":true' in message.payload:
                waiting.discard(message.topic.rsplit("/", 1)[1])
            if not waiting:
                done.set()

        await bus.subscribe("system/health/+", hear)
        try:
            async with asyncio.timeout(READY_S):
                await done.wait()
        except TimeoutError:
            logs = "\n".join(
                f"--- {p.name}\n{p.read_text()[-1500:]}" for p in self.data.glob("*.log")
            )
            raise SystemExit(
                f"not ready within {READY_S:.0f} s: {sorted(waiting)}\n{logs}"
            ) from None
        await bus.unsubscribe("system/health/+")


@contextmanager
def ground(data: Path) -> Iterator[Ground]:
    """Mosquitto as ``parlour up`` configures it, with keys and users; ended at the end."""
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    ensure_keys(data)
    (data / "config-seed.json").write_text("{}")
    found = Ground(choose_broker("mosquitto", 0, data, INSTANCES), data)
    assert found.broker.command is not None
    found.start("broker", list(found.broker.command))
    try:
        yield found
    finally:
        for process in reversed(list(found.processes.values())):
            process.terminate()
        end = time.monotonic() + 10
        for process in found.processes.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no memory of the process")
