"""Whoever is refused stands in the log under one of S4's events, and nothing of what was sent."""

from __future__ import annotations

import json

import pytest
from config_manager.commands import Caller, Request, body_digest
from config_manager.fronts.refusals import RefusalLog
from desk import Desk
from parlour_contracts.messages.requests import ConfigRequest
from parlour_kit.clock import LoopClock
from rest_fakes import bearer
from structlog.testing import capture_logs

CANARY = "nobody-may-see-this"


@pytest.mark.req("D005", "D010")
async def test_a_wrong_token_is_an_auth_failure(client, front):
    with capture_logs() as logs:
        answer = await client.get("/v1/config", headers={"Authorization": f"Bearer {CANARY}"})

    assert answer.status_code == 401
    found = [e for e in logs if e.get("event_type") == "auth_failure"]
    assert [(e["log_level"], e["user_id"], e["status_code"]) for e in found] == [
        ("warning", "anonymous", 401)
    ]
    assert CANARY not in json.dumps(logs)


@pytest.mark.req("D006", "D011")
async def test_a_missing_right_is_an_authz_failure_with_who_and_what(client, front):
    front.users.put("alice", "read")
    with capture_logs() as logs:
        answer = await client.patch(
            "/v1/config/router", headers=bearer(front, "alice"), json={"config": {}}
        )

    assert answer.status_code == 403
    found = [e for e in logs if e.get("event_type") == "authz_failure"]
    assert [(e["log_level"], e["user_id"], e["resource_id"]) for e in found] == [
        ("warning", "alice", "router")
    ]


@pytest.mark.req("D008", "D010")
async def test_a_value_that_is_not_allowed_is_a_validation_error_without_the_value(desk: Desk):
    body = ConfigRequest.model_validate({"config": {"speed": CANARY}})
    request = Request(
        caller=Caller("admin", "admin"), op="patch", service="tts-worker", body=body,
        body_sha256=body_digest("patch", "tts-worker", body), transaction="one", derived=False,
        via="mqtt",
    )  # fmt: skip
    with capture_logs() as logs:
        answer = await desk.commands.execute(request)

    assert answer.error == "VALIDATION_FAILED"
    found = [e for e in logs if e.get("event_type") == "validation_error"]
    assert [(e["log_level"], e["code"], e["op"]) for e in found] == [
        ("warning", "VALIDATION_FAILED", "patch")
    ]
    assert CANARY not in json.dumps(logs, default=str)


async def test_a_flood_of_refusals_is_a_line_each_second_with_their_number():
    async def write(_row: object) -> None:
        return

    refusals = RefusalLog(LoopClock(), write)
    with capture_logs() as logs:
        for _ in range(500):
            await refusals.note("mallory", "router", "FORBIDDEN")
        await refusals.close()

    assert [e["count"] for e in logs] == [1, 499]
