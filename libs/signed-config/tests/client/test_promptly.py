"""Nothing on the way of settings waits for a clock: figures are the bench's, the order is here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.health import Health
from parlour_kit.clock import LoopClock
from parlour_kit.messenger import Messenger
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import House, Story, house


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.req("SC033", "C085")
async def test_no_timer_stands_between_a_message_and_the_callback(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    told: list[float] = []
    story = Story(Noting(told))
    async with house(broker, authority, tmp_path, story):
        for number in range(1, 20):
            await asyncio.sleep(number * 0.37)  # whatever beat something might have
            before = now()
            await authority.change("router", {"history_messages": number})
            assert told[-1] == before

    assert len(told) == 19


class Noting(list):
    """Notes when something is added to it."""

    def __init__(self, told: list[float]) -> None:
        super().__init__()
        self._told = told

    def append(self, what) -> None:
        super().append(what)
        if what[0] == "commit":
            self._told.append(now())


@pytest.mark.req("SC028", "SC029")
async def test_with_last_known_good_the_library_is_ready_at_once_and_gives_a_typed_object(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
    broker.stop()
    bus = broker.client("router")
    bus.lose()
    messenger = Messenger(bus, "router", LoopClock())
    before = now()

    config, state = await authority.feed(tmp_path)(House, messenger).first()

    assert now() == before
    assert type(config) is RouterConfig
    assert config == RouterConfig(history_messages=7)
    assert state.source == "lkg"
    await messenger.close()


@pytest.mark.req("F4")
async def test_with_nothing_stored_a_service_says_that_it_runs_on_defaults_and_makes_no_file(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path) as service:
        await asyncio.sleep(60)
        told = Health.decode(broker.retained["system/health/router"].payload)

    assert service.config == RouterConfig()
    assert (told.config.source, told.config.checksum) == ("default", None)
    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]
