"""The broker is away: at the start, then in the middle of the day. Nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from config_manager.fronts.rest import create_app
from config_manager.service import ConfigManager
from parlour_config.update import read_update
from parlour_testkit import MemoryBroker, memory_service
from router.service import Router
from story_manager import manager, signed_worker, told

ROUTER = "/v1/config/router"


class Rest:
    """Somebody with a token."""

    def __init__(self, service: ConfigManager) -> None:
        self._token = service.manager.users.issue_token("admin")
        self._transport = httpx.ASGITransport(create_app(service.manager))

    async def ask(self, method: str, path: str, config: Any = None) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://test") as client:
            return await client.request(
                method,
                path,
                json=None if config is None else {"config": config},
                headers={"Authorization": f"Bearer {self._token}"},
            )


@pytest.mark.req("F11", "C072", "C076")
async def test_a_change_while_the_broker_is_away_is_accepted_and_reaches_services_after_it(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        rest = Rest(service)
        feed = signed_worker(tmp_path, "router")
        async with memory_service(Router, broker, feed=feed) as router:
            await asyncio.sleep(5)
            broker.stop()
            await asyncio.sleep(5)
            changed = await rest.ask("PATCH", ROUTER, {"history_messages": 7})
            again = await rest.ask("PATCH", ROUTER, {"history_messages": 8})
            await asyncio.sleep(2)
            health = await rest.ask("GET", "/v1/health")
            read = await rest.ask("GET", ROUTER)
            before = router.config.history_messages
            broker.retained.clear()  # it was killed, and had nothing on its disk
            broker.start()
            await asyncio.sleep(15)
            after = router.config.history_messages
            followed = await rest.ask("GET", ROUTER)
            well = await rest.ask("GET", "/v1/health")

    assert (changed.status_code, again.status_code) == (200, 200)
    assert (health.status_code, health.json()["err"][:13]) == (503, "NOT_CONNECTED")
    assert read.json()["config"]["history_messages"] == 8
    assert not read.json()["metadata"]["in_sync"]
    assert (before, after) == (10, 8)
    assert followed.json()["metadata"]["in_sync"]
    assert well.status_code == 200


@pytest.mark.req("F11", "C072")
async def test_a_start_without_a_broker_takes_changes_and_sends_them_when_it_comes(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        pass
    broker.stop()
    bus = broker.client("config-manager.pub")
    bus.lose()
    async with manager(broker, tmp_path, bus=bus, mqtt_acl="none", wait_s=60) as service:
        rest = Rest(service)
        read = await rest.ask("GET", ROUTER)
        health = await rest.ask("GET", "/v1/health")
        changed = await rest.ask("PATCH", ROUTER, {"history_messages": 7})
        broker.start()
        await asyncio.sleep(8)
        sent = read_update(broker.retained["system/config/router"].payload)
        assert told(broker).ok

    assert read.status_code == 200
    assert sent.config["history_messages"] == 7
    assert health.status_code == 503
    assert changed.status_code == 200


@pytest.mark.req("F11")
async def test_a_first_start_without_a_broker_has_settings_and_takes_changes(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    broker.stop()
    bus = broker.client("config-manager.pub")
    bus.lose()
    async with manager(broker, tmp_path, bus=bus, mqtt_acl="none", wait_s=60) as service:
        rest = Rest(service)
        await asyncio.sleep(8)
        changed = await rest.ask("PATCH", ROUTER, {"history_messages": 7})
        broker.start()
        await asyncio.sleep(8)
        sent = read_update(broker.retained["system/config/router"].payload)
        read = await rest.ask("GET", ROUTER)

    assert changed.status_code == 200
    assert sent.config["history_messages"] == 7
    assert read.json()["metadata"]["version"] == 2
