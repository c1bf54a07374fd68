"""A first start gives nobody a way in: there is no token, and no other secret serves as one (F12)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest
from config_manager.fronts.rest import create_app
from parlour_config.keyfolder import manager_path
from parlour_testkit import MemoryBroker
from running_manager import manager

PASSWORD = "the-password-of-the-broker"


@pytest.mark.req("F12", "C079")
async def test_without_tokens_every_request_is_refused_whatever_is_shown(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, mqtt_user="admin", mqtt_password=PASSWORD) as service:
        before = await service._store.read(
            lambda db: db.execute("SELECT config_json FROM service_configs").fetchall()
        )
        users = json.loads((tmp_path / "config-manager" / "users.json").read_text())
        keys = manager_path(tmp_path / "keys").read_text().splitlines()
        shown = [
            None, "", "null", "None", "admin", PASSWORD,
            *(line.partition("=")[2] for line in keys if line and not line.startswith("#")),
        ]  # fmt: skip
        headers = [{"Authorization": f"Bearer {token}"} for token in shown if token is not None]
        basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        headers += [{}, {"Authorization": f"Basic {basic}"}, {"X-API-Token": PASSWORD}]
        codes = set()
        transport = httpx.ASGITransport(create_app(service.manager))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for header in headers:
                for method, path, body in (
                    ("GET", "/v1/config", None),
                    ("PATCH", "/v1/config/tts-worker", {"config": {"volume_percent": 1}}),
                    ("PUT", "/v1/users/eve", {"role": "admin"}),
                    ("POST", "/v1/keys/master/rotate", {"reason": "x"}),
                ):
                    answer = await client.request(method, path, json=body, headers=header)
                    codes.add((answer.status_code, answer.json()["error"]))
        after = await service._store.read(
            lambda db: db.execute("SELECT config_json FROM service_configs").fetchall()
        )

    assert [user["token_sha256"] for user in users] == [None]
    assert codes == {(401, "UNAUTHENTICATED")}
    assert after == before
