"""What is left of a request over HTTP: an id that its caller knows, and a line in the log."""

from __future__ import annotations

import pytest
import structlog
from rest_fakes import bearer
from structlog.testing import capture_logs

GIVEN = "0190163d-8694-739b-aea5-966c26f8ad91"


def lines(logs: list) -> list:
    return [line for line in logs if line["event"] == "api_request"]


@pytest.mark.req("P035", "P026", "P027")
async def test_the_callers_id_comes_back_and_stands_in_the_log(client, front):
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        answer = await client.get(
            "/v1/config/router", headers={**bearer(front, "reader"), "X-Request-ID": GIVEN}
        )

    assert answer.headers["x-request-id"] == GIVEN
    (line,) = lines(logs)
    assert (line["request_id"], line["method"], line["path"], line["status_code"]) == (
        GIVEN, "GET", "/v1/config/{service}", answer.status_code,
    )  # fmt: skip
    assert line["duration_ms"] >= 0


@pytest.mark.req("P035")
@pytest.mark.parametrize("given", [None, "x" * 200, "a b", "1; DROP"])
async def test_without_a_usable_id_the_request_gets_one(client, given):
    answer = await client.get("/nothing", headers={} if given is None else {"X-Request-ID": given})

    assert answer.headers["x-request-id"] not in {given, ""}


async def test_what_a_caller_writes_into_a_path_is_not_in_the_line(client):
    with capture_logs() as logs:
        await client.get("/v1/no/such/hunter2")

    (line,) = lines(logs)
    assert "hunter2" not in repr(line)
