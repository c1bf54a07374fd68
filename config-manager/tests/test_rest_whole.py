"""REST down to the database and back: what a person with curl meets."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from config_manager.commands import RefusedError
from config_manager.fronts.limits import RateLimiter
from config_manager.fronts.refusals import RefusalLog
from config_manager.fronts.rest import create_app
from config_manager.profiles import Profiles
from parlour_config.users import UsersFile
from parlour_contracts.config import CONFIGS


class Api:
    """The front's view of a real command layer."""

    def __init__(self, desk: Any, users: UsersFile) -> None:
        self.commands = desk.commands
        self.users = users
        self.limiter = RateLimiter(desk.clock, in_flight=1000, per_second=1000.0)
        self.refusals = RefusalLog(desk.clock, self._write)
        self.profiles = Profiles.of_models(
            desk.store, lambda: desk.signer, CONFIGS, desk.clock,
            gate=lambda: desk.gate, wake=lambda: None,
        )  # fmt: skip
        self.operator: Any = None
        self.keys: Any = None

    async def _write(self, row: Any) -> None: ...

    def health(self) -> Any: ...

    async def state(self) -> Any: ...


@pytest.fixture
async def api(desk, tmp_path):
    users = UsersFile(tmp_path / "users.json")
    users.ensure()
    users.put("alice", "write")
    api = Api(desk, users)
    yield api
    await api.refusals.close()


@pytest.fixture
async def alice(api):
    async with _client(api, "alice") as client:
        yield client


@pytest.fixture
async def admin(api):
    async with _client(api, "admin") as client:
        yield client


def _client(api: Api, name: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(api)),
        base_url="http://test",
        headers={"Authorization": f"Bearer {api.users.issue_token(name)}"},
    )


TTS = "/v1/config/tts-worker"


@pytest.mark.req("C037", "C038", "C080")
async def test_settings_are_read_changed_and_read_again(alice):
    before = await alice.get(TTS)
    changed = await alice.patch(f"{TTS}?reason=too+loud", json={"config": {"volume_percent": 40}})
    after = await alice.get(TTS)

    version = before.json()["metadata"]["version"]
    assert changed.json() == {"success": True, "new_version": version + 1, "error": None}
    assert after.json()["config"] == {**before.json()["config"], "volume_percent": 40}
    assert after.headers["etag"] == changed.headers["etag"] == f'"{version + 1}"'
    assert after.json()["metadata"]["updated_by"] == "alice"


@pytest.mark.req("F9", "C080")
async def test_what_was_read_can_be_put_back_as_a_whole(alice):
    read = (await alice.get(TTS)).json()
    body = {
        "service": "tts-worker",
        "config": {**read["config"], "volume_percent": 7},
        "version": read["metadata"]["version"],
    }
    first = await alice.put(TTS, json=body)
    late = await alice.put(TTS, json={**body, "config": read["config"]})

    assert first.status_code == 200
    assert (late.status_code, late.json()["error"]) == (409, "VERSION_CONFLICT")
    assert late.json()["current_version"] == first.json()["new_version"]


async def test_a_retry_may_change_the_front(alice, desk):
    over_mqtt = await desk.ask(
        "patch", transaction="t-7", config={"volume_percent": 33}, reason="loud"
    )
    retried = await alice.patch(
        f"{TTS}?reason=loud",
        json={"config": {"volume_percent": 33}},
        headers={"Idempotency-Key": "t-7"},
    )
    other = await alice.patch(
        f"{TTS}?reason=loud",
        json={"config": {"volume_percent": 34}},
        headers={"Idempotency-Key": "t-7"},
    )

    assert retried.headers["x-parlour-duplicate"] == "true"
    assert retried.json() == over_mqtt.data
    assert (other.status_code, other.json()["error"]) == (409, "TRANSACTION_REUSED")


@pytest.mark.req("C082")
async def test_history_and_rollback(alice):
    first = (await alice.get(TTS)).json()
    await alice.patch(f"{TTS}?reason=night", json={"config": {"volume_percent": 12}})
    rows = (await alice.get(f"{TTS}/history?key=volume_percent&limit=1")).json()
    current = (await alice.get(TTS)).json()["metadata"]["version"]
    back = await alice.post(
        f"{TTS}/rollback",
        json={"to_version": first["metadata"]["version"], "version": current},
    )
    now = (await alice.get(TTS)).json()

    assert (rows[0]["change_reason"], rows[0]["changed_by"]) == ("night", "alice")
    assert back.json()["new_version"] == current + 1
    assert now["config"] == first["config"]


@pytest.mark.req("C081")
async def test_a_change_is_found_at_once(alice):
    await alice.patch(TTS, json={"config": {"volume_percent": 61}})
    found = (await alice.post("/v1/search", json={"query": "volume_percent"})).json()

    assert found["total"] >= 1
    values = {one["service"]: one["value_json"] for one in found["results"]}
    assert values["tts-worker"] == "61"


async def test_every_service_and_every_field_is_listed(alice):
    services = (await alice.get("/v1/config")).json()["services"]
    fields = (await alice.get(f"{TTS}/fields")).json()

    assert {one["service"] if isinstance(one, dict) else one for one in services} == set(CONFIGS)
    assert "tts.volume_percent" in {field["key"] for field in fields}


async def test_a_dry_run_checks_everything_and_changes_nothing(alice):
    before = (await alice.get(TTS)).json()
    good = await alice.patch(f"{TTS}?dry_run=true", json={"config": {"volume_percent": 1}})
    bad = await alice.patch(f"{TTS}?dry_run=true", json={"config": {"volume_percent": 1000}})

    assert (good.status_code, bad.status_code) == (200, 422)
    assert (await alice.get(TTS)).json() == before


@pytest.mark.parametrize(
    ("config", "status", "error"),
    [
        ({"volume_percent": "40"}, 422, "VALIDATION_FAILED"),
        ({"volume_percent": True}, 422, "VALIDATION_FAILED"),
        ({"volume_percent": 1000}, 422, "VALIDATION_FAILED"),
        ({"volume": 40}, 404, "UNKNOWN_KEY"),
        ({"volume_percent": {"$secret": {}}}, 422, "VALIDATION_FAILED"),
    ],
)
async def test_wrong_settings_change_nothing_and_say_what_is_wrong(alice, config, status, error):
    before = (await alice.get(TTS)).json()
    answer = await alice.patch(TTS, json={"config": config})

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["message"]
    assert answer.json()["details"]
    assert (await alice.get(TTS)).json() == before


async def test_an_unknown_service_and_version_are_not_found(alice):
    assert (await alice.get("/v1/config/nobody")).json()["error"] == "UNKNOWN_SERVICE"
    version = (await alice.get(TTS)).json()["metadata"]["version"]
    answer = await alice.post(f"{TTS}/rollback", json={"to_version": 900, "version": version})

    assert answer.json()["error"] == "UNKNOWN_VERSION"


@pytest.mark.req("C078")
async def test_a_secret_is_set_by_alice_and_seen_only_by_an_administrator(alice, admin, desk):
    llm = "/v1/config/llm-worker"
    version = (await alice.get(llm)).json()["metadata"]["version"]
    canary = "canary-in-the-mine"
    stored = await alice.put(
        "/v1/secrets/llm-worker/api_key", json={"value": canary, "version": version}
    )
    again = await alice.put(
        "/v1/secrets/llm-worker/api_key", json={"value": canary, "version": version}
    )
    texts = [
        (await alice.get(path)).text
        for path in (llm, f"{llm}/history", f"{llm}/fields", "/v1/config")
    ] + [(await alice.post("/v1/search", json={"query": "api_key"})).text]
    seen = await admin.post(
        "/v1/secrets/llm-worker/api_key/reveal", json={"reason": "moving the account"}
    )
    row = desk.rows(
        "SELECT user_id, service, key, success, reason FROM access_log "
        "WHERE action = 'reveal_secret'"
    )

    assert stored.status_code == 200
    assert (again.status_code, again.json()["error"]) == (409, "VERSION_CONFLICT")
    assert not [text for text in texts if canary in text]
    assert seen.json() == {"value": canary}
    assert row == [("admin", "llm-worker", "api_key", 1, "moving the account")]
    assert canary.encode() not in desk.path.read_bytes()


async def test_while_nothing_may_be_changed_reads_go_on(alice, desk):
    desk.gate = RefusedError("READ_ONLY", "config-manager stands by")
    answer = await alice.patch(TTS, json={"config": {"volume_percent": 1}})

    assert (answer.status_code, answer.json()["error"]) == (423, "READ_ONLY")
    assert (await alice.get(TTS)).status_code == 200


@pytest.mark.req("C083")
async def test_a_profile_is_kept_and_activated(alice):
    kept = await alice.put(
        "/v1/profiles/at%20night",
        json={"description": "all quiet", "settings": {"tts-worker": {"volume_percent": 9}}},
    )
    done = await alice.post("/v1/profiles/at%20night/activate", json={"reason": "bedtime"})
    listed = (await alice.get("/v1/profiles")).json()["profiles"]

    assert (kept.json()["name"], kept.json()["created_by"]) == ("at night", "alice")
    assert done.json()["versions"].keys() == {"tts-worker"}
    assert (await alice.get(TTS)).json()["config"]["volume_percent"] == 9
    assert [one["name"] for one in listed] == ["at night"]

    await alice.delete("/v1/profiles/at%20night")
    gone = await alice.get("/v1/profiles/at%20night")

    assert gone.json()["error"] == "UNKNOWN_KEY"
