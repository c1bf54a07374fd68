"""Does what the policy says: starts children, hears their health, ends them in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from parlour_contracts.topics import CONFIG_HEALTH, HEALTH
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.errors import BusError
from parlour_kit.mqtt_bus import MqttBus

from parlour_cli.broker.address import wait_listening
from parlour_cli.broker.choice import Broker
from parlour_cli.broker.running import options_of
from parlour_cli.up.console import Console
from parlour_cli.up.members import (
    BROKER,
    MEMBERS,
    command_of,
    environment_of,
    read_report,
)
from parlour_cli.up.policy import (
    Action,
    End,
    Fleet,
    FleetReady,
    NotReady,
    Report,
    Say,
    Start,
)
from parlour_cli.up.process import Child

TERMINATE_S = 6.0
"""What the processes get after SIGTERM; the broker gets :data:`BROKER_S` after them."""

BROKER_S = 2.0
BROKER_PATIENCE_S = 15.0
_BUSY_TICK_S = 0.1
_IDLE_TICK_S = 2.0
STARTER_HINT = "parlour models pull --starter"


class Supervisor:
    """Runs one fleet until it is told to stop."""

    def __init__(
        self,
        broker: Broker,
        data_dir: Path,
        console: Console,
        on_broker: Callable[[], None],
        begin: float | None = None,
        rest_port: int = 0,
        probe_ports: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._probe_ports = probe_ports
        self._rest_port = rest_port
        self._broker = broker
        self._data_dir = data_dir
        self._console = console
        self._on_broker = on_broker
        self._clock = LoopClock()
        # A start that took a while before the loop ran (looking at models) counts, too.
        self._offset = 0.0 if begin is None else time.monotonic() - begin
        self._fleet = Fleet(MEMBERS, self._clock.monotonic() - self._offset)
        self._children: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._code = 0
        self._bus = MqttBus.connect_to(
            options_of(broker.admin), f"parlour-up-{os.getpid()}", self._clock
        )

    async def run(self) -> int:
        """Run the fleet; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        for topic in (HEALTH, CONFIG_HEALTH):
            await self._bus.subscribe(topic.filter(), self._hear)
        try:
            await self._follow()
        finally:
            await self._end_all()
        return self._code

    async def _follow(self) -> None:
        while not self._stop.is_set():
            self._do(self._fleet.tick(self._now()))
            self._wake.clear()
            wait = _BUSY_TICK_S if self._fleet.busy else _IDLE_TICK_S
            if not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()

    def _now(self) -> float:
        return self._clock.monotonic()

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        else:
            self._console.say("stopping")
        self._stop.set()
        self._wake.set()

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start(name):
                    self._spawn(self._run_member(name))
                case Say(text, level):
                    self._console.say(text, level)
                case FleetReady(seconds):
                    self._console.ready(f"ready in {seconds:.1f} s at {self._broker.url}")
                case NotReady(problems):
                    for name, report in problems:
                        self._complain(name, report)
                case End(code):
                    self._code = code
                    self._stop.set()
        self._wake.set()

    def _complain(self, name: str, report: Report) -> None:
        self._console.say(f"not ready: {name}: {report.problem}", "error")
        hint = report.hint
        if report.code.startswith("MODEL_"):
            data = shlex.quote(str(self._data_dir))
            command = hint if hint.startswith("parlour models pull") else STARTER_HINT
            hint = f"{command} --data {data}, then start parlour up again"
        if hint:
            self._console.say(f"  hint: {hint}", "error")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_member(self, name: str) -> None:
        if name == BROKER and self._broker.command is None:
            await self._greet_broker()
            return
        command = list(self._broker.command or ()) if name == BROKER else command_of(name)
        environment = (
            dict(os.environ)
            if name == BROKER
            else environment_of(
                name,
                self._broker,
                self._data_dir,
                os.environ,
                self._rest_port,
                self._probe_ports.get(name, 0),
            )
        )
        try:
            child = await Child.start(
                command,
                environment,
                self._data_dir,
                lambda text: self._console.line(name, text),
                self._broker.death_signal if name == BROKER else signal.SIGKILL,
            )
        except OSError as error:
            self._console.say(f"{name} cannot be started: {error.strerror}", "error")
            self._do(self._fleet.exited(name, 1, self._now()))
            return
        self._children[name] = child
        if self._stop.is_set():
            child.kill()  # it came too late to be asked
        if name == BROKER:
            self._spawn(self._greet_broker())
        code = await child.wait()
        self._children.pop(name, None)
        if not self._stop.is_set():
            self._do(self._fleet.exited(name, code, self._now()))

    async def _greet_broker(self) -> None:
        """Connect as admin; then the broker is ready."""
        broker = self._broker
        try:
            async with asyncio.timeout(BROKER_PATIENCE_S):
                await wait_listening(broker.host, broker.port)
                if self._bus.connections == 0:
                    await self._bus.start()
                    await self._bus.wait_connected()
        except TimeoutError:
            self._console.say(f"the broker at {broker.url} does not answer or refuses us", "error")
            self._do([End(1)])
            return
        self._on_broker()
        self._do(self._fleet.heard(BROKER, Report(ready=True), self._now()))

    def _hear(self, message: Message) -> None:
        found = read_report(message)
        if found is not None and not self._stop.is_set():
            self._do(self._fleet.heard(*found, self._now()))

    async def _end_all(self) -> None:
        """SIGTERM, then SIGKILL: first the processes, then the broker that they say goodbye to."""
        self._stop.set()
        with contextlib.suppress(BusError, OSError):
            await self._bus.stop()
        workers = [name for name in self._children if name != BROKER]
        await self._end(workers, TERMINATE_S)
        await self._end([BROKER], BROKER_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end(self, names: list[str], patience_s: float) -> None:
        children = {name: self._children[name] for name in names if name in self._children}
        for child in children.values():
            child.terminate()
        gone = asyncio.gather(*(child.wait() for child in children.values()))
        hurry = asyncio.create_task(self._hurry.wait())
        hurry.add_done_callback(lambda _: gone.cancel())
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(gone, patience_s)
        hurry.cancel()
        for name, child in children.items():
            if child.running:
                self._console.say(f"{name} did not end in time and was killed", "warning")
                child.kill()
        await asyncio.gather(*(child.wait() for child in children.values()))
