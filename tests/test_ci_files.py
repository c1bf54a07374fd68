"""The workflow and the compose file keep what they promise; they are read, not run."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from parlour_cli.broker.running import BROKER_VARIABLE, REST_VARIABLE
from parlour_cli.broker.users import ADMIN, secret_file
from parlour_cli.keys.places import keys_dir, users_file
from parlour_cli.seed import MODEL_SETTINGS, starters_of
from parlour_cli.up.members import INSTANCES
from parlour_contracts.config import CONFIGS
from parlour_kit.models import load_manifest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
PROCESSES = sorted(INSTANCES)


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    loaded = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    found = job["steps"]
    assert isinstance(found, list)
    return found


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in steps(job))


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """Named volume → where it lies in the container."""
    pairs = [volume.split(":")[:2] for volume in service.get("volumes", [])]
    return {name: target for name, target in pairs if re.fullmatch(r"[a-z-]+", name)}


@pytest.mark.req("P031", "P037", "F43")
def test_ci_runs_on_every_push_and_by_hand(workflow: dict[Any, Any]) -> None:
    triggers = workflow[True]  # YAML 1.1 reads the key `on` as true

    assert "workflow_dispatch" in triggers
    assert triggers["push"] is None  # no branch and no path is left out


@pytest.mark.req("P031", "F43")
def test_there_are_three_jobs_and_none_waits_for_another(workflow: dict[Any, Any]) -> None:
    assert set(workflow["jobs"]) == {"lint", "test", "images"}
    assert not any("needs" in job for job in workflow["jobs"].values())


@pytest.mark.req("P031", "F43")
def test_lint_runs_on_312_and_tests_on_every_promised_python(workflow: dict[Any, Any]) -> None:
    lint, test = workflow["jobs"]["lint"], workflow["jobs"]["test"]
    setup = [s for s in steps(lint) if "setup-python" in s.get("uses", "")]

    assert [s["with"]["python-version"] for s in setup] == ["3.12"]
    assert test["strategy"]["matrix"]["python-version"] == ["3.11", "3.12"]
    assert "make lint" in commands(lint)
    assert "make coverage" in commands(test)
    assert "mosquitto" in commands(test)
    assert "make images" in commands(workflow["jobs"]["images"])


@pytest.mark.req("P037", "F43")
def test_nothing_that_fails_is_forgiven(workflow: dict[Any, Any]) -> None:
    everything = WORKFLOW.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]

    assert "continue-on-error" not in everything
    assert "|| true" not in everything
    assert "|| true" not in lint
    for tool in (
        "ruff format --check",
        "ruff check",
        "mypy",
        "lint-imports",
        "deptry",
        "lock --check",
    ):
        assert tool in lint
    assert workflow["jobs"]["test"]["strategy"]["fail-fast"] is False


@pytest.mark.req("P032", "F43")
def test_coverage_is_kept_for_thirty_days_in_both_forms(workflow: dict[Any, Any]) -> None:
    kept = [s["with"] for s in steps(workflow["jobs"]["test"]) if "upload" in s.get("uses", "")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert {item["path"] for item in kept} == {"coverage.xml", "htmlcov"}
    assert {item["retention-days"] for item in kept} == {30}
    assert all("${{ matrix.python-version }}" in item["name"] for item in kept)
    assert "--cov-report=xml" in makefile
    assert "--cov-report=html" in makefile


@pytest.mark.req("P032", "F43")
def test_images_are_built_and_not_pushed(workflow: dict[Any, Any]) -> None:
    text = WORKFLOW.read_text(encoding="utf-8")

    assert not re.search(r"docker (compose )?push|--push|push: true|docker login", text)
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.req("F43")
def test_actions_are_pinned_by_commit_and_name_their_release() -> None:
    uses = re.findall(r"uses: (.+)", WORKFLOW.read_text(encoding="utf-8"))

    assert uses
    for line in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9.]+", line), line


@pytest.mark.req("P028", "F43")
def test_every_process_is_in_the_compose_file_and_waits_for_the_broker_itself(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]

    assert set(PROCESSES) <= set(services)
    assert "broker" in services
    assert not any("depends_on" in service for service in services.values())


@pytest.mark.req("P028", "F43")
def test_broker_and_processes_have_a_health_check(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert "test" in compose["services"]["broker"]["healthcheck"]
    assert "\nHEALTHCHECK " in dockerfile
    assert not any("healthcheck" in compose["services"][name] for name in PROCESSES)


@pytest.mark.req("P029", "F43")
def test_data_lies_in_named_volumes_and_the_database_is_config_managers_alone(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    volumes = {name: mounted(service) for name, service in services.items()}
    used = {volume for found in volumes.values() for volume in found}

    assert used == set(compose["volumes"])
    assert volumes["config-manager"]["config"] == "/data"
    assert [name for name, found in volumes.items() if "config" in found] == ["config-manager"]
    assert "broker" in volumes["broker"]  # what is retained outlives a restart
    for name in ("stt-worker", "llm-worker", "tts-worker"):
        assert "models:/data/models:ro" in services[name]["volumes"]


@pytest.mark.req("C069")
def test_a_container_sees_the_keys_of_its_own_service_alone(compose: dict[str, Any]) -> None:
    for name in PROCESSES:
        keys = {v: t for v, t in mounted(compose["services"][name]).items() if "keys" in v}
        if name == "config-manager":
            assert keys.pop("keys") == "/keys"
            assert keys == {f"keys-{s}": f"/keys/{s}" for s in CONFIGS}
        else:
            assert keys == {f"keys-{name}": f"/keys/{name}"}
            assert f"keys-{name}:/keys/{name}:ro" in compose["services"][name]["volumes"]
    holders = [name for name, s in compose["services"].items() if "keys" in mounted(s)]
    assert holders == ["config-manager", "parlour"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all(f"/keys/{service}" in dockerfile for service in CONFIGS)  # a volume takes its owner


@pytest.mark.req("P030", "F43")
def test_one_bridge_network_and_nothing_published_beyond_this_machine(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert compose["networks"] == {"parlour": {"driver": "bridge"}}
    modes = {name: s["network_mode"] for name, s in services.items() if "network_mode" in s}
    assert modes == {"parlour": "service:config-manager"}  # REST is on its loopback interface
    assert all(s["networks"] == ["parlour"] for name, s in services.items() if name not in modes)
    assert list(ports) == ["broker"]
    assert all(port.startswith("127.0.0.1:") for port in ports["broker"])


def test_processes_run_without_rights_and_get_their_password_from_a_file(
    compose: dict[str, Any],
) -> None:
    for name in PROCESSES:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["secrets"] == [name]
        keys = (
            {
                "KEYS_DIR": "/keys",
                "CONFIG_SEED_FILE": "/seed.json",
                "USERS_FILE": "/data/secrets/users.json",
                "REST_PORT": "8080",
            }
            if name == "config-manager"
            else {"CONFIG_KEYS_FILE": f"/keys/{name}/keys.env"}
        )
        assert service["environment"] == {
            "MQTT_URL": f"mqtt://{name}@broker:1883",
            "MQTT_PASSWORD_FILE": f"/run/secrets/{name}",
            **keys,
        }
    assert re.search(r"^USER 1000:1000$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)


def test_the_operators_command_finds_the_fleet_where_the_compose_file_puts_it(
    compose: dict[str, Any],
) -> None:
    operator, manager = compose["services"]["parlour"], compose["services"]["config-manager"]
    data = Path(operator["environment"]["PARLOUR_DATA"])

    assert mounted(operator) == {
        "people": str(users_file(data).parent),
        "keys": str(keys_dir(data)),
    }
    assert manager["environment"]["USERS_FILE"] == str(users_file(data))
    assert mounted(manager)["people"] == str(users_file(data).parent)
    assert operator["secrets"] == [{"source": "admin", "target": str(secret_file(data, ADMIN))}]
    port = manager["environment"]["REST_PORT"]
    assert operator["environment"][REST_VARIABLE] == f"http://127.0.0.1:{port}"
    assert operator["environment"][BROKER_VARIABLE] == "mqtt://broker:1883"
    assert operator["read_only"] is True
    assert operator["cap_drop"] == ["ALL"]


def test_the_settings_in_the_compose_file_name_starter_models(compose: dict[str, Any]) -> None:
    starters = starters_of(load_manifest())

    seed = json.loads((ROOT / compose["configs"]["seed"]["file"]).read_text())
    assert set(seed) == set(MODEL_SETTINGS)
    for service, (setting, kind) in MODEL_SETTINGS.items():
        settings = seed[service]["settings"]
        assert settings == {setting: starters[kind]}
        assert CONFIGS[service].model_validate(settings)


def test_every_image_is_built_from_a_package_of_the_workspace(compose: dict[str, Any]) -> None:
    for name in [*PROCESSES, "models"]:
        arguments = compose["services"][name]["build"]["args"]
        project = tomllib.loads((ROOT / arguments["FOLDER"] / "pyproject.toml").read_text())

        assert project["project"]["name"] == arguments["SERVICE"]


@pytest.mark.threat(28)
def test_what_the_broker_allows_in_compose_is_what_parlour_up_allows() -> None:
    from parlour_cli.broker.mosquitto import LIMITS  # noqa: PLC0415  # used here alone

    conf = (ROOT / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")

    assert LIMITS in conf
    assert "allow_anonymous false" in conf


def test_the_example_environment_holds_placeholders_and_only_known_names() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^#? ?([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))
    known = (ROOT / "compose.yaml").read_text() + (ROOT / "mosquitto/make-passwords").read_text()

    assert settings
    assert all(name in known for name in settings)
    assert not any("password" in name.lower() and value for name, value in settings.items())
