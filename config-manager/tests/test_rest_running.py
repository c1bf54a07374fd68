"""REST on a running config-manager: what is changed there reaches the broker, signed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from config_manager.fronts.rest import create_app
from config_manager.service import ConfigManager
from parlour_config.keyfiles import read_root_key
from parlour_config.keyset import read_keyset, sign_keyset
from parlour_config.update import check_update, read_update
from parlour_contracts.config import CONFIGS
from parlour_contracts.topics import CONFIG, CONFIG_KEYS
from parlour_testkit import MemoryBroker
from running_manager import manager

SECRET = "a-key-of-a-provider"


def client(service: ConfigManager, name: str = "admin") -> httpx.AsyncClient:
    users = service.manager.users
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(service.manager)),
        base_url="http://test",
        headers={"Authorization": f"Bearer {users.issue_token(name)}"},
    )


def signers(broker: MemoryBroker, service: ConfigManager) -> set[str]:
    """The keys under which what is retained now was signed."""
    trusted = service.manager._ground.keys.current().trusted
    retained = [broker.retained[CONFIG.topic(service=name)].payload for name in CONFIGS]
    return {check_update(read_update(payload), trusted) for payload in retained}


async def state_of(api: httpx.AsyncClient, name: str) -> dict:
    report = (await api.get("/v1/keys")).json()
    return next(key for key in report["keys"] if key["name"] == name) | {"draft": report["draft"]}


async def test_a_change_over_rest_is_broadcast_signed(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path) as service, client(service) as api:
        answer = await api.patch(
            "/v1/config/tts-worker?reason=loud", json={"config": {"volume_percent": 40}}
        )
        await asyncio.sleep(2)
        update = read_update(broker.retained[CONFIG.topic(service="tts-worker")].payload)
        health = (await api.get("/v1/health")).json()
        state = (await api.get("/v1/state")).json()
        audit = (await api.get("/v1/audit/verify")).json()

    assert answer.status_code == 200, answer.text
    assert update.config["volume_percent"] == 40
    assert update.config_epoch == health["config_epoch"]
    assert {one["service"] for one in state["services"]} == set(CONFIGS)
    assert audit["ok"]


@pytest.mark.req("C071")
async def test_the_signing_key_rotates_with_a_keyset_signed_by_the_root(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service, client(service) as api:
        before = signers(broker, service)
        begun = (await api.post("/v1/keys/signing/rotate", json={"reason": "six months"})).json()
        root = read_root_key(service._settings.keys / "root.key")
        document = sign_keyset(begun["draft"], [root])
        taken = await api.post("/v1/keysets", content=document)
        await asyncio.sleep(20)
        after = signers(broker, service)
        key = await state_of(api, "signing")
        listed = (await api.get("/v1/keysets")).json()["keysets"]
        retained = read_keyset(broker.retained[CONFIG_KEYS.topic()].payload)

    assert taken.json() == {"keyset_version": 1}
    assert before == {key["previous"][0]}
    assert after == {key["id"]}
    assert key["state"] == "grace"
    assert retained.version == 1
    assert listed == [json.loads(document)]


@pytest.mark.req("C071")
@pytest.mark.parametrize("name", ["hmac", "master"])
async def test_the_other_keys_rotate_by_themselves_and_the_manager_reads_its_own_file(
    broker: MemoryBroker, tmp_path: Path, name: str
) -> None:
    async with manager(broker, tmp_path) as service, client(service) as api:
        version = (await api.get("/v1/config/llm-worker")).json()["metadata"]["version"]
        await api.put("/v1/secrets/llm-worker/api_key", json={"value": SECRET, "version": version})
        begun = await api.post(f"/v1/keys/{name}/rotate", json={"reason": "it is time"})
        await asyncio.sleep(70)
        key = await state_of(api, name)
        seen = await api.post(
            "/v1/secrets/llm-worker/api_key/reveal", json={"reason": "still there?"}
        )
        held = service._lkg.load()

    assert begun.status_code == 202
    assert (key["state"], len(key["previous"])) == ("grace", 1)
    assert seen.json() == {"value": SECRET}
    assert held is not None
    assert set(held.payload) == set(CONFIGS)


async def test_a_stolen_signing_key_is_left_with_a_new_epoch(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service, client(service) as api:
        old_epoch = (await api.get("/v1/health")).json()["config_epoch"]
        (old_key,) = signers(broker, service)
        begun = await api.post(
            "/v1/keys/signing/rotate", json={"reason": "stolen", "compromised": True}
        )
        root = read_root_key(service._settings.keys / "root.key")
        await api.post("/v1/keysets", content=sign_keyset(begun.json()["draft"], [root]))
        await asyncio.sleep(30)
        key = await state_of(api, "signing")
        epochs = {
            read_update(broker.retained[CONFIG.topic(service=name)].payload).config_epoch
            for name in CONFIGS
        }
        after = signers(broker, service)

    assert key["state"] == "idle", key
    assert after == {key["id"]} != {old_key}
    assert old_epoch not in epochs
    assert len(epochs) == 1


async def test_who_may_do_what_is_changed_on_record(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path) as service, client(service) as api:
        await api.put("/v1/users/bob", json={"role": "read"})
        token = (await api.post("/v1/users/bob/token")).json()["token"]
        rows = await service._store.read(
            lambda db: db.execute(
                "SELECT row_json FROM audit_chain WHERE source = 'lifecycle'"
            ).fetchall()
        )
        audit = (await api.get("/v1/audit/verify")).json()
    events = [json.loads(row[0]) for row in rows]

    assert audit["ok"]
    assert {"user-put", "token-issued"} <= {event["event"] for event in events}
    assert not [event for event in events if token in str(event)]
