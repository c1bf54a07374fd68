"""The registry's patterns, filters and access rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.acl import (
    home_assistant_rules,
    person_rules,
    render_acl,
    rules,
    satellite_patterns,
)
from parlour_contracts.topics import (
    LLM_REPLY,
    LLM_REQUEST,
    STT_AUDIO,
    TOPICS,
    TRANSCRIPT,
    TURN_OPEN,
    BadTopicError,
    Topic,
    find,
)

TURN = "0190163d-8694-739b-aea5-966c26f8ad91"
VALUES = {
    "turn_id": TURN, "utterance_id": TURN, "site": "kitchen", "instance": "stt-worker-2",
    "service": "stt-worker", "user": "alice", "op": "patch", "config": "_all",
    "device": "parlour-router",
}  # fmt: skip


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_a_filled_topic_is_found_again_with_its_levels(topic: Topic) -> None:
    params = {p: VALUES[p] for p in topic.params}

    text = topic.topic(**params)

    assert topic.parse(text) == params
    assert find(text) is topic or text == "system/health/config-manager"


@pytest.mark.parametrize("site", ["", "Kitchen", "a/b", "+", "#", "kitchen\n", "a" * 64, "../x"])
def test_a_malformed_level_is_refused(site: str) -> None:
    with pytest.raises(BadTopicError):
        TURN_OPEN.topic(site=site)


@given(st.text(max_size=60))
def test_no_text_but_a_registered_topic_is_found(text: str) -> None:
    found = find(text)

    assert found is None or found.parse(text) is not None


def test_work_is_subscribed_through_its_group() -> None:
    assert TURN_OPEN.filter() == "$share/stt-worker/voice/+/turn/open"
    assert LLM_REQUEST.filter() == "$share/llm-worker/llm/request"
    assert STT_AUDIO.filter(instance="stt-worker") == "stt/stt-worker/audio/+/+"


def test_what_may_be_lost_goes_with_qos_0() -> None:
    partial = TRANSCRIPT.model(kind="partial", turn_id=TURN)
    final = TRANSCRIPT.model(kind="final", turn_id=TURN, is_final=True)
    delta = LLM_REPLY.model(kind="delta", request_id=TURN, instance="llm-worker")

    assert (TRANSCRIPT.qos_of(partial), TRANSCRIPT.qos_of(final)) == (0, 1)
    assert LLM_REPLY.qos_of(delta) == 0


def test_names_and_patterns_are_unique() -> None:
    assert len({t.name for t in TOPICS}) == len(TOPICS)
    assert len({t.pattern for t in TOPICS}) == len(TOPICS)


@pytest.mark.req("R011")
def test_only_state_health_and_configuration_are_retained() -> None:
    retained = {t.name for t in TOPICS if t.retain}

    assert retained == {
        "room_state", "health", "config_health",
        "config", "config_applied", "config_keys", "config_leader",
        "config_state", "home_assistant_device",
    }  # fmt: skip


def test_an_instance_may_write_only_its_own_health_and_read_only_its_own_work() -> None:
    granted = rules("llm-worker", "llm-worker-2")

    assert ("write", "system/health/llm-worker-2") in granted
    assert ("read", "llm/llm-worker-2/cancel") in granted
    assert not any("health/+" in topic for _, topic in granted)
    assert ("write", "llm/reply/+") in granted


def test_a_satellite_is_locked_into_its_room() -> None:
    for _, pattern in satellite_patterns():
        assert "%u" in pattern


def test_a_satellite_has_beside_its_room_what_every_process_has_and_sees_who_listens() -> None:
    granted = {topic: verb for verb, topic in rules("satellite", "kitchen")}

    assert not [topic for topic in granted if topic.startswith(("voice/", "stt/", "tts/"))]
    assert granted["system/health/+"] == "read"
    assert granted["system/health/kitchen"] == "write"
    assert granted["system/config/satellite"] == "read"
    assert granted["system/config-applied/satellite/kitchen"] == "write"
    assert [t for t, verb in granted.items() if "write" in verb and "+" in t] == []


def test_a_person_never_writes_what_a_worker_says() -> None:
    written = {topic for verb, topic in person_rules() if "write" in verb}

    assert "voice/+/transcript" not in written
    assert "voice/+/state" not in written
    assert "llm/request" not in written


@pytest.mark.req("F29")
def test_only_config_manager_may_write_what_is_signed() -> None:
    for service in ("stt-worker", "router", "llm-worker", "tts-worker", "satellite"):
        written = {topic for verb, topic in rules(service, service) if "write" in verb}

        assert written & {"system/config/+", "system/config-keys", "system/config-leader"} == set()
        assert f"system/config/{service}" not in written
        assert f"system/config-applied/{service}/{service}" in written

    keeper = {topic: verb for verb, topic in rules("config-manager", "config-manager")}
    assert keeper["system/config/+"] == "readwrite"
    assert keeper["system/config-applied/+/+"] == "read"


def test_an_instance_reads_its_own_service_s_configuration_alone() -> None:
    read = {topic for verb, topic in rules("stt-worker", "stt-worker-2") if "read" in verb}

    assert "system/config/stt-worker" in read
    assert not any(t.startswith("system/config/") and t != "system/config/stt-worker" for t in read)
    assert "system/config-leader" not in read


def test_an_order_to_start_anew_is_config_manager_s_to_give_and_its_instance_s_to_read() -> None:
    granted = rules("stt-worker", "stt-worker-2")
    restarts = [rule for rule in granted if rule[1].startswith("system/restart")]

    assert restarts == [("read", "system/restart/stt-worker-2")]
    assert ("write", "system/restart/+") in rules("config-manager", "config-manager")
    everybody = [*person_rules(), *home_assistant_rules()]
    assert not [topic for _, topic in everybody if "restart" in topic]


def test_everybody_asks_under_the_own_name() -> None:
    text = render_acl({"config-manager": "config-manager"}, ["alice"])

    assert "pattern write system/config-request/%u/#" in text
    assert "pattern read system/config-response/%u/#" in text
    alice = text.partition("user alice")[2]
    assert "config-request" not in alice
    assert "system/config/" not in alice


def test_home_assistant_sees_how_the_fleet_is_and_hears_nobody() -> None:
    granted = {topic: verb for verb, topic in home_assistant_rules()}

    assert [t for t, verb in granted.items() if "write" in verb] == ["homeassistant/status"]
    assert {t for t in granted if t.startswith("voice/")} == {"voice/+/turn/latency"}
    assert not {t for t in granted if t.startswith(("system/config/", "stt/", "tts/", "llm/"))}
    assert granted["system/config-state/+"] == granted["homeassistant/device/+/config"] == "read"


def test_the_account_of_home_assistant_is_no_person_s() -> None:
    text = render_acl({"config-manager": "config-manager"}, ["admin", "homeassistant"], "ha")

    its_own = text.partition("user homeassistant")[2]
    assert "voice/+/say" not in its_own
    assert "topic write ha/status" in its_own
    assert "topic write ha/device/+/config" in text.partition("user admin")[0]
    assert "user homeassistant" in text
    assert "homeassistant/" not in text


def test_the_access_list_names_every_user_once() -> None:
    text = render_acl({"router": "router", "stt-worker-2": "stt-worker"}, ["admin"])

    users = [line for line in text.splitlines() if line.startswith("user ")]
    assert users == ["user router", "user stt-worker-2", "user admin"]
    assert "$share" not in text
