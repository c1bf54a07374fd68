"""A service ends when it is told to start anew, if the order is for this very run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from parlour_config.restart import build_restart
from parlour_config.signing import SigningKey
from parlour_contracts.config import RouterConfig
from parlour_contracts.topics import RESTART
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import house


@asynccontextmanager
async def told(
    broker: MemoryBroker, authority: ConfigAuthority, folder: Path, history: int = 3
) -> AsyncIterator[tuple[str, list[str]]]:
    """The run of a service, and what it did."""
    ended: list[str] = []
    async with house(broker, authority, folder, restart=lambda: ended.append("end")):
        await authority.change("router", RouterConfig(history_messages=history))
        yield authority.reports[-1].boot_id, ended


async def order(authority: ConfigAuthority, payload: bytes, instance: str = "router") -> None:
    await authority.bus.publish(RESTART.topic(instance=instance), payload, qos=1)
    await asyncio.sleep(0.1)


async def test_an_order_for_this_run_ends_it(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with told(broker, authority, tmp_path) as (boot, ended):
        await order(authority, build_restart(authority.key, instance="router", boot_id=boot))

        assert ended == ["end"]


@pytest.mark.threat(2)
async def test_an_order_that_is_repeated_to_the_next_run_does_nothing(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with told(broker, authority, tmp_path) as (first, _):
        pass
    async with told(broker, authority, tmp_path, 4) as (second, ended):
        await order(authority, build_restart(authority.key, instance="router", boot_id=first))

        assert first != second
        assert ended == []


@pytest.mark.threat(1)
async def test_an_order_that_nobody_trusted_signed_or_for_somebody_else_does_nothing(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    stranger = SigningKey(b"\x07" * 32)
    async with told(broker, authority, tmp_path) as (boot, ended):
        for payload in (
            build_restart(stranger, instance="router", boot_id=boot),
            build_restart(authority.key, instance="tts-worker", boot_id=boot),
            b"", b"{}", b"[" * 2_000,
        ):  # fmt: skip
            await order(authority, payload)
        good = build_restart(authority.key, instance="router", boot_id=boot)
        await order(authority, good, instance="router-2")

        assert ended == []


async def test_a_key_that_came_by_keyset_may_give_the_order(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    other = SigningKey(b"\x08" * 32)
    async with told(broker, authority, tmp_path) as (boot, ended):
        await authority.publish_keyset(authority.key, other)
        await asyncio.sleep(2)
        await order(authority, build_restart(other, instance="router", boot_id=boot))

        assert ended == ["end"]
