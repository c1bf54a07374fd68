"""Keeps Home Assistant's topics true: devices and settings, retained, while this process leads.

What was published is compared with what should be there, so a wake costs nothing when nothing
has changed. Everything goes out again after a connect, and the devices when Home Assistant says
that it has started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from parlour_config.errors import StorageError
from parlour_contracts.acl import HOME_ASSISTANT, KEEPER
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.topics import CONFIG_STATE, HOME_ASSISTANT_STATUS
from parlour_kit.bus import Bus, Message
from parlour_kit.clock import Clock
from parlour_kit.errors import BusError, PublishRefusedError, SubscribeRefusedError

from config_manager.errors import StoreError
from config_manager.homeassistant import discovery, memory, settings

LOOK_S = 5.0
"""How often the instances are counted when nobody calls."""

SPACING_S = 0.25
"""Between two rounds, however often somebody calls."""

MAX_INSTANCES = 16
"""Of one service; on a broker without an access list anybody may claim to be one."""

MAX_STATUS_BYTES = 64
Instances = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Fleet:
    """What the bridge asks for.

    Attributes:
        models: service → the model of its settings.
        stored: service → what it should run with, as stored.
        instances: service → instance → seconds between two of its health messages.
        leads: whether this process may publish.
        may_write: whether Home Assistant's account may change settings.
        version: of the software.
    """

    models: Mapping[str, type[ServiceConfigModel]]
    stored: Callable[[], Awaitable[Mapping[str, Mapping[str, Any]]]]
    instances: Callable[[], Instances]
    leads: Callable[[], bool]
    may_write: Callable[[], bool]
    version: str


class HomeAssistantBridge:
    """Runs from :meth:`start` to :meth:`stop`; without a prefix it takes away what there was."""

    def __init__(
        self, bus: Bus, clock: Clock, fleet: Fleet, *, prefix: str | None, file: Path
    ) -> None:
        """Make it.

        Args:
            bus: where to.
            clock: for waits.
            fleet: what there is to show.
            prefix: first level of Home Assistant's topics; None when it is not used.
            file: where the written topics are kept.
        """
        self._bus = bus
        self._clock = clock
        self._fleet = fleet
        self._prefix = prefix
        self._file = file
        self._sent: dict[str, bytes] = {}
        self._states: dict[str, bytes] = {}
        self._written: frozenset[str] | None = None
        self._stale = True
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("parlour.home-assistant")

    async def start(self) -> None:
        """Begin; returns at once."""
        if self._prefix is None:
            if not self._file.exists():
                return
        elif not self._fleet.may_write():
            self._log.warning(
                "Home Assistant may look but change nothing",
                hint=f"parlour users add {HOME_ASSISTANT} --role write",
            )
        self._bus.on_connected(self.connected)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="home-assistant")
        if self._prefix is not None:
            try:
                await self._bus.subscribe(discovery.status_topic(self._prefix), self._status, qos=1)
            except SubscribeRefusedError as error:
                self._refused(error)

    async def stop(self) -> None:
        """Do nothing more; what was published stays, as the settings do."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Settings may have changed."""
        self._stale = True
        self._wake.set()

    def connected(self) -> None:
        """The broker may have lost everything."""
        self._sent.clear()
        self.wake()

    def _status(self, message: Message) -> None:
        """Home Assistant has started: it wants to be told the devices."""
        if len(message.payload) > MAX_STATUS_BYTES:
            return
        try:
            said = HOME_ASSISTANT_STATUS.model.decode(message.payload)
        except ValueError:
            return
        if said.root == "online":
            self._sent = {t: p for t, p in self._sent.items() if t in self._states}
            self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except (BusError, StoreError, StorageError) as error:
                self._log.warning("Home Assistant was not told", code=error.code)
            except Exception as error:  # noqa: BLE001  # the next round tries again
                self._log.error("Home Assistant was not told", kind=type(error).__name__)
                self._log.debug("Home Assistant was not told", exc_info=error)
            await self._clock.sleep(SPACING_S)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def _round(self) -> None:
        if not (self._bus.connected and self._fleet.leads()):
            return
        wanted = await self._wanted() if self._prefix is not None else {}
        await self._forget(frozenset(wanted))
        for topic, payload in wanted.items():
            if self._sent.get(topic) != payload:
                await self._publish(topic, payload)

    async def _wanted(self) -> dict[str, bytes]:
        """Topic → what should lie there."""
        fleet, prefix = self._fleet, self._prefix
        assert prefix is not None
        if self._stale:
            stored = await fleet.stored()
            self._stale = False
            self._states = {
                CONFIG_STATE.topic(service=name): settings.shown(name, model, stored[name]).encode()
                for name, model in fleet.models.items()
                if name in stored
            }
        known = fleet.instances()
        devices = {
            discovery.device_topic(name, prefix): discovery.device(
                name, model, _some(known.get(name, {})), fleet.version
            ).encode()
            for name, model in fleet.models.items()
        }
        keeper = discovery.keeper(fleet.version).encode()
        return {**self._states, discovery.device_topic(KEEPER, prefix): keeper, **devices}

    async def _forget(self, wanted: frozenset[str]) -> None:
        """Empty what is no longer wanted, and keep on record what will be written."""
        if self._written is None:
            self._written = await asyncio.to_thread(memory.written, self._file)
        if wanted == self._written:
            return
        await asyncio.to_thread(memory.remember, self._file, wanted | self._written)
        for topic in sorted(self._written - wanted):
            await self._publish(topic, b"")
            self._sent.pop(topic, None)
        await asyncio.to_thread(memory.remember, self._file, wanted)
        self._written = wanted

    async def _publish(self, topic: str, payload: bytes) -> None:
        try:
            await self._bus.publish(topic, payload, qos=1, retain=True)
        except PublishRefusedError as error:
            self._refused(error)
        self._sent[topic] = payload  # one that was refused is tried again after a connect

    def _refused(self, error: BusError) -> None:
        self._log.warning(
            "the broker does not let config-manager speak with Home Assistant",
            code=error.code,
            hint="render its access list anew, with the prefix in HOME_ASSISTANT_PREFIX",
        )


def _some(instances: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(instances.items())[:MAX_INSTANCES])
