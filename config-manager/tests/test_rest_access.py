"""The REST front: who gets in, and how much they may ask."""

from __future__ import annotations

import pytest
from rest_fakes import bearer

# Who gets in.


async def test_a_probe_needs_no_token_and_learns_nothing(client):
    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.req("C079", "F12", "C080")
@pytest.mark.parametrize(
    "header", [None, "Bearer ", "Bearer wrong", "Basic YWRtaW46", "wrong", "Bearer " + "x" * 5000]
)
async def test_a_request_without_a_valid_token_is_unauthenticated(client, front, header):
    headers = {"Authorization": header} if header else {}
    answer = await client.get("/v1/config", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert front.commands.asked == []
    assert front.rows == [("anonymous", None, "UNAUTHENTICATED", 1)]


@pytest.mark.req("C079")
async def test_a_token_in_the_url_counts_for_nothing(client, front):
    token = front.users.issue_token("admin")

    assert (await client.get(f"/v1/config?token={token}&access_token={token}")).status_code == 401


@pytest.mark.req("C078", "SC042")
@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/v1/config", "read"),
        ("GET", "/v1/config/tts-worker", "read"),
        ("GET", "/v1/config/tts-worker/history", "read"),
        ("GET", "/v1/config/tts-worker/fields", "read"),
        ("GET", "/v1/health", "read"),
        ("GET", "/v1/state", "read"),
        ("GET", "/v1/keysets", "read"),
        ("PUT", "/v1/config/tts-worker", "write"),
        ("PATCH", "/v1/config/tts-worker", "write"),
        ("POST", "/v1/config/tts-worker/reset", "write"),
        ("POST", "/v1/config/tts-worker/rollback", "write"),
        ("PUT", "/v1/secrets/llm-worker/api_key", "write"),
        ("POST", "/v1/secrets/llm-worker/api_key/reveal", "admin"),
        ("GET", "/v1/keys", "admin"),
        ("POST", "/v1/keys/signing/rotate", "admin"),
        ("POST", "/v1/keysets", "admin"),
        ("POST", "/v1/takeover", "admin"),
        ("POST", "/v1/confirm-floor", "admin"),
        ("POST", "/v1/rebuild", "admin"),
        ("GET", "/v1/users", "admin"),
        ("PUT", "/v1/users/bob", "admin"),
        ("DELETE", "/v1/users/reader", "admin"),
        ("POST", "/v1/users/reader/token", "admin"),
        ("DELETE", "/v1/users/reader/token", "admin"),
    ],
)
async def test_a_role_may_do_what_a_lower_one_may_and_no_more(client, front, method, path, least):
    ranks = {"read": "reader", "write": "writer", "admin": "admin"}
    roles = list(ranks)
    for role, name in ranks.items():
        answer = await client.request(method, path, headers=bearer(front, name), content=b"[]")
        refused = answer.status_code == 403

        assert refused == (roles.index(role) < roles.index(least)), (name, answer.text)
        if refused:
            assert answer.json()["error"] == "FORBIDDEN"
            assert least in answer.json()["message"]
            break


async def test_a_refusal_for_lack_of_rights_is_noted_with_who_and_what(client, front):
    headers = bearer(front, "reader")
    for _ in range(3):
        await client.patch("/v1/config/tts-worker", headers=headers, content=b"{}")
    await front.refusals.close()

    assert front.rows == [
        ("reader", "tts-worker", "FORBIDDEN", 1),
        ("reader", "tts-worker", "FORBIDDEN", 2),
    ]


async def test_over_five_requests_a_second_are_told_when_to_come_back(client, front):
    headers = bearer(front)
    answers = [await client.get("/v1/health", headers=headers) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].headers["retry-after"] == "1"
    assert answers[5].json()["retry_after_s"] == pytest.approx(0.2)


async def test_a_finished_request_makes_room_for_another_even_after_a_failure(client, front):
    headers = bearer(front)
    front.commands.error = RuntimeError("boom")
    for _ in range(5):
        await client.get("/v1/config", headers=headers)

    assert front.limiter._usage["admin"].in_flight == 0
