"""Keys change without a restart: through keysets, one step at a time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from parlour_config.signing import SigningKey
from parlour_contracts.messages.requests import ConfigRequest
from parlour_contracts.topics import CONFIG_KEYS
from parlour_testkit import ConfigAuthority, MemoryBroker

from .house import house

NEW = SigningKey(b"n" * 32)
ASK = "system/config-request/router/keyset/_all"
ANSWER = "system/config-response/router/keyset/_all/accepted"


@pytest.mark.req("C071")
async def test_a_new_signing_key_is_trusted_when_a_keyset_names_it(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    old = authority.key
    async with house(broker, authority, tmp_path):
        await authority.change("router", {"history_messages": 7})
        await authority.publish_keyset(old, NEW)
        await authority.until(lambda r: r.keyset_version == 1)
        authority.key = NEW
        await authority.change("router", {"history_messages": 8})

        await authority.publish_keyset(NEW, revoked=[old.kid])
        await authority.until(lambda r: r.keyset_version == 2)
        authority.key = old
        await authority.publish("router", {"history_messages": 9})
        await authority.until(lambda r: r.error == "BAD_SIGNATURE")


async def test_an_accepted_keyset_outlives_the_process(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    async with house(broker, authority, tmp_path):
        await authority.publish_keyset(NEW)
        await authority.until(lambda r: r.keyset_version == 1)
    broker.retained.clear()
    held = authority.keys("router")
    authority.key = NEW

    async with house(broker, authority, tmp_path, keys=lambda: held) as service:
        await authority.change("router", {"history_messages": 7})
        assert service.config.history_messages == 7


async def test_a_message_that_no_key_fitted_is_looked_at_again_when_the_keyset_comes(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    held = authority.keys("router")
    old, authority.key = authority.key, NEW
    async with house(broker, authority, tmp_path, keys=lambda: held):
        payload = await authority.publish("router", {"history_messages": 7})
        await authority.until(lambda r: r.error == "BAD_SIGNATURE")
        await authority.publish_keyset(old, NEW)

        await authority.applied(payload)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_missed_keysets_are_asked_for_and_taken_in_order(
    wrapped: bool, broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    asked: list[ConfigRequest] = []
    await authority.bus.subscribe(ASK, lambda m: asked.append(ConfigRequest.decode(m.payload)))
    async with house(broker, authority, tmp_path):
        await authority.publish_keyset()
        await authority.until(lambda r: r.keyset_version == 1)
        missed = [json.loads(authority.keyset()) for _ in range(3)]
        await authority.publish_keyset(authority.key, NEW)
        await asyncio.sleep(1)
        assert [request.after for request in asked] == [1]

        latest = json.loads(broker.retained[CONFIG_KEYS.topic()].payload)
        documents = [latest, *missed]
        data = {"keysets": documents} if wrapped else documents
        await authority.bus.publish(ANSWER, json.dumps({"data": data}).encode(), qos=1)
        await authority.until(lambda r: r.keyset_version == 5)


async def test_a_keyset_that_the_roots_did_not_sign_changes_nothing(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    held = authority.keys("router")
    authority.roots = (SigningKey(b"x" * 32),)
    async with house(broker, authority, tmp_path, keys=lambda: held):
        await authority.publish_keyset(NEW)
        report = await authority.change("router", {"history_messages": 7})

    assert report.keyset_version == 0


@pytest.mark.threat(14, 15)
async def test_a_floor_under_a_stolen_key_is_dropped_once(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    """Threat 15: a thief has moved the floor to the end of time."""
    stolen, normal = authority.key, authority.floor
    async with house(broker, authority, tmp_path):
        authority.floor = "9999-12-31T00:00:00.000000Z"
        await authority.change("router", {"history_messages": 7})
        authority.key, authority.floor = NEW, normal
        authority.epoch = "7d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a"
        await authority.publish_keyset(NEW, revoked=[stolen.kid], reset_floor_for=[stolen.kid])
        await authority.until(lambda r: r.keyset_version == 1)

        await authority.change("router", {"history_messages": 8})

    async with house(broker, authority, tmp_path) as service:
        assert service.config.history_messages == 8


async def test_without_root_keys_keysets_are_ignored(
    broker: MemoryBroker, authority: ConfigAuthority, tmp_path: Path
) -> None:
    held = replace(authority.keys("router"), root_keys=())
    async with house(broker, authority, tmp_path, keys=lambda: held):
        await authority.publish_keyset(NEW)
        report = await authority.change("router", {"history_messages": 7})

    assert report.keyset_version == 0
