"""Settings change in two phases."""

from __future__ import annotations

from parlour_contracts.config import RouterConfig
from parlour_kit.switch import switch_of
from parlour_testkit import MemoryBroker, memory_service

from .test_lifecycle import Example


async def test_a_switch_takes_plain_functions_and_coroutines() -> None:
    happened: list[str] = []

    async def later() -> str:
        happened.append("later")
        return "pending_restart"

    plain = switch_of(lambda: happened.append("plain"), lambda: happened.append("discarded"))
    assert await plain.commit() == "applied"
    await plain.discard()
    assert await switch_of(later).commit() == "pending_restart"
    await switch_of(later).discard()

    assert happened == ["plain", "discarded", "later"]


async def test_a_service_without_heavy_parts_has_new_settings_from_the_switch_on(
    broker: MemoryBroker,
) -> None:
    new = RouterConfig(history_messages=3)
    async with memory_service(Example, broker) as service:
        switch = await service.stage(new)
        assert service.config != new
        assert await switch.commit() == "applied"

        assert service.config is new
