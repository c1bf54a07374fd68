"""The compose file keeps what it promises; it is read, not run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from parlour_cli.broker.running import BROKER_VARIABLE, REST_VARIABLE
from parlour_cli.broker.users import ADMIN, secrets_dir
from parlour_cli.keys.places import keys_dir, users_file
from parlour_cli.prepare.accounts import SECOND, broker_dir
from parlour_cli.prepare.listener import PORT, authority_dir
from parlour_cli.seed import MODEL_SETTINGS, starters_of
from parlour_cli.up.members import INSTANCES
from parlour_contracts.config import CONFIGS
from parlour_kit.models import load_manifest

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = INSTANCES | SECOND
"""Instance → service."""

ONCE = {"init", "models", "parlour", "certs", "backup"}
"""What ends by itself."""

WATCHERS = {"keeper", "keeper-2"}
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = compose["services"]
    assert isinstance(found, dict)
    return found


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """Named volume → where it lies in the container."""
    pairs = [v.split(":")[:2] for v in service.get("volumes", []) if isinstance(v, str)]
    return {name: target for name, target in pairs if re.fullmatch(r"[a-z0-9-]+", name)}


def read_only(service: dict[str, Any]) -> set[str]:
    return {v.split(":")[0] for v in service["volumes"] if isinstance(v, str) and v.endswith(":ro")}


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([mg])", text).groups()  # type: ignore[union-attr]
    return int(number) * (MEGABYTE if unit == "m" else 1024 * MEGABYTE)


def test_docker_compose_understands_it_with_and_without_every_profile() -> None:
    docker = shutil.which("docker")
    command = [docker or "", "compose"]
    if (
        docker is None
        or subprocess.run([*command, "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not installed")

    for profiles in ([], ["--profile", "*"]):
        done = subprocess.run([*command, *profiles, "config", "--quiet"], cwd=ROOT,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.req("P028", "F43")
def test_every_process_waits_for_nothing_but_what_is_made_once(
    services: dict[str, dict[str, Any]],
) -> None:
    assert {*PROCESSES, "broker", *ONCE} <= set(services)
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in ("init", "models"), name
            assert how["condition"] == "service_completed_successfully"


@pytest.mark.req("P028", "F43")
def test_broker_and_processes_have_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    check = dockerfile.partition("\nHEALTHCHECK ")[2]

    assert "test" in services["broker"]["healthcheck"]
    assert "127.0.0.1" in check
    assert "/healthz" in check
    assert not any("healthcheck" in services[name] for name in PROCESSES)


@pytest.mark.req("P029", "F43")
def test_data_lies_in_named_volumes_and_the_database_is_config_managers_and_its_backup_s(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    volumes = {name: mounted(service) for name, service in services.items()}
    used = {volume for found in volumes.values() for volume in found}

    assert used == set(compose["volumes"])
    assert volumes["config-manager"]["config"] == "/data"
    holders = {name for name, found in volumes.items() if "config" in found}
    assert holders == {"config-manager", "litestream", "backup"}
    assert "broker-store" in volumes["broker"]  # what is retained outlives a restart
    for name, service in PROCESSES.items():
        if service in MODEL_SETTINGS:
            assert "models" in read_only(services[name])
            assert f"state-{name}" in volumes[name]


@pytest.mark.req("C069")
def test_a_container_sees_the_password_and_the_keys_of_its_own_service_alone(
    services: dict[str, dict[str, Any]],
) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name, service in PROCESSES.items():
        found = mounted(services[name])
        keys = {v: t for v, t in found.items() if v.startswith("keys")}
        assert {v: t for v, t in found.items() if v.startswith("login")} == {
            f"login-{name}": "/login"
        }
        assert f"login-{name}" in read_only(services[name])
        if name == "config-manager":
            assert keys.pop("keys") == "/keys"
            assert keys == {f"keys-{s}": f"/keys/{s}" for s in CONFIGS}
        else:
            assert keys == {f"keys-{service}": f"/keys/{service}"}
            assert f"keys-{service}" in read_only(services[name])
        assert name in dockerfile, "a new volume takes its owner from the image's folder"
    holders = [name for name, s in services.items() if "keys" in mounted(s)]
    assert holders == ["config-manager", "parlour"]
    accounts = [name for name, s in services.items() if "accounts" in mounted(s)]
    assert accounts == ["init", "parlour"]
    assert [name for name, s in services.items() if "authority" in mounted(s)] == ["certs"]


def test_what_prepares_writes_where_the_others_look(services: dict[str, dict[str, Any]]) -> None:
    data = Path("/data")
    init, certs, broker = (mounted(services[name]) for name in ("init", "certs", "broker"))

    assert init["broker"] == certs["broker"] == broker["broker"] == str(broker_dir(data))
    assert init["accounts"] == str(secrets_dir(data))
    assert certs["authority"] == str(authority_dir(data))
    for name in PROCESSES:
        assert init[f"login-{name}"] == f"/data/logins/{name}"
    conf = (ROOT / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")
    for line in ("password_file /data/broker/passwd", "acl_file /data/broker/acl",
                 "include_dir /data/broker/conf.d", "persistence_location /data/store/"):  # fmt: skip
        assert line in conf
    assert "broker" in read_only(services["broker"])


@pytest.mark.req("P030", "F43")
def test_one_bridge_network_and_nothing_published_beyond_this_machine(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    assert compose["networks"] == {"parlour": {"driver": "bridge"}}
    modes = {name: s["network_mode"] for name, s in services.items() if "network_mode" in s}
    assert modes.pop("parlour") == "service:config-manager"  # REST is on its loopback interface
    assert set(modes) == {"init", "certs", "litestream", "backup", *WATCHERS}
    assert set(modes.values()) == {"none"}
    others = [s for name, s in services.items() if name not in modes and name != "parlour"]
    assert all(s["networks"] == ["parlour"] for s in others)
    for name, service in services.items():
        for port in service.get("ports", []):
            assert name in ("broker", "prometheus", "grafana")
            assert re.match(r"(\$\{[A-Z_]+:-)?127\.0\.0\.1", port), port
    assert f":{PORT}" in services["broker"]["ports"][1]


def test_everything_runs_without_rights_on_a_file_system_that_it_cannot_write(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("user", "1000:1000") != "0:0" or name in WATCHERS
    assert re.search(r"^USER 1000:1000$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)


def test_who_holds_the_engine_s_socket_is_reached_by_nobody(
    services: dict[str, dict[str, Any]],
) -> None:
    """It has no network, no named volume, no port, and one file of standard library to run."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert text.count("docker.sock") == 2, "the keeper's source and target, nowhere else"
    for name in WATCHERS:
        service = services[name]
        assert service["network_mode"] == "none"
        assert mounted(service) == {}
        assert "ports" not in service
        assert service["configs"] == [{"source": "keeper", "target": "/keeper.py"}]


def test_memory_processors_processes_and_logs_are_bounded_and_fit_a_machine_of_4_gb(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in services.items():
        assert service["pids_limit"] <= 400, name
        assert 0 < service["cpu_quota"] <= 400_000, name
        options = service["logging"]["options"]
        assert set(options) == {"max-size", "max-file"}
    always = [s for name, s in services.items() if "profiles" not in s and name not in ONCE]
    assert sum(size(s["mem_limit"]) for s in always) <= 3400 * MEGABYTE


def test_what_dies_is_started_again(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name not in ONCE:
            assert service["restart"] in ("unless-stopped", "always"), name


def test_processes_are_told_who_they_are_and_find_password_and_keys_in_files(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in PROCESSES.items():
        variables = dict(services[name]["environment"])
        assert variables.pop("MQTT_URL") == f"mqtt://{name}@broker:1883"
        assert variables.pop("MQTT_PASSWORD_FILE") == "/login/password"
        assert variables.pop("INSTANCE", name) == name
        if service == "config-manager":
            assert variables.pop("KEYS_DIR") == "/keys"
            assert variables.pop("CONFIG_SEED_FILE") == "/seed.json"
            assert variables.pop("USERS_FILE") == "/data/secrets/users.json"
            assert variables.pop("REST_PORT") == "8080"
            variables.pop("LITESTREAM_SOCKET", None)
            assert variables.pop("HOME_ASSISTANT") == "${HOME_ASSISTANT:-false}"
            assert "homeassistant" in variables.pop("HOME_ASSISTANT_PREFIX")
        else:
            assert variables.pop("CONFIG_KEYS_FILE") == f"/keys/{service}/keys.env"
        assert variables == {}


def test_the_operators_command_finds_the_fleet_where_the_compose_file_puts_it(
    services: dict[str, dict[str, Any]],
) -> None:
    operator, manager = services["parlour"], services["config-manager"]
    data = Path(operator["environment"]["PARLOUR_DATA"])

    found = mounted(operator)
    assert found["people"] == str(users_file(data).parent)
    assert found["keys"] == str(keys_dir(data))
    assert found["accounts"] == str(secrets_dir(data))
    assert manager["environment"]["USERS_FILE"] == str(users_file(data))
    assert mounted(manager)["people"] == str(users_file(data).parent)
    port = manager["environment"]["REST_PORT"]
    assert operator["environment"][REST_VARIABLE] == f"http://127.0.0.1:{port}"
    assert operator["environment"][BROKER_VARIABLE] == "mqtt://broker:1883"
    assert ADMIN not in INSTANCES


def test_the_settings_in_the_compose_file_name_starter_models(compose: dict[str, Any]) -> None:
    starters = starters_of(load_manifest())

    seed = json.loads((ROOT / compose["configs"]["seed"]["file"]).read_text())
    assert set(seed) == set(MODEL_SETTINGS)
    for service, (setting, kind) in MODEL_SETTINGS.items():
        settings = seed[service]["settings"]
        assert settings == {setting: starters[kind]}
        assert CONFIGS[service].model_validate(settings) is not None


def test_every_image_is_built_from_a_package_of_the_workspace_or_has_a_pinned_release(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in services.items():
        if "build" in service:
            arguments = service["build"]["args"]
            project = tomllib.loads((ROOT / arguments["FOLDER"] / "pyproject.toml").read_text())
            assert project["project"]["name"] == arguments["SERVICE"]
        else:
            assert re.search(r":v?\d+\.\d+", service["image"]), name
            assert name not in PROCESSES


def test_a_second_worker_differs_from_the_first_in_its_name_alone(
    services: dict[str, dict[str, Any]],
) -> None:
    for second, first in SECOND.items():
        mine, other = services[second], services[first]
        assert mine["profiles"] == ["scale"]
        for what in ("image", "build", "mem_limit", "restart", "depends_on", "cpu_quota"):
            assert mine[what] == other[what]


@pytest.mark.threat(28)
def test_what_the_broker_allows_in_compose_is_what_parlour_up_allows() -> None:
    from parlour_cli.broker.mosquitto import LIMITS  # noqa: PLC0415  # used here alone

    conf = (ROOT / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")

    assert LIMITS in conf
    assert "allow_anonymous false" in conf


def test_the_example_environment_holds_no_password_and_only_known_names() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^#? ?([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))
    known = (ROOT / "compose.yaml").read_text(encoding="utf-8")

    assert settings
    assert all(f"${{{name}" in known or name == "COMPOSE_PROFILES" for name in settings)
    assert not any("password" in name.lower() and value for name, value in settings.items())
