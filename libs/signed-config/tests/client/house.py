"""A service that remembers its settings, and the client that brings them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parlour_contracts.config import RouterConfig
from parlour_kit.errors import ParlourError
from parlour_kit.service import Service
from parlour_kit.switch import Switch, switch_of
from parlour_testkit import ConfigAuthority, MemoryBroker
from parlour_testkit.running import running_service


class BrokenError(ParlourError):
    code = "BROKEN"


@dataclass
class Story:
    """What happens to a service, and what is to happen to it."""

    seen: list[tuple[str, int]] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    explode: set[int] = field(default_factory=set)
    cannot_load: bool = False
    stage_s: float = 0.0
    restart: bool = False

    def of(self, what: str) -> list[int]:
        return [value for happened, value in self.seen if happened == what]


class House(Service[RouterConfig]):
    """``history_messages`` stands for all its settings."""

    name = "router"
    config_model = RouterConfig

    def __init__(self, ctx, config, *, story: Story) -> None:
        super().__init__(ctx, config)
        self.story = story

    def note(self, what: str, config: RouterConfig) -> None:
        self.story.seen.append((what, config.history_messages))

    async def load(self) -> None:
        self.note("load", self.config)
        if self.story.cannot_load:
            raise BrokenError("no model")

    async def serve(self) -> None:
        return

    async def stage(self, new: RouterConfig) -> Switch:
        self.note("stage", new)
        await asyncio.sleep(self.story.stage_s)
        if new.history_messages in self.story.refuse:
            raise BrokenError("not with me")
        if new.history_messages in self.story.explode:
            raise RuntimeError("an engine may raise anything")

        async def commit() -> Any:
            self.note("commit", new)
            self.config = new
            return "pending_restart" if self.story.restart else "applied"

        return switch_of(commit)


@asynccontextmanager
async def house(
    broker: MemoryBroker,
    authority: ConfigAuthority,
    folder: Path,
    story: Story | None = None,
    **feed: Any,
) -> AsyncIterator[House]:
    """A running one, with a connection of its own."""
    bus = broker.client("router")
    try:
        async with running_service(
            House, bus, feed=authority.feed(folder, **feed), story=story or Story()
        ) as service:
            assert isinstance(service, House)
            yield service
    finally:
        bus.lose()
        broker.clients.remove(bus) if bus in broker.clients else None
