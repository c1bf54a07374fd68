"""A person's connection to the running fleet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from parlour_kit.clock import LoopClock
from parlour_kit.ids import new_id
from parlour_kit.messenger import Messenger
from parlour_kit.mqtt_bus import MqttBus

from parlour_cli.broker.running import mqtt_options
from parlour_cli.broker.users import ADMIN
from parlour_cli.talk.errors import UnreachableError

CONNECT_S = 6.0


@asynccontextmanager
async def connected(data_dir: Path, user: str = ADMIN) -> AsyncIterator[Messenger]:
    """A messenger that is connected, until the block ends.

    Args:
        data_dir: where the running fleet tells its address and keeps the passwords.
        user: the broker's user to speak as.

    Raises:
        UnreachableError: no broker lets this user in.
        NotRunningError: no fleet runs on this data directory.
        UnknownUserError: its broker has no such user.
    """
    # Nobody takes up a command's session again: the broker need not keep it.
    options = replace(mqtt_options(data_dir, user), session_expiry_s=0)
    name = f"cli-{new_id()[-12:]}"
    clock = LoopClock()
    bus = MqttBus.connect_to(options, name, clock)
    messenger = Messenger(bus, name, clock)
    await bus.start()
    try:
        try:
            async with asyncio.timeout(CONNECT_S):
                await bus.wait_connected()
        except TimeoutError:
            raise UnreachableError(f"no broker answers at {options.host}:{options.port}") from None
        yield messenger
    finally:
        await messenger.close()
        await bus.stop()
