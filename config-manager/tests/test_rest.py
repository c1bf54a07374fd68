"""The REST front over a command layer that records what reaches it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from config_manager.commands import RefusedError, Request, body_digest
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.refusals import RefusalLog
from config_manager.fronts.rest import create_app
from config_manager.fronts.rest_models import (
    AuditReport,
    FleetState,
    IssuedToken,
    OperatorDone,
    Revealed,
    SecretBody,
)
from config_manager.users import UsersFile
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.requests import STATUS_OF, ConfigAnswer, ConfigRequest
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError

EPOCH = "550e8400-e29b-41d4-a716-446655440000"
HEALTH = ConfigHealthPayload(
    ok=True,
    database_status="healthy",
    operational_mode="normal",
    config_epoch=EPOCH,
    schema_version=2,
    lkg_cache_valid=True,
    litestream_status="disabled",
)


class Commands:
    """Answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.secrets: list[tuple[Any, ...]] = []
        self.data: Any = {"success": True, "new_version": 8, "error": None}
        self.answer: ConfigAnswer | None = None
        self.error: Exception | None = None

    async def execute(self, request: Request) -> ConfigAnswer:
        self.asked.append(request)
        return self._answer(request.op, request.service, request.transaction)

    async def set_secret(self, caller, service, key, value, version, **more) -> ConfigAnswer:
        self.secrets.append((caller.user, service, key, value, version, more))
        return self._answer("set-secret", service, more["transaction"])

    async def reveal(self, caller, service, key, reason) -> str:
        if self.error:
            raise self.error
        self.secrets.append((caller.user, service, key, reason))
        return "sesame"

    def _answer(self, op: str, service: str, transaction: str | None) -> ConfigAnswer:
        if self.error:
            raise self.error
        return self.answer or ConfigAnswer(
            status="accepted",
            code=200,
            op=op,
            service=service,
            transaction=transaction,
            data=self.data,
            config_epoch=EPOCH,
        )


class Operator:
    """Keeps what an administrator did."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    async def takeover(self, caller, *, reason, above) -> OperatorDone:
        self.done.append(("takeover", caller.user, reason, above))
        return OperatorDone(config_epoch=EPOCH, floor="2026-01-01T00:00:00.000000Z")

    async def confirm_floor(self, caller, *, reason) -> OperatorDone:
        self.done.append(("confirm-floor", caller.user, reason))
        return OperatorDone(config_epoch=EPOCH, floor="2026-01-01T00:00:00.000000Z")

    async def rebuild(self, caller, *, reason, token) -> None:
        if token != "the-token":
            raise RefusedError("FORBIDDEN", "this is not the token")
        self.done.append(("rebuild", caller.user, reason))

    async def record(self, caller, event, **facts) -> None:
        self.done.append((event, caller.user, facts["name"]))

    async def verify_audit(self) -> AuditReport:
        return AuditReport(ok=True, rows=3, head="0" * 64, first_bad=None)


class Manager:
    """What the front sees."""

    def __init__(self, users: UsersFile) -> None:
        self.users = users
        self.commands = Commands()
        self.operator = Operator()
        self.rows: list[Any] = []
        clock = LoopClock()
        self.limiter = RateLimiter(clock)
        self.refusals = RefusalLog(clock, self._write)
        self.keys: Any = None
        self.profiles: Any = None

    async def _write(self, row: Any) -> None:
        self.rows.append((row.user, row.service, row.code, row.count))

    def health(self) -> ConfigHealthPayload:
        return HEALTH

    async def state(self) -> FleetState:
        return FleetState(services=[])


@pytest.fixture
def manager(tmp_path):
    users = UsersFile(tmp_path / "users.json")
    users.ensure()
    users.put("reader", "read")
    users.put("writer", "write")
    return Manager(users)


@pytest.fixture
async def client(manager):
    transport = httpx.ASGITransport(create_app(manager))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await manager.refusals.close()


def bearer(manager: Manager, name: str = "admin") -> dict[str, str]:
    return {"Authorization": f"Bearer {manager.users.issue_token(name)}"}


# Who gets in.


async def test_a_probe_needs_no_token_and_learns_nothing(client):
    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.req("C079")
@pytest.mark.parametrize(
    "header", [None, "Bearer ", "Bearer wrong", "Basic YWRtaW46", "wrong", "Bearer " + "x" * 5000]
)
async def test_a_request_without_a_valid_token_is_unauthenticated(client, manager, header):
    headers = {"Authorization": header} if header else {}
    answer = await client.get("/v1/config", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert manager.commands.asked == []
    assert manager.rows == [("anonymous", None, "UNAUTHENTICATED", 1)]


@pytest.mark.req("C079")
async def test_a_token_in_the_url_counts_for_nothing(client, manager):
    token = manager.users.issue_token("admin")

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
async def test_a_role_may_do_what_a_lower_one_may_and_no_more(client, manager, method, path, least):
    ranks = {"read": "reader", "write": "writer", "admin": "admin"}
    roles = list(ranks)
    for role, name in ranks.items():
        answer = await client.request(method, path, headers=bearer(manager, name), content=b"[]")
        refused = answer.status_code == 403

        assert refused == (roles.index(role) < roles.index(least)), (name, answer.text)
        if refused:
            assert answer.json()["error"] == "FORBIDDEN"
            assert least in answer.json()["message"]
            break


async def test_a_refusal_for_lack_of_rights_is_noted_with_who_and_what(client, manager):
    headers = bearer(manager, "reader")
    for _ in range(3):
        await client.patch("/v1/config/tts-worker", headers=headers, content=b"{}")
    await manager.refusals.close()

    assert manager.rows == [
        ("reader", "tts-worker", "FORBIDDEN", 1),
        ("reader", "tts-worker", "FORBIDDEN", 2),
    ]


async def test_over_five_requests_a_second_are_told_when_to_come_back(client, manager):
    headers = bearer(manager)
    answers = [await client.get("/v1/health", headers=headers) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].headers["retry-after"] == "1"
    assert answers[5].json()["retry_after_s"] == pytest.approx(0.2)


async def test_a_finished_request_makes_room_for_another_even_after_a_failure(client, manager):
    headers = bearer(manager)
    manager.commands.error = RuntimeError("boom")
    for _ in range(5):
        await client.get("/v1/config", headers=headers)

    assert manager.limiter._usage["admin"].in_flight == 0


# What reaches the commands.


@pytest.mark.req("C037")
async def test_a_read_answers_with_s2s_model_and_the_row_version(client, manager):
    manager.commands.data = {"service": "tts-worker", "config": {}, "metadata": {"version": 7}}
    answer = await client.get("/v1/config/tts-worker", headers=bearer(manager, "reader"))

    assert answer.json() == manager.commands.data
    assert answer.headers["etag"] == '"7"'
    assert answer.headers["x-parlour-epoch"] == EPOCH
    asked = manager.commands.asked[0]
    assert (asked.op, asked.service, asked.caller.user, asked.caller.role) == (
        "get", "tts-worker", "reader", "read",
    )  # fmt: skip
    assert asked.via == "rest"


@pytest.mark.req("C038")
async def test_a_change_carries_body_reason_and_transaction(client, manager):
    answer = await client.patch(
        "/v1/config/tts-worker?reason=too+loud&dry_run=true&config_epoch=" + EPOCH,
        headers={**bearer(manager, "writer"), "Idempotency-Key": "t-1"},
        content=b'{"config":{"volume_percent":40,"sample_rate":null},"version":7}',
    )

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "new_version": 8, "error": None}
    assert answer.headers["etag"] == '"8"'
    assert answer.headers["x-parlour-duplicate"] == "false"
    asked = manager.commands.asked[0]
    assert asked.body == ConfigRequest(
        config={"volume_percent": 40, "sample_rate": None},
        version=7,
        reason="too loud",
        dry_run=True,
        config_epoch=EPOCH,
    )
    assert (asked.transaction, asked.derived) == ("t-1", False)


async def test_the_same_change_has_the_digest_that_it_has_over_mqtt(client, manager):
    await client.patch(
        "/v1/config/tts-worker?reason=loud",
        headers={**bearer(manager), "Idempotency-Key": "t-1"},
        content=b'{"config":{"volume_percent":40}}',
    )
    over_mqtt = ConfigRequest(transaction="t-1", config={"volume_percent": 40}, reason="loud")

    assert manager.commands.asked[0].body_sha256 == body_digest("patch", "tts-worker", over_mqtt)


async def test_without_a_transaction_the_same_bytes_make_the_same_one(client, manager):
    headers = bearer(manager)
    for content in (b'{"config":{"a":1}}', b'{"config":{"a":1}}', b'{"config":{"a":2}}'):
        await client.patch("/v1/config/tts-worker", headers=headers, content=content)
    first, again, other = (asked.transaction for asked in manager.commands.asked)

    assert first == again != other
    assert all(asked.derived for asked in manager.commands.asked)


@pytest.mark.req("C039", "C040")
async def test_a_search_takes_s2s_request(client, manager):
    manager.commands.data = {"results": [], "total": 0}
    answer = await client.post(
        "/v1/search",
        headers=bearer(manager, "reader"),
        content=b'{"query":"vol","complexity_filter":"simple","max_results":5}',
    )

    assert answer.json() == {"results": [], "total": 0}
    asked = manager.commands.asked[0]
    assert (asked.op, asked.service) == ("search", "_all")
    assert asked.body == ConfigRequest(query="vol", complexity_filter="simple", max_results=5)


@pytest.mark.req("C082")
async def test_history_is_asked_for_with_a_page_and_a_key(client, manager):
    manager.commands.data = []
    await client.get(
        "/v1/config/router/history?key=history_messages&before_id=9&limit=2",
        headers=bearer(manager, "reader"),
    )

    assert manager.commands.asked[0].body == ConfigRequest(
        key="history_messages", before_id=9, limit=2
    )


async def test_every_other_op_has_its_route(client, manager):
    headers = bearer(manager)
    for method, path, content in [
        ("GET", "/v1/config", b""),
        ("GET", "/v1/config/router/fields", b""),
        ("POST", "/v1/config/router/resend", b""),
        ("POST", "/v1/config/router/reset", b'{"keys":["history_messages"]}'),
        ("POST", "/v1/config/router/rollback", b'{"to_version":1,"version":3}'),
    ]:
        answer = await client.request(method, path, headers=headers, content=content)
        assert answer.status_code == 200, answer.text

    assert [(asked.op, asked.service) for asked in manager.commands.asked] == [
        ("list", "_all"), ("describe", "router"), ("resend", "router"), ("reset", "router"),
        ("rollback", "router"),
    ]  # fmt: skip


async def test_a_duplicate_is_marked_in_a_header(client, manager):
    manager.commands.answer = ConfigAnswer(
        status="accepted", code=200, op="set", service="router", transaction="t", duplicate=True,
        data={"success": True, "new_version": 3, "error": None},
    )  # fmt: skip
    answer = await client.put(
        "/v1/config/router", headers=bearer(manager), content=b'{"config":{},"version":2}'
    )

    assert answer.headers["x-parlour-duplicate"] == "true"


# What does not reach them.


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
async def test_bytes_that_are_not_the_request_change_nothing(
    client, manager, content, status, error
):
    answer = await client.patch(
        "/v1/config/tts-worker",
        headers={**bearer(manager), "Idempotency-Key": "t-9"},
        content=content,
    )
    told = answer.json()

    assert (answer.status_code, told["error"], told["code"]) == (status, error, status)
    assert (told["status"], told["op"], told["service"], told["transaction"]) == (
        "rejected", "patch", "tts-worker", "t-9",
    )  # fmt: skip
    assert told["data"] == {"success": False, "new_version": None, "error": error}
    assert told["message"]
    assert manager.commands.asked == []


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/v1/config/Router", "UNKNOWN_SERVICE"),
        ("GET", "/v1/config/" + "a" * 64, "UNKNOWN_SERVICE"),
        ("GET", "/v1/config/router%0A", "UNKNOWN_SERVICE"),
        ("GET", "/v1/config/router/history?limit=201", "INVALID_REQUEST"),
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
    client, manager, method, path, error
):
    answer = await client.request(method, path, headers=bearer(manager))

    assert answer.json()["error"] == error
    assert answer.status_code == answer.json()["code"] == STATUS_OF[error]


async def test_a_malformed_idempotency_key_is_refused(client, manager):
    answer = await client.patch(
        "/v1/config/router",
        headers={**bearer(manager), "Idempotency-Key": "a b"},
        content=b'{"config":{}}',
    )

    assert (answer.status_code, answer.json()["transaction"]) == (400, None)


# What comes back when it fails behind the front.


async def test_a_rejected_answer_keeps_its_code_and_current_version(client, manager):
    manager.commands.answer = ConfigAnswer(
        status="rejected", code=409, op="set", service="router", transaction="t",
        error="VERSION_CONFLICT", message="expected version 7, current is 8", current_version=8,
        data={"success": False, "new_version": None, "error": "VERSION_CONFLICT"},
    )  # fmt: skip
    answer = await client.put(
        "/v1/config/router", headers=bearer(manager), content=b'{"config":{},"version":7}'
    )

    assert answer.status_code == 409
    assert answer.json()["current_version"] == 8
    assert "details" not in answer.json()


@pytest.mark.parametrize("code", ["DB_UNAVAILABLE", "BUSY", "STARTING", "RATE_LIMITED"])
async def test_what_passes_by_itself_says_when_to_come_back(client, manager, code):
    manager.commands.error = RefusedError(code, "later", retry_after_s=2.2)
    answer = await client.get("/v1/config", headers=bearer(manager))

    assert answer.status_code == STATUS_OF[code]
    assert answer.headers["retry-after"] == "3"


async def test_a_fault_of_ours_is_told_without_its_text(client, manager):
    manager.commands.error = RuntimeError("the secret is sesame")
    answer = await client.get("/v1/config", headers=bearer(manager))

    assert answer.status_code == 500
    assert answer.json()["error"] == "INTERNAL"
    assert "sesame" not in answer.text


async def test_a_body_that_does_not_come_is_given_up(client, manager):
    async def endless():
        yield b'{"config":'
        await asyncio.sleep(3600)

    answer = await client.patch("/v1/config/router", headers=bearer(manager), content=endless())

    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert manager.limiter._usage["admin"].in_flight == 0


async def test_an_error_outside_the_table_is_internal(client, manager):
    manager.commands.error = ParlourError("sesame", code="SOMETHING_ELSE")
    answer = await client.get("/v1/config", headers=bearer(manager))

    assert (answer.status_code, "sesame" in answer.text) == (500, False)


# Secrets.


async def test_a_secret_goes_in_and_never_comes_back(client, manager):
    answer = await client.put(
        "/v1/secrets/llm-worker/api_key?reason=new+contract",
        headers=bearer(manager, "writer"),
        content=b'{"value":"canary-in-a-mine","version":3}',
    )

    assert answer.status_code == 200
    assert manager.commands.secrets == [
        ("writer", "llm-worker", "api_key", "canary-in-a-mine", 3,
         {"transaction": None, "reason": "new contract"}),
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
async def test_a_refused_secret_is_in_neither_the_answer_nor_a_log(
    client, manager, content, caplog
):
    answer = await client.put(
        "/v1/secrets/llm-worker/api_key", headers=bearer(manager), content=content
    )

    assert answer.status_code == 400
    assert "canary" not in answer.text + caplog.text


@pytest.mark.req("C078")
async def test_a_reveal_needs_a_reason_and_is_never_cached(client, manager):
    headers = bearer(manager)
    path = "/v1/secrets/llm-worker/api_key/reveal"
    without = await client.post(path, headers=headers, content=b"{}")
    answer = await client.post(path, headers=headers, content=b'{"reason":"lost the paper"}')

    assert without.status_code == 400
    assert answer.json() == {"value": "sesame"}
    assert answer.headers["cache-control"] == "no-store"
    assert manager.commands.secrets == [("admin", "llm-worker", "api_key", "lost the paper")]


async def test_a_sixth_reveal_within_a_minute_is_refused(client, manager):
    headers = bearer(manager)
    manager.limiter = RateLimiter(LoopClock(), per_second=100.0)
    path = "/v1/secrets/llm-worker/api_key/reveal"
    answers = [
        (await client.post(path, headers=headers, content=b'{"reason":"again"}')).status_code
        for _ in range(6)
    ]

    assert answers == [200] * 5 + [429]


async def test_nothing_is_revealed_when_that_cannot_be_recorded(client, manager):
    manager.commands.error = RefusedError("STORAGE_FULL", "there is no room")
    answer = await client.post(
        "/v1/secrets/llm-worker/api_key/reveal",
        headers=bearer(manager),
        content=b'{"reason":"again"}',
    )

    assert answer.status_code == 507
    assert "sesame" not in answer.text


# Operators and users.


async def test_operator_actions_need_a_reason_and_pass_it_on(client, manager):
    headers = bearer(manager)
    moment = "2026-05-01T00:00:00.000000Z"
    await client.post("/v1/takeover", headers=headers, json={"reason": "restored", "above": moment})
    await client.post("/v1/confirm-floor", headers=headers, json={"reason": "the clock was wrong"})
    refused = await client.post("/v1/takeover", headers=headers, json={})

    assert refused.status_code == 400
    assert manager.operator.done == [
        ("takeover", "admin", "restored", moment),
        ("confirm-floor", "admin", "the clock was wrong"),
    ]


@pytest.mark.req("C073")
async def test_a_rebuild_needs_its_own_token_and_is_accepted_for_later(client, manager):
    headers = bearer(manager)
    body = {"reason": "flipped bytes", "rebuild_token": "the-token"}
    answer = await client.post("/v1/rebuild", headers=headers, json=body)
    refused = await client.post(
        "/v1/rebuild", headers=headers, json={**body, "rebuild_token": "other"}
    )

    assert (answer.status_code, refused.status_code) == (202, 403)
    assert manager.operator.done == [("rebuild", "admin", "flipped bytes")]


async def test_health_state_and_audit_are_told(client, manager):
    headers = bearer(manager, "reader")

    assert (await client.get("/v1/health", headers=headers)).json()["ok"] is True
    assert (await client.get("/v1/state", headers=headers)).json() == {"services": []}
    assert (await client.get("/v1/audit/verify", headers=headers)).json()["rows"] == 3


@pytest.mark.req("C079")
async def test_users_are_made_given_tokens_and_removed(client, manager):
    headers = bearer(manager)
    made = await client.put("/v1/users/bob", headers=headers, json={"role": "read"})
    issued = await client.post("/v1/users/bob/token", headers=headers)
    token = issued.json()["token"]
    listed = await client.get("/v1/users", headers=headers)

    assert made.json() == {"name": "bob", "role": "read", "has_token": False}
    assert manager.operator.done == [("user-put", "admin", "bob"), ("token-issued", "admin", "bob")]
    assert issued.headers["cache-control"] == "no-store"
    assert manager.users.by_token(token).name == "bob"
    assert {"name": "bob", "role": "read", "has_token": True} in listed.json()["users"]
    assert token not in listed.text

    removed = await client.delete("/v1/users/bob", headers=headers)

    assert removed.status_code == 200
    assert manager.users.by_token(token) is None


async def test_an_administrator_cannot_end_the_own_token_by_mistake(client, manager):
    answer = await client.delete("/v1/users/admin/token", headers=bearer(manager))

    assert answer.status_code == 400


async def test_a_user_is_not_changed_when_that_cannot_be_recorded(client, manager):
    async def full(caller, event, **facts) -> None:
        raise RefusedError("STORAGE_FULL", "there is no room")

    manager.operator.record = full
    answer = await client.put("/v1/users/bob", headers=bearer(manager), json={"role": "admin"})

    assert answer.status_code == 507
    assert manager.users.get("bob") is None


async def test_an_unknown_user_is_not_found(client, manager):
    answer = await client.post("/v1/users/nobody/token", headers=bearer(manager))

    assert answer.status_code == 404


async def test_another_origin_gets_no_leave_to_read(client, manager):
    answer = await client.get(
        "/v1/health", headers={**bearer(manager), "Origin": "https://evil.example"}
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
