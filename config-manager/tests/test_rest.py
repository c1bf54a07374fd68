"""The REST front: what reaches the commands, and how their answers come back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from config_manager.commands import RefusedError, body_digest
from parlour_contracts.messages.requests import STATUS_OF, ConfigAnswer, ConfigRequest
from parlour_kit.errors import ParlourError
from rest_fakes import EPOCH, bearer

# What reaches the commands.


@pytest.mark.req("C037")
async def test_a_read_answers_with_s2s_model_and_the_row_version(client, front):
    front.commands.data = {"service": "tts-worker", "config": {}, "metadata": {"version": 7}}
    answer = await client.get("/v1/config/tts-worker", headers=bearer(front, "reader"))

    assert answer.json() == front.commands.data
    assert answer.headers["etag"] == '"7"'
    assert answer.headers["x-parlour-epoch"] == EPOCH
    asked = front.commands.asked[0]
    assert (asked.op, asked.service, asked.caller.user, asked.caller.role) == (
        "get", "tts-worker", "reader", "read",
    )  # fmt: skip
    assert asked.via == "rest"


@pytest.mark.req("C038")
async def test_a_change_carries_body_reason_and_transaction(client, front):
    answer = await client.patch(
        "/v1/config/tts-worker?reason=too+loud&dry_run=true&config_epoch=" + EPOCH,
        headers={**bearer(front, "writer"), "Idempotency-Key": "t-1"},
        content=b'{"config":{"volume_percent":40,"sample_rate":null},"version":7}',
    )

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "new_version": 8, "error": None}
    assert answer.headers["etag"] == '"8"'
    assert answer.headers["x-parlour-duplicate"] == "false"
    asked = front.commands.asked[0]
    assert asked.body == ConfigRequest(
        config={"volume_percent": 40, "sample_rate": None},
        version=7,
        reason="too loud",
        dry_run=True,
        config_epoch=EPOCH,
    )
    assert (asked.transaction, asked.derived) == ("t-1", False)


async def test_the_same_change_has_the_digest_that_it_has_over_mqtt(client, front):
    await client.patch(
        "/v1/config/tts-worker?reason=loud",
        headers={**bearer(front), "Idempotency-Key": "t-1"},
        content=b'{"config":{"volume_percent":40}}',
    )
    over_mqtt = ConfigRequest(transaction="t-1", config={"volume_percent": 40}, reason="loud")

    assert front.commands.asked[0].body_sha256 == body_digest("patch", "tts-worker", over_mqtt)


async def test_without_a_transaction_the_same_bytes_make_the_same_one(client, front):
    headers = bearer(front)
    for content in (b'{"config":{"a":1}}', b'{"config":{"a":1}}', b'{"config":{"a":2}}'):
        await client.patch("/v1/config/tts-worker", headers=headers, content=content)
    first, again, other = (asked.transaction for asked in front.commands.asked)

    assert first == again != other
    assert all(asked.derived for asked in front.commands.asked)


@pytest.mark.req("C039", "C040")
async def test_a_search_takes_s2s_request(client, front):
    front.commands.data = {"results": [], "total": 0}
    answer = await client.post(
        "/v1/search",
        headers=bearer(front, "reader"),
        content=b'{"query":"vol","complexity_filter":"simple","max_results":5}',
    )

    assert answer.json() == {"results": [], "total": 0}
    asked = front.commands.asked[0]
    assert (asked.op, asked.service) == ("search", "_all")
    assert asked.body == ConfigRequest(query="vol", complexity_filter="simple", max_results=5)


@pytest.mark.req("C082")
async def test_history_is_asked_for_with_a_page_and_a_key(client, front):
    front.commands.data = []
    await client.get(
        "/v1/config/router/history?key=history_messages&before_id=9&limit=1000"
        "&start=2026-11-01T12:00:00.000000Z&end=2026-11-02T12:00:00.000000Z",
        headers=bearer(front, "reader"),
    )

    assert front.commands.asked[0].body == ConfigRequest(
        key="history_messages",
        before_id=9,
        limit=1000,
        start=datetime(2026, 11, 1, 12, tzinfo=UTC),
        end=datetime(2026, 11, 2, 12, tzinfo=UTC),
    )


async def test_every_other_op_has_its_route(client, front):
    headers = bearer(front)
    for method, path, content in [
        ("GET", "/v1/config", b""),
        ("GET", "/v1/config/router/fields", b""),
        ("POST", "/v1/config/router/resend", b""),
        ("POST", "/v1/config/router/reset", b'{"keys":["history_messages"]}'),
        ("POST", "/v1/config/router/rollback", b'{"to_version":1,"version":3}'),
    ]:
        answer = await client.request(method, path, headers=headers, content=content)
        assert answer.status_code == 200, answer.text

    assert [(asked.op, asked.service) for asked in front.commands.asked] == [
        ("list", "_all"), ("describe", "router"), ("resend", "router"), ("reset", "router"),
        ("rollback", "router"),
    ]  # fmt: skip


async def test_a_duplicate_is_marked_in_a_header(client, front):
    front.commands.answer = ConfigAnswer(
        status="accepted", code=200, op="set", service="router", transaction="t", duplicate=True,
        data={"success": True, "new_version": 3, "error": None},
    )  # fmt: skip
    answer = await client.put(
        "/v1/config/router", headers=bearer(front), content=b'{"config":{},"version":2}'
    )

    assert answer.headers["x-parlour-duplicate"] == "true"


# What comes back when it fails behind the front.


async def test_a_rejected_answer_keeps_its_code_and_current_version(client, front):
    front.commands.answer = ConfigAnswer(
        status="rejected", code=409, op="set", service="router", transaction="t",
        error="VERSION_CONFLICT", message="expected version 7, current is 8", current_version=8,
        data={"success": False, "new_version": None, "error": "VERSION_CONFLICT"},
    )  # fmt: skip
    answer = await client.put(
        "/v1/config/router", headers=bearer(front), content=b'{"config":{},"version":7}'
    )

    assert answer.status_code == 409
    assert answer.json()["current_version"] == 8
    assert "details" not in answer.json()


@pytest.mark.parametrize("code", ["DB_UNAVAILABLE", "BUSY", "STARTING", "RATE_LIMITED"])
async def test_what_passes_by_itself_says_when_to_come_back(client, front, code):
    front.commands.error = RefusedError(code, "later", retry_after_s=2.2)
    answer = await client.get("/v1/config", headers=bearer(front))

    assert answer.status_code == STATUS_OF[code]
    assert answer.headers["retry-after"] == "3"


async def test_a_fault_of_ours_is_told_without_its_text(client, front):
    front.commands.error = RuntimeError("the secret is sesame")
    answer = await client.get("/v1/config", headers=bearer(front))

    assert answer.status_code == 500
    assert answer.json()["error"] == "INTERNAL"
    assert "sesame" not in answer.text


async def test_a_body_that_does_not_come_is_given_up(client, front):
    async def endless():
        yield b'{"config":'
        await asyncio.sleep(3600)

    answer = await client.patch("/v1/config/router", headers=bearer(front), content=endless())

    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert front.limiter._usage["admin"].in_flight == 0


async def test_an_error_outside_the_table_is_internal(client, front):
    front.commands.error = ParlourError("sesame", code="SOMETHING_ELSE")
    answer = await client.get("/v1/config", headers=bearer(front))

    assert (answer.status_code, "sesame" in answer.text) == (500, False)
