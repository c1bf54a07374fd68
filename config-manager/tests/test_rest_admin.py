"""The REST front: secrets, operators and the list of people."""

from __future__ import annotations

import json

import pytest
from config_manager.commands import Caller, RefusedError, SecretChange
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.rest_models import (
    IssuedToken,
    Revealed,
    SecretBody,
)
from parlour_kit.clock import LoopClock
from rest_fakes import bearer

# Secrets.


async def test_a_secret_goes_in_and_never_comes_back(client, front):
    answer = await client.put(
        "/v1/secrets/llm-worker/api_key?reason=new+contract",
        headers=bearer(front, "writer"),
        content=b'{"value":"canary-in-a-mine","version":3}',
    )

    assert answer.status_code == 200
    assert front.commands.secrets == [
        SecretChange(
            Caller("writer", "write"), "llm-worker", "api_key", "canary-in-a-mine", 3,
            transaction=None, reason="new contract",
        ),
    ]  # fmt: skip
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        b'{"value":["canary-in-a-mine"],"version":3}',
        b'{"value":"canary-in-a-mine","version":"x"}',
        b'{"value":"canary-in-a-mine"}',
        b'{"value":"canary-in-a-mine","version":3,"more":"canary-in-a-mine"}',
        b'{"value":"canary-in-a-mine","version":3',
    ],
)
async def test_a_refused_secret_is_in_neither_the_answer_nor_a_log(client, front, content, caplog):
    answer = await client.put(
        "/v1/secrets/llm-worker/api_key", headers=bearer(front), content=content
    )

    assert answer.status_code == 400
    assert "canary" not in answer.text + caplog.text


@pytest.mark.req("C078")
async def test_a_reveal_needs_a_reason_and_is_never_cached(client, front):
    headers = bearer(front)
    path = "/v1/secrets/llm-worker/api_key/reveal"
    without = await client.post(path, headers=headers, content=b"{}")
    answer = await client.post(path, headers=headers, content=b'{"reason":"lost the paper"}')

    assert without.status_code == 400
    assert answer.json() == {"value": "sesame"}
    assert answer.headers["cache-control"] == "no-store"
    assert front.commands.seen == [("admin", "llm-worker", "api_key", "lost the paper")]


async def test_a_sixth_reveal_within_a_minute_is_refused(client, front):
    headers = bearer(front)
    front.limiter = RateLimiter(LoopClock(), per_second=100.0)
    path = "/v1/secrets/llm-worker/api_key/reveal"
    answers = [
        (await client.post(path, headers=headers, content=b'{"reason":"again"}')).status_code
        for _ in range(6)
    ]

    assert answers == [200] * 5 + [429]


async def test_nothing_is_revealed_when_that_cannot_be_recorded(client, front):
    front.commands.error = RefusedError("STORAGE_FULL", "there is no room")
    answer = await client.post(
        "/v1/secrets/llm-worker/api_key/reveal",
        headers=bearer(front),
        content=b'{"reason":"again"}',
    )

    assert answer.status_code == 507
    assert "sesame" not in answer.text


# Operators and users.


async def test_operator_actions_need_a_reason_and_pass_it_on(client, front):
    headers = bearer(front)
    moment = "2026-05-01T00:00:00.000000Z"
    await client.post("/v1/takeover", headers=headers, json={"reason": "restored", "above": moment})
    await client.post("/v1/confirm-floor", headers=headers, json={"reason": "the clock was wrong"})
    refused = await client.post("/v1/takeover", headers=headers, json={})

    assert refused.status_code == 400
    assert front.operator.done == [
        ("takeover", "admin", "restored", moment),
        ("confirm-floor", "admin", "the clock was wrong"),
    ]


@pytest.mark.req("C073")
async def test_a_rebuild_needs_its_own_token_and_is_accepted_for_later(client, front):
    headers = bearer(front)
    body = {"reason": "flipped bytes", "rebuild_token": "the-token"}
    answer = await client.post("/v1/rebuild", headers=headers, json=body)
    refused = await client.post(
        "/v1/rebuild", headers=headers, json={**body, "rebuild_token": "other"}
    )

    assert (answer.status_code, refused.status_code) == (202, 403)
    assert front.operator.done == [("rebuild", "admin", "flipped bytes")]


async def test_health_state_and_audit_are_told(client, front):
    headers = bearer(front, "reader")

    assert (await client.get("/v1/health", headers=headers)).json()["ok"] is True
    assert (await client.get("/v1/state", headers=headers)).json() == {"services": []}
    assert (await client.get("/v1/audit/verify", headers=headers)).json()["rows"] == 3


@pytest.mark.req("C079")
async def test_users_are_made_given_tokens_and_removed(client, front):
    headers = bearer(front)
    made = await client.put("/v1/users/bob", headers=headers, json={"role": "read"})
    issued = await client.post("/v1/users/bob/token", headers=headers)
    token = issued.json()["token"]
    listed = await client.get("/v1/users", headers=headers)

    assert made.json() == {"name": "bob", "role": "read", "has_token": False}
    assert front.operator.done == [("user-put", "admin", "bob"), ("token-issued", "admin", "bob")]
    assert issued.headers["cache-control"] == "no-store"
    assert front.users.by_token(token).name == "bob"
    assert {"name": "bob", "role": "read", "has_token": True} in listed.json()["users"]
    assert token not in listed.text

    removed = await client.delete("/v1/users/bob", headers=headers)

    assert removed.status_code == 200
    assert front.users.by_token(token) is None


async def test_an_administrator_cannot_end_the_own_token_by_mistake(client, front):
    answer = await client.delete("/v1/users/admin/token", headers=bearer(front))

    assert answer.status_code == 400


async def test_a_user_is_not_changed_when_that_cannot_be_recorded(client, front):
    async def full(caller, event, **facts) -> None:
        raise RefusedError("STORAGE_FULL", "there is no room")

    front.operator.record = full
    answer = await client.put("/v1/users/bob", headers=bearer(front), json={"role": "admin"})

    assert answer.status_code == 507
    assert front.users.get("bob") is None


async def test_an_unknown_user_is_not_found(client, front):
    answer = await client.post("/v1/users/nobody/token", headers=bearer(front))

    assert answer.status_code == 404


@pytest.mark.req("F12")
async def test_another_origin_gets_no_leave_to_read(client, front):
    answer = await client.get(
        "/v1/health", headers={**bearer(front), "Origin": "https://evil.example"}
    )
    asked_first = await client.options("/v1/health", headers={"Origin": "https://evil.example"})

    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert asked_first.status_code == 400


def test_no_body_model_shows_a_secret_in_its_text():
    shown = [
        SecretBody(value="canary", version=1),
        Revealed(value="canary"),
        IssuedToken(name="bob", token="canary"),
    ]

    assert "canary" not in repr(shown) + json.dumps([str(model) for model in shown])
