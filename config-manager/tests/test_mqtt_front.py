"""Requests over MQTT: who may ask, what is refused, and where the answers go."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from config_manager.commands import RefusedError
from config_manager.fronts.mqtt_request import Asked, addressed, checked, identified
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.update import read_update
from parlour_contracts.topics import CONFIG
from parlour_kit.bus import Message
from parlour_testkit import MemoryBroker
from running_manager import Person, manager

PATCH = {"config": {"volume_percent": 40}, "transaction": "t-1", "reason": "quieter"}


@pytest.mark.req("C038", "C076")
async def test_a_patch_is_accepted_signed_and_sent(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        answer = await admin.ask("patch", "tts-worker", PATCH)
        await asyncio.sleep(1)
        update = read_update(broker.retained[CONFIG.topic(service="tts-worker")].payload)

    assert answer["status"] == "accepted"
    assert answer["data"] == {"success": True, "new_version": 2, "error": None}
    assert (answer["transaction"], answer["duplicate"]) == ("t-1", False)
    assert update.config["volume_percent"] == 40
    assert update.issued_at == answer["issued_at"]
    assert admin.answers[0][0].topic == "system/config-response/admin/patch/tts-worker/accepted"
    assert "error" not in answer


async def test_a_get_shows_the_version_and_whether_services_follow(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        answer = await admin.ask("get", "tts-worker")

    assert answer["data"]["config"]["volume_percent"] == 100
    assert answer["data"]["metadata"]["version"] == 1
    assert answer["data"]["metadata"]["in_sync"] is None


@pytest.mark.threat(12)
async def test_the_same_request_again_is_answered_and_not_carried_out_again(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        first = await admin.ask("patch", "tts-worker", PATCH)
        second = await admin.ask("patch", "tts-worker", PATCH)
        other = await admin.ask("patch", "tts-worker", {**PATCH, "config": {"volume_percent": 1}})

    assert second == {**first, "duplicate": True}
    assert (other["code"], other["error"]) == (409, "TRANSACTION_REUSED")


REFUSALS: list[tuple[str, str, Any, dict[str, Any], int, str]] = [
    ("patch", "tts-worker", b"{", {}, 400, "INVALID_JSON"),
    ("patch", "tts-worker", b"", {}, 400, "INVALID_JSON"),
    ("patch", "tts-worker", b'{"config":{"a":NaN}}', {}, 400, "INVALID_JSON"),
    ("patch", "tts-worker", b'{"config":{},"config":{}}', {}, 400, "INVALID_JSON"),
    ("patch", "tts-worker", b'{"config":' + b"[" * 17 + b"]" * 17 + b"}", {}, 400, "INVALID_JSON"),
    ("patch", "tts-worker", b'{"x":"' + b"a" * 65_536 + b'"}', {}, 413, "PAYLOAD_TOO_LARGE"),
    ("patch", "tts-worker", b"[]", {}, 400, "INVALID_REQUEST"),
    ("patch", "tts-worker", b'{"colour":1}', {}, 400, "INVALID_REQUEST"),
    ("patch", "tts-worker", b'{"dry_run":1}', {}, 400, "INVALID_REQUEST"),
    (
        "patch", "tts-worker",
        json.dumps({"config": {f"k{n}": 1 for n in range(1001)}}).encode(),
        {}, 400, "INVALID_REQUEST",
    ),
    ("patch", "tts-worker", b'{"service":"router","config":{}}', {}, 400, "INVALID_REQUEST"),
    ("paint", "tts-worker", b"{}", {}, 400, "UNKNOWN_OP"),
    ("get", "nobody", b"{}", {}, 404, "UNKNOWN_SERVICE"),
    ("get", "No Body", b"{}", {}, 404, "UNKNOWN_SERVICE"),
    ("patch", "tts-worker", b'{"config":{"volume":1}}', {}, 404, "UNKNOWN_KEY"),
    ("patch", "tts-worker", b'{"config":{"volume_percent":true}}', {}, 422, "VALIDATION_FAILED"),
    ("get", "tts-worker", b"{}", {"retain": True}, 400, "RETAINED_REQUEST"),
    (
        "get", "tts-worker", b'{"expires_at":"2020-01-01T00:00:00.000000Z"}', {}, 400, "EXPIRED",
    ),
]  # fmt: skip


@pytest.mark.threat(10, 12, 22)
@pytest.mark.req("C001", "C075")
async def test_bad_requests_are_refused_each_with_its_own_code(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, config_requests_per_s=1000):
        admin = await Person(broker).listen()
        before = dict(broker.retained)
        for op, service, raw, options, code, error in REFUSALS:
            answer = await admin.ask(op, service, raw=raw, **options)
            found = (answer.get("status"), answer.get("code"), answer.get("error"))
            assert found == ("rejected", code, error), (op, raw[:60])
            assert answer["message"], raw[:60]
        await asyncio.sleep(1)
        after = {t: m for t, m in broker.retained.items() if "config-request" not in t}

    assert {t for t in after if after[t] != before.get(t)} <= {"system/health/config-manager",
                                                            "system/config-leader"}  # fmt: skip


@pytest.mark.threat(10)
@pytest.mark.req("C077", "C078")
async def test_somebody_unknown_may_not_even_read_and_it_is_on_record(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        bob = await Person(broker, "bob").listen()
        answer = await bob.ask("get", "tts-worker")
        rows = await service._store.read(
            lambda db: db.execute(
                "SELECT user_id, action, success FROM access_log WHERE user_id = 'bob'"
            ).fetchall()
        )

    assert (answer["code"], answer["error"]) == (403, "FORBIDDEN")
    assert rows == [("bob", "unauthorized", 0)]


@pytest.mark.threat(10)
async def test_an_instance_may_ask_for_its_own_settings_and_no_others(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        worker = await Person(broker, "stt-worker-2").listen()
        before = broker.retained[CONFIG.topic(service="stt-worker")].payload
        own = await worker.ask("resend", "stt-worker")
        await asyncio.sleep(1)
        after = broker.retained[CONFIG.topic(service="stt-worker")].payload
        other = await worker.ask("resend", "router")
        change = await worker.ask("patch", "stt-worker", {"config": {}})

    assert own["status"] == "accepted"
    assert read_update(after).issued_at > read_update(before).issued_at
    assert read_update(after).checksum == read_update(before).checksum
    assert (other["error"], change["error"]) == ("FORBIDDEN", "FORBIDDEN")


@pytest.mark.threat(16)
async def test_a_secret_cannot_be_set_over_mqtt(broker: MemoryBroker, tmp_path: Path) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        answer = await admin.ask("patch", "llm-worker", {"config": {"api_key": "0123456789ab"}})

    assert (answer["code"], answer["error"]) == (403, "SECRET_OVER_MQTT")
    assert "0123456789ab" not in json.dumps(answer)


@pytest.mark.threat(11)
async def test_a_response_topic_counts_below_the_own_name_only(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        topics = []
        for wanted in (
            "system/config-response/admin/rr1",
            "system/config-response/bob/rr1",
            "system/config/tts-worker",
            "system/config-response/admin/" + "x" * 200,
            "system/config-response/admin/#",
        ):
            await admin.ask("get", "tts-worker", response_topic=wanted, correlation=b"c-1")
            topics.append(admin.answers[-1][0].topic)

    default = "system/config-response/admin/get/tts-worker/accepted"
    assert topics == ["system/config-response/admin/rr1", default, default, default, default]
    assert all(message.correlation == b"c-1" for message, _ in admin.answers)


async def test_correlation_data_serves_as_the_transaction(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    body = {"config": {"volume_percent": 40}}
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        first = await admin.ask("patch", "tts-worker", body, correlation=b"c-7")
        again = await admin.ask("patch", "tts-worker", body, correlation=b"c-7")
        binary = await admin.ask("patch", "tts-worker", body, correlation=b"\xff\x00")

    assert (first["transaction"], again["duplicate"]) == ("c-7", True)
    assert len(binary["transaction"]) == 64


@pytest.mark.threat(10)
@pytest.mark.req("C079")
async def test_a_flood_is_slowed_down_and_answered_once_a_second(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path):
        admin = await Person(broker).listen()
        topic = "system/config-request/admin/get/tts-worker"
        for _ in range(40):
            await admin.bus.publish(topic, b"{}", qos=1)
        await asyncio.sleep(0.5)
        codes = [answer["code"] for _, answer in admin.answers]
        await asyncio.sleep(2)
        later = await admin.ask("get", "tts-worker")

    assert codes.count(200) <= 8
    assert codes.count(429) == 1
    assert later["code"] == 200
    refused = next(answer for _, answer in admin.answers if answer["code"] == 429)
    assert refused["retry_after_s"] > 0


async def test_every_request_is_acknowledged_after_its_answer(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path) as service:
        admin = await Person(broker).listen()
        await admin.ask("get", "tts-worker")
        await admin.ask("get", "tts-worker", raw=b"nonsense")
        await asyncio.sleep(0.1)
        line = service._line
        acknowledged = [message.payload for message in line.bus.acknowledged]  # type: ignore[attr-defined]

    assert acknowledged == [b"{}", b"nonsense"]


@pytest.mark.threat(28)
async def test_without_an_access_list_reads_are_answered_and_changes_refused(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with manager(broker, tmp_path, mqtt_acl="none"):
        admin = await Person(broker).listen()
        read = await admin.ask("get", "tts-worker")
        change = await admin.ask("patch", "tts-worker", PATCH)
        trial = await admin.ask("patch", "tts-worker", {**PATCH, "dry_run": True})

    assert read["status"] == "accepted"
    assert (change["code"], change["error"]) == (423, "READ_ONLY")
    assert "REST" in change["hint"]
    assert trial["status"] == "accepted"


def asked(message: Message) -> Asked:
    found = addressed(message)
    assert found is not None
    return found


@given(st.binary(max_size=300), st.binary(max_size=80), st.text(max_size=60))
def test_no_bytes_make_anything_but_a_request_or_a_refusal(
    payload: bytes, correlation: bytes, level: str
) -> None:
    topic = f"system/config-request/alice/get/{level.replace('/', '')}"
    found = asked(Message(topic, payload, correlation=correlation))
    try:
        found, body = identified(found, payload)
        checked(found, body, retained=False, now=None)
    except RefusedError as error:
        refusal: RefusedError | None = error
    else:
        refusal = None
    assert refusal is None or refusal.hint


@pytest.mark.parametrize(
    "topic",
    ["system/config-request/Alice/get/x", "system/config-request//get/x",
     "system/config-request/a/b", "system/config-request/a/b/c/d", "other/alice/get/x"],
)  # fmt: skip
def test_a_topic_that_names_no_sender_is_nobodys_request(topic: str) -> None:
    assert addressed(Message(topic, b"{}")) is None
