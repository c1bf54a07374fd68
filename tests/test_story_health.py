"""A running fleet is asked how it is: over HTTP, process by process, and with `parlour health`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from parlour_contracts.messages.probes import HealthCheckResponse, Liveness, Readiness
from parlour_testkit.brokers import find_mosquitto
from prometheus_client.parser import text_string_to_metric_families
from story_up import PARLOUR, Up, parlour_up, wait_for

pytestmark = [pytest.mark.model, pytest.mark.broker, pytest.mark.timeout(600)]

CHECKS = {
    "config-manager": {"database", "schema", "mqtt"},
    "stt-worker": {"model", "audio", "mqtt"},
    "llm-worker": {"model", "mqtt"},
    "tts-worker": {"model", "mqtt"},
    "router": {"mqtt"},
}
OWN = {
    "config-manager": {"audio", "llm", "tts", "system"},
    "stt-worker": {"audio", "system"},
    "llm-worker": {"llm", "system"},
    "tts-worker": {"tts", "system"},
    "router": {"system"},
}
FORMS = {"/healthz": Liveness, "/ready": Readiness, "/health": HealthCheckResponse}
BROKEN = "smollm2-135m-instruct"


def get(up: Up, instance: str, path: str) -> httpx.Response:
    record = json.loads((up.data / "run" / "up.json").read_text())
    return httpx.get(f"http://127.0.0.1:{record['probe_ports'][instance]}{path}", timeout=20)


def health(up: Up) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [*PARLOUR, "health", "--json", "--data", str(up.data)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def strained(up: Up) -> bool:
    """Whether the machine itself is not well, of which no fleet can be healthy."""
    return not get(up, "router", "/health").json()["components"]["system"]


@pytest.fixture(scope="module")
def up(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    kind = "mosquitto" if find_mosquitto() else "embedded"
    data = tmp_path_factory.mktemp("health") / "data"
    with parlour_up(data, models_dir, "--broker", kind) as running:
        yield running


@pytest.fixture(scope="module")
def broken(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A fleet whose language model's file is not what it should be."""
    data = tmp_path_factory.mktemp("broken") / "data"
    (data / "models").mkdir(parents=True)
    for model in models_dir.iterdir():
        if model.name != BROKEN:
            (data / "models" / model.name).symlink_to(model)
    folder = data / "models" / BROKEN
    folder.mkdir()
    for file in (models_dir / BROKEN).iterdir():
        (folder / file.name).write_bytes(b"GGUF" + b"\0" * 100)
    with parlour_up(data, models_dir, until="parlour: not ready: llm-worker") as running:
        yield running


@pytest.mark.req("P012", "P013", "P014", "P034", "H008", "H030")
@pytest.mark.parametrize("instance", CHECKS)
def test_every_process_answers_all_four_questions(up: Up, instance: str) -> None:
    found = {path: get(up, instance, path) for path in (*FORMS, "/metrics")}

    for path, form in FORMS.items():
        form.model_validate_json(found[path].content)
    assert found["/healthz"].status_code == found["/ready"].status_code == 200
    checks = found["/ready"].json()["checks"]
    assert checks.keys() == CHECKS[instance]
    assert {check["status"] for check in checks.values()} == {"healthy"}, checks
    body = found["/health"].json()
    assert body["components"].keys() == OWN[instance]
    assert ("database" in body) == (instance == "config-manager")
    assert all(body["components"].values()) or strained(up), body
    names = {family.name for family in text_string_to_metric_families(found["/metrics"].text)}
    assert {"parlour_app_info", "parlour_health_check_status"} <= names
    shown = "".join(answer.text for answer in found.values())
    assert str(up.data) not in shown
    assert "127.0.0.1" not in shown


@pytest.mark.req("H032", "H033", "F32")
@pytest.mark.parametrize("instance", ["stt-worker", "llm-worker", "tts-worker"])
def test_the_check_of_an_engine_takes_its_time_because_it_works(up: Up, instance: str) -> None:
    model = get(up, instance, "/ready").json()["checks"]["model"]

    assert model["latency_ms"] > 1, "nothing but work takes so long"


@pytest.mark.req("H002", "H003", "H028", "X11", "D002")
def test_config_manager_answers_for_the_whole_fleet_and_parlour_health_says_the_same(
    up: Up,
) -> None:
    answer = get(up, "config-manager", "/health")
    code, told = health(up)

    body = answer.json()
    assert list(body["components"]) == ["audio", "llm", "tts", "system"]
    assert body["database"] == "connected"
    assert {one["instance"] for one in told["instances"]} == set(CHECKS)
    assert told["components"] == body["components"]
    if strained(up):
        assert (answer.status_code, body["status"], code) == (503, "degraded", 1)
    else:
        assert (answer.status_code, body["status"], code) == (200, "healthy", 0), (body, told)
        assert answer.headers["cache-control"] == "max-age=30"


@pytest.mark.req("F32", "F33", "H029", "H030")
def test_a_broken_model_is_told_with_its_cause_and_the_neighbours_are_unaffected(
    broken: Up,
) -> None:
    wait_for(broken, "hint:", 30)
    llm = {path: get(broken, "llm-worker", path) for path in FORMS}
    others = {name: get(broken, name, "/ready").status_code for name in CHECKS}
    fleet = get(broken, "config-manager", "/health")
    code, told = health(broken)

    assert {path: answer.status_code for path, answer in llm.items()} == {
        "/healthz": 200, "/ready": 503, "/health": 503,
    }  # fmt: skip
    check = llm["/ready"].json()["checks"]["model"]
    assert check["status"] == "unhealthy"
    assert check["message"].startswith("MODEL_CORRUPT")
    body = llm["/health"].json()
    assert (body["status"], body["components"]["llm"]) == ("unhealthy", False)
    assert body["error"].startswith("MODEL_CORRUPT")
    assert str(broken.data) not in llm["/health"].text
    assert others == {name: 503 if name == "llm-worker" else 200 for name in CHECKS}
    assert (fleet.status_code, fleet.json()["status"]) == (503, "unhealthy")
    assert {n for n, works in fleet.json()["components"].items() if not works} - {"system"} == {
        "llm"
    }
    assert (code, told["status"]) == (1, "unhealthy")
    (row,) = [one for one in told["instances"] if one["instance"] == "llm-worker"]
    assert row["problem"]
