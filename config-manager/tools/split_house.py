"""Two brokers with a bridge, the door of a service, and managers that crash: for tests."""  # noqa: INP001

from __future__ import annotations

import asyncio
from pathlib import Path

from config_manager.runtime.leader import Role
from config_manager.service import ConfigManager
from parlour_config.errors import RefusedUpdateError
from parlour_config.signing import TrustedKey
from parlour_config.trust import Accept, TrustedSet
from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_kit.bus import Message
from parlour_testkit import MemoryBroker
from parlour_testkit.memory_bus import MemoryBus
from running_manager import guarded, manager

SERVICES = ("router", "tts-worker")
MODELS: dict[str, type[ServiceConfigModel]] = {name: CONFIGS[name] for name in SERVICES}


class Node(MemoryBroker):
    """One side of a bridge that takes its time, keeps the order, and may be cut."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.whole = True
        self.other: Node | None = None
        self._delay_s = delay_s
        self._due = 0.0
        self._held: list[Message] = []

    def route(self, message: Message, sender: MemoryBus | None = None) -> None:
        """Deliver here, and pass it on."""
        super().route(message, sender)
        if self.whole:
            self._pass_on(message)
        else:
            self._held.append(message)

    def heal(self) -> None:
        """What was held up passes now."""
        self.whole = True
        held, self._held = self._held, []
        for message in held:
            self._pass_on(message)

    def _pass_on(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        self._due = max(loop.time() + self._delay_s, self._due + 1e-4)
        loop.call_at(self._due, self._arrive, message)

    def _arrive(self, message: Message) -> None:
        if self.other is not None:
            MemoryBroker.route(self.other, message)


class Door:
    """What a service's rules of trust make of the messages that come; ``flips``: of its epoch."""

    def __init__(self, service: str, keys: tuple[TrustedKey, ...]) -> None:
        self.service = service
        self.flips = 0
        self._trust = TrustedSet(service, keys)

    @property
    def epoch(self) -> str | None:
        """The one that it is in."""
        return self._trust.state.epoch

    def take(self, message: Message) -> None:
        """Judge a message and follow it, as a service does."""
        try:
            _, verdict = self._trust.verify(message.payload, message.topic)
        except RefusedUpdateError:
            return
        if isinstance(verdict, Accept):
            before = self.epoch
            self._trust.commit(verdict.new_state)
            self.flips += before not in (None, self.epoch)


class Life:
    """A manager that may crash and come back on what it had."""

    def __init__(self, node: Node, folder: Path, instance: str) -> None:
        self.node, self.folder, self.instance = node, folder, instance
        self.service: ConfigManager | None = None
        self._bus: MemoryBus | None = None
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether it would publish."""
        return self.service is not None and self.service.manager.core.leadership.leads

    @property
    def role(self) -> Role | None:
        """What it may do; None while it is away."""
        return self.service.manager.core.leadership.role if self.service else None

    def start(self) -> None:
        """Start; returns at once."""
        self._end.clear()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def crash(self) -> None:
        """Go without a word: the lease stays behind."""
        if self._bus is not None:
            self._bus.lose()
        await self.stop()

    async def stop(self) -> None:
        """End."""
        self._end.set()
        task, self._task = self._task, None
        if task is not None:
            await task

    async def _run(self) -> None:
        self._bus = guarded(self.node, f"{self.instance}.pub")
        try:
            async with manager(
                self.node, self.folder, instance=self.instance, bus=self._bus, models=MODELS,
                wait_s=0,
            ) as self.service:  # fmt: skip
                await self._end.wait()
        finally:
            self.service = None
            self._bus.kill()
