"""The REST front: bytes, paths and parameters that are not the request."""

from __future__ import annotations

import pytest
from parlour_contracts.messages.requests import STATUS_OF
from rest_fakes import bearer

# What does not reach them.


@pytest.mark.threat(22, 25)
@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"{", 400, "INVALID_JSON"),
        (b'{"config":{"a":1,"a":2}}', 400, "INVALID_JSON"),
        (b'{"config":{"a":NaN}}', 400, "INVALID_JSON"),
        (b'{"config":{"a":1e400}}', 400, "INVALID_JSON"),
        (b'{"config":{"a":9007199254740993}}', 400, "INVALID_JSON"),
        (b'\xef\xbb\xbf{"config":{}}', 400, "INVALID_JSON"),
        (b'{"config":"\xff"}', 400, "INVALID_JSON"),
        (b'{"config":' + b'{"a":' * 17 + b"1" + b"}" * 18, 400, "INVALID_JSON"),
        (b"[1]", 400, "INVALID_REQUEST"),
        (b'{"config":[]}', 400, "INVALID_REQUEST"),
        (b'{"config":{},"version":true}', 400, "INVALID_REQUEST"),
        (b'{"config":{},"version":"7"}', 400, "INVALID_REQUEST"),
        (b'{"config":{},"surprise":1}', 400, "INVALID_REQUEST"),
        (b'{"config":{},"reason":"in the body"}', 400, "INVALID_REQUEST"),
        (b'{"config":{},"service":"router"}', 400, "INVALID_REQUEST"),
        (b'{"config":{"a":"' + b"x" * 262_144 + b'"}}', 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_bytes_that_are_not_the_request_change_nothing(client, front, content, status, error):
    answer = await client.patch(
        "/v1/config/tts-worker",
        headers={**bearer(front), "Idempotency-Key": "t-9"},
        content=content,
    )
    told = answer.json()

    assert (answer.status_code, told["error"], told["code"]) == (status, error, status)
    assert (told["status"], told["op"], told["service"], told["transaction"]) == (
        "rejected", "patch", "tts-worker", "t-9",
    )  # fmt: skip
    assert told["data"] == {"success": False, "new_version": None, "error": error}
    assert told["message"]
    assert front.commands.asked == []


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/v1/config/Router", "UNKNOWN_SERVICE"),
        ("GET", "/v1/config/" + "a" * 64, "UNKNOWN_SERVICE"),
        ("GET", "/v1/config/router%0A", "UNKNOWN_SERVICE"),
        ("GET", "/v1/config/router/history?limit=1001", "INVALID_REQUEST"),
        ("GET", "/v1/config/router/history?start=yesterday", "INVALID_REQUEST"),
        ("GET", "/v1/config/router/history?limit=many", "INVALID_REQUEST"),
        ("GET", "/v1/nothing", "UNKNOWN_OP"),
        ("DELETE", "/v1/config/router", "UNKNOWN_OP"),
        ("GET", "/docs", "UNKNOWN_OP"),
        ("POST", "/v1/keys/root/rotate", "INVALID_REQUEST"),
        ("PATCH", "/v1/config/router?config_epoch=now", "INVALID_REQUEST"),
        ("PATCH", "/v1/config/router?dry_run=perhaps", "INVALID_REQUEST"),
    ],
)
async def test_paths_and_parameters_fail_with_the_codes_of_the_table(
    client, front, method, path, error
):
    answer = await client.request(method, path, headers=bearer(front))

    assert answer.json()["error"] == error
    assert answer.status_code == answer.json()["code"] == STATUS_OF[error]


async def test_a_malformed_idempotency_key_is_refused(client, front):
    answer = await client.patch(
        "/v1/config/router",
        headers={**bearer(front), "Idempotency-Key": "a b"},
        content=b'{"config":{}}',
    )

    assert (answer.status_code, answer.json()["transaction"]) == (400, None)
