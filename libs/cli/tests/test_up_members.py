"""Unit: what a process of the fleet is told, and what is believed of what it says."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from parlour_cli.broker.choice import Broker
from parlour_cli.broker.files import write_private
from parlour_cli.broker.running import Access
from parlour_cli.seed import seed_file
from parlour_cli.up.members import INSTANCES, MEMBERS, environment_of, read_report
from parlour_config.keyfolder import service_path
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import WireError
from parlour_kit.bus import Message
from parlour_kit.ids import new_id
from parlour_kit.settings import ProcessSettings, load_settings

SECRET = "c4nary-S3cret"


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    password = tmp_path / "router.password"
    password.write_text(SECRET + "\n")
    url = "mqtt://127.0.0.1:1999"
    return Broker(
        "mosquitto",
        url,
        ("x",),
        signal.SIGTERM,
        Access(url=url, user="admin", password=SECRET),
        {"router": password},
    )


def test_a_process_finds_its_broker_user_and_password_and_nothing_secret_is_in_its_environment(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited = {
        "MQTT_URL": "mqtt://elsewhere",
        "MQTT_PASSWORD": "other",
        "INSTANCE": "x",
        "CONFIG_KEYS_FILE": "/no",
        "KEYS_DIR": "/no",
        "LOG_LEVEL": "debug",
        "CONFIG_CLEAR_POISON": "1",
        "REBUILD_TOKEN": SECRET,
    }
    found = environment_of("router", broker, tmp_path, inherited)
    assert found["CONFIG_CLEAR_POISON"] == "1", "what an operator says to a service reaches it"
    assert SECRET not in str(found)
    for name in inherited:
        monkeypatch.delenv(name, raising=False)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(ProcessSettings)
    options = settings.mqtt_options()
    assert (options.host, options.port, options.user, options.password) == (
        "127.0.0.1",
        1999,
        "router",
        SECRET,
    )
    assert settings.instance == "router"
    assert settings.log_level == "DEBUG"
    assert found["CONFIG_KEYS_FILE"] == str(service_path(tmp_path / "keys", "router"))
    assert "KEYS_DIR" not in found, "only config-manager sees all keys"
    assert settings.data_dir == tmp_path


def test_a_process_answers_how_it_is_on_the_port_that_it_is_given_of_this_machine_alone(
    broker: Broker, tmp_path: Path
) -> None:
    inherited = {"PROBE_HOST": "0.0.0.0", "PROBE_PORT": "80"}

    found = environment_of("router", broker, tmp_path, inherited, probe_port=12_345)
    none = environment_of("router", broker, tmp_path, inherited)

    assert (found["PROBE_HOST"], found["PROBE_PORT"]) == ("127.0.0.1", "12345")
    assert (none["PROBE_HOST"], none["PROBE_PORT"]) == ("127.0.0.1", "0")


def test_config_manager_alone_is_told_where_all_keys_and_users_are(
    broker: Broker, tmp_path: Path
) -> None:
    inherited = {"REBUILD_TOKEN": "opens-the-coal-cellar"}
    found = environment_of("config-manager", broker, tmp_path, inherited, rest_port=8123)

    assert found["KEYS_DIR"] == str(tmp_path / "keys")
    assert found["USERS_FILE"] == str(tmp_path / "secrets/users.json")
    assert (found["REST_HOST"], found["REST_PORT"]) == ("127.0.0.1", "8123")
    assert found["MQTT_ACL"] == "enforced"
    assert found["REBUILD_TOKEN"] == "opens-the-coal-cellar"
    assert "CONFIG_KEYS_FILE" not in found
    assert "CONFIG_SEED_FILE" not in found, "there is nothing to begin with any more"

    write_private(seed_file(tmp_path), "{}")
    found = environment_of("config-manager", broker, tmp_path, {})
    assert found["CONFIG_SEED_FILE"] == str(tmp_path / "config-seed.json")


@pytest.mark.parametrize(("kind", "shared"), [("embedded", None), ("foreign", "everybody")])
def test_config_manager_is_told_when_a_topic_does_not_say_who_asks(
    broker: Broker, tmp_path: Path, kind: str, shared: str | None
) -> None:
    lax = replace(broker, kind=kind, shared_user=shared)

    assert environment_of("config-manager", lax, tmp_path, {})["MQTT_ACL"] == "none"


def test_every_instance_is_a_member() -> None:
    assert {m.name for m in MEMBERS} == {"broker", *INSTANCES}


def health(**changes: object) -> Health:
    values: dict[str, object] = {
        "service": "stt-worker",
        "instance": "stt-worker",
        "status": "healthy",
        "ok": True,
        "ready": True,
        "version": "0.1.0",
        "boot": new_id(),
        "conn": 1,
        "seq": 1,
        "interval_s": 5.0,
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "event": "heartbeat",
    }
    return Health.model_validate(values | changes)


def message(
    payload: bytes, *, retain: bool = False, topic: str = "system/health/stt-worker"
) -> Message:
    return Message(topic, payload, retain=retain)


def test_a_live_health_message_is_believed_and_a_retained_one_is_not() -> None:
    said = health().encode()
    found = read_report(message(said))
    assert found is not None
    assert found[0] == "stt-worker"
    assert found[1].ready
    assert read_report(message(said, retain=True)) is None


def test_the_problem_and_its_hint_are_read() -> None:
    error = WireError(code="MODEL_MISSING", message="not here", retryable=False, hint="pull it")
    found = read_report(
        message(health(ready=False, ok=False, status="unhealthy", err=error).encode())
    )
    assert found is not None
    assert (found[1].problem, found[1].hint, found[1].code) == (
        "not here",
        "pull it",
        "MODEL_MISSING",
    )


def test_config_managers_own_form_is_read() -> None:
    payload = ConfigHealthPayload(
        ok=True,
        database_status="healthy",
        operational_mode="normal",
        config_epoch="",
        schema_version=1,
        lkg_cache_valid=False,
        litestream_status="disabled",
    )
    found = read_report(message(payload.encode(), topic="system/health/config-manager"))
    assert found is not None
    assert found[0] == "config-manager"
    assert found[1].ready


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xfe", b"[]", b"{}", b'{"ready": true}', b"x" * 70_000]
)
def test_a_hostile_health_message_is_ignored(payload: bytes) -> None:
    assert read_report(message(payload)) is None
    assert read_report(message(payload, topic="system/health/config-manager")) is None


def test_nobody_speaks_for_somebody_else() -> None:
    assert read_report(message(health().encode(), topic="system/health/router")) is None
