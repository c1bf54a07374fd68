"""config-manager as a process beside a real Mosquitto with its access list, for tests."""  # noqa: INP001

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from parlour_cli.broker.embedded import prepare_embedded
from parlour_cli.broker.mosquitto import find_mosquitto, prepare_mosquitto
from parlour_config.keyfolder import service_path
from parlour_config.users import UsersFile
from parlour_contracts.acl import render_acl
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.topics import CONFIG_HEALTH
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.link import MqttOptions
from parlour_kit.mqtt_bus import MqttBus
from parlour_testkit.brokers import free_port, wait_for_port

PASSWORD = "only-for-tests"  # noqa: S105  # of a broker that lives for one test
INSTANCES = {
    "config-manager": "config-manager",
    "config-manager-2": "config-manager",
    **{service: service for service in CONFIGS},
}
PEOPLE = ("admin",)
PATIENCE_S = 20.0


class Mosquitto:
    """A broker as `parlour up` configures it; may be killed and lose its store."""

    def __init__(self, folder: Path, people: Iterable[str] = PEOPLE) -> None:
        binary = find_mosquitto()
        assert binary is not None
        self.port = free_port()
        self.folder = folder
        names = tuple(people)
        users = dict.fromkeys((*INSTANCES, *names), PASSWORD)
        self._command = prepare_mosquitto(
            binary, folder, self.port, users, render_acl(INSTANCES, names)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def options(self, user: str) -> MqttOptions:
        """How a user reaches it."""
        return MqttOptions("127.0.0.1", self.port, user, PASSWORD)

    def start(self) -> None:
        """Start and wait until it listens."""
        self._process = subprocess.Popen(  # noqa: S603  # a binary of the system, our own file
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port("127.0.0.1", self.port)

    def kill(self, *, forget: bool = False) -> None:
        """Kill it at once; with ``forget`` its store is deleted."""
        self._end(signal.SIGKILL)
        if forget:
            self.forget()

    def stop(self) -> None:
        """As SIGTERM does: it writes its store and ends."""
        self._end(signal.SIGTERM)

    def forget(self) -> None:
        """Delete its store while it is down."""
        for file in (self.folder / "store").glob("*"):
            file.unlink()

    def freeze(self) -> None:
        """It does nothing any more, and its connections stand."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=15)


@contextmanager
def embedded_broker(folder: Path) -> Iterator[int]:
    """The broker that comes with Parlour; its port."""
    port = free_port()
    users = dict.fromkeys((*INSTANCES, *PEOPLE), PASSWORD)
    process = subprocess.Popen(  # noqa: S603  # this interpreter
        prepare_embedded(folder, port, users), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port("127.0.0.1", port)
        yield port
    finally:
        process.kill()
        process.wait()


class Keeper:
    """A config-manager process."""

    def __init__(
        self,
        url: str,
        folder: Path,
        keys: Path,
        instance: str = "config-manager",
        *,
        people: Iterable[str] = (),
        **env: str,
    ) -> None:
        self.folder = folder
        self.instance = instance
        self.rest_port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        users = UsersFile(folder / "users.json")
        users.ensure()
        self.token = users.issue_token("admin")
        for name in people:
            users.put(name, "write")
        self._env = {
            **os.environ,
            "MQTT_URL": url,
            "MQTT_USER": instance,
            "MQTT_PASSWORD": PASSWORD,
            "INSTANCE": instance,
            "DATA_DIR": str(folder),
            "KEYS_DIR": str(keys),
            "USERS_FILE": str(folder / "users.json"),
            "REST_PORT": str(self.rest_port),
            "LOG_FORMAT": "json",
            "CONFIG_REQUESTS_PER_S": "100000",
            "CONFIG_REQUESTS_AT_ONCE": "1000",
            **env,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        """Its database file."""
        return self.folder / "config-manager" / "config.db"

    @property
    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start; returns at once."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # this interpreter
                [sys.executable, "-m", "config_manager"],
                env=self._env, cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """As -9 does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As SIGTERM does; the exit code comes back."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=15)


class Worker:
    """A service as a process, with its own keys."""

    def __init__(self, url: str, folder: Path, keys: Path, service: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._module = service.replace("-", "_")
        self._env = {
            **os.environ,
            "MQTT_URL": url,
            "MQTT_USER": service,
            "MQTT_PASSWORD": PASSWORD,
            "INSTANCE": service,
            "DATA_DIR": str(folder),
            "CONFIG_KEYS_FILE": str(service_path(keys, service)),
            "LOG_FORMAT": "json",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start; returns at once. Its keys must be there."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter
                [sys.executable, "-m", self._module],
                env=self._env, cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip

    def ended(self) -> int | None:
        """The exit code of a process that ended by itself; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def kill(self) -> None:
        """As -9 does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=15)


class Somebody:
    """A client of the broker that remembers what it hears."""

    def __init__(self, bus: MqttBus, name: str) -> None:
        self.bus = bus
        self.name = name
        self.heard: dict[str, bytes] = {}
        self.answers: list[dict[str, Any]] = []
        self._count = 0

    async def listen(self, *filters: str) -> None:
        """Hear these topics; the newest of each is kept."""
        for topic_filter in filters:
            await self.bus.subscribe(topic_filter, self._hear)

    async def ask(
        self, op: str, service: str, body: object = None, *, seconds: float = PATIENCE_S
    ) -> dict[str, Any]:
        """The answer to a request; empty when none came."""
        self._count += 1
        topic = f"system/config-response/{self.name}/n{self._count}"
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def hear(message: Message) -> None:
            if not waiting.done():
                waiting.set_result(json.loads(message.payload))

        await self.bus.subscribe(topic, hear)
        try:
            await self.bus.publish(
                f"system/config-request/{self.name}/{op}/{service}",
                json.dumps(body or {}).encode(),
                qos=1,
                response_topic=topic,
            )
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError:
            return {}
        finally:
            await self.bus.unsubscribe(topic)

    def health(self) -> ConfigHealthPayload | None:
        """config-manager's, as last heard."""
        payload = self.heard.get(CONFIG_HEALTH.topic())
        return ConfigHealthPayload.decode(payload) if payload else None

    def _hear(self, message: Message) -> None:
        self.heard[message.topic] = message.payload


@asynccontextmanager
async def somebody(options: MqttOptions, name: str, client_id: str = "") -> AsyncIterator[Somebody]:
    """A connected client."""
    bus = MqttBus.connect_to(replace(options, receive_maximum=1000), client_id or name, LoopClock())
    await bus.start()
    async with asyncio.timeout(PATIENCE_S):
        await bus.wait_connected()
    try:
        yield Somebody(bus, name)
    finally:
        await bus.stop()


async def until(condition: Any, what: str, seconds: float = PATIENCE_S) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it did not in time.
    """
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"never: {what}"
        await asyncio.sleep(0.05)
