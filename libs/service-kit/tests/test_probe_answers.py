"""What is answered to whoever asks how a process is, as pure values."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from parlour_contracts.messages.health import HealthCheckResult
from parlour_contracts.messages.probes import (
    CheckState,
    HealthCheckFailure,
    HealthCheckResponse,
    Liveness,
    Readiness,
)
from parlour_kit.probes import answers
from parlour_kit.probes.answers import STUCK_S, Answer, Facts
from parlour_kit.probes.checks import CheckResult

NOW = datetime(2026, 11, 24, 12, 0, 0, 1000, UTC)
STAMP = "2026-11-24T12:00:00.001000Z"
ALL = {"audio": True, "llm": True, "tts": True, "system": True}


def result(name="model", state="healthy", message="it works") -> CheckResult:
    return CheckResult(name, "llm", state, 12.5, message, 0.0, STAMP)


def body(answer: Answer) -> dict:
    return json.loads(answer.encode())


@pytest.mark.req("P012", "P034")
def test_healthz_says_whether_the_main_loop_turns_and_nothing_else() -> None:
    alive, stuck = answers.liveness(0.5, NOW), answers.liveness(STUCK_S, NOW)

    assert (alive.code, stuck.code) == (200, 503)
    assert body(alive).keys() == {"status", "timestamp", "version"}
    assert (body(alive)["status"], body(stuck)["status"]) == ("healthy", "unhealthy")
    assert re.fullmatch(r"\d+\.\d+\.\d+", body(alive)["version"])
    assert body(alive)["timestamp"] == STAMP


@pytest.mark.req("P013", "P014", "X23")
@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((), 200),
        (("healthy", "healthy"), 200),
        (("healthy", "degraded"), 200),
        (("healthy", "unknown"), 200),
        (("unhealthy", "healthy"), 503),
        (("unhealthy", "degraded"), 503),
    ],
)
def test_only_a_check_that_fails_makes_a_process_not_ready(states, code) -> None:
    results = [result(f"check-{n}", state) for n, state in enumerate(states)]

    found = answers.readiness(results, NOW)

    assert found.code == code
    assert body(found)["status"] == ("ready" if code == 200 else "not_ready")
    assert body(found).keys() == {"status", "timestamp", "version", "checks"}
    for check in body(found)["checks"].values():
        assert check.keys() == {"status", "latency_ms", "message"}
        assert check["status"] in ("healthy", "unhealthy", "degraded")


@pytest.mark.req("P013")
def test_a_process_that_still_loads_is_not_ready_and_says_so() -> None:
    found = answers.readiness([result()], NOW, "loads")

    assert found.code == 503
    assert body(found)["checks"]["start"]["message"] == "loads"


@pytest.mark.req("H001", "H002", "H027", "H028", "H029")
def test_health_is_200_when_healthy_and_503_else_and_details_only_what_is_bad() -> None:
    good = HealthCheckResult(component_name="llm", is_healthy=True, timestamp=STAMP)
    bad = HealthCheckResult(
        component_name="tts", is_healthy=False, details="model: CHECK_TIMEOUT", latency_ms=3000.0,
        timestamp=STAMP,
    )  # fmt: skip
    well = answers.health(Facts("healthy", ALL, [good]), NOW)
    ill = answers.health(Facts("degraded", {**ALL, "tts": False}, [good, bad]), NOW)
    worst = answers.health(Facts("unhealthy", {**ALL, "llm": False}), NOW)

    assert (well.code, ill.code, worst.code) == (200, 503, 503)
    assert well.headers == {"Cache-Control": "max-age=30"}
    assert ill.headers == worst.headers == {"Cache-Control": "no-cache"}
    assert body(well) == {"status": "healthy", "components": ALL, "timestamp": STAMP}
    assert body(ill)["details"] == [
        {
            "component_name": "tts", "is_healthy": False, "details": "model: CHECK_TIMEOUT",
            "latency_ms": 3000.0, "timestamp": STAMP,
        }
    ]  # fmt: skip
    assert body(worst)["error"] == "does not work: llm"


@pytest.mark.req("X11", "D002")
def test_who_has_a_database_tells_of_it_and_an_error_only_when_not_healthy() -> None:
    well = body(answers.health(Facts("healthy", ALL, database="connected", error="x"), NOW))
    ill = body(answers.health(Facts("unhealthy", ALL, database="disconnected"), NOW))

    assert (well["database"], ill["database"]) == ("connected", "disconnected")
    assert "error" not in well
    assert ill["error"] == "does not work: database"


@pytest.mark.req("H027")
def test_checking_that_fails_itself_is_a_500_of_its_own_form() -> None:
    found = answers.unable("the checks took too long", NOW)

    assert found.code == 500
    assert body(found) == {
        "status": "error", "error": "the checks took too long", "timestamp": STAMP,
    }  # fmt: skip


@pytest.mark.req("P035")
@pytest.mark.parametrize("given", ["abc-123", "0199f0d2-7c7a-7b10-8000-2b0c1f0e4a11"])
def test_a_request_id_is_taken(given: str) -> None:
    assert answers.request_id(given) == given


@pytest.mark.req("P035")
@pytest.mark.parametrize("given", [None, "", "a" * 65, "a b", "a\r\nSet-Cookie: x", "ä"])
def test_what_is_no_request_id_is_not_taken_and_a_new_one_made(given: str | None) -> None:
    made = answers.request_id(given)

    assert made != given
    assert re.fullmatch(r"[0-9a-f-]{36}", made)


@pytest.mark.req("H026")
def test_an_example_of_every_answer_is_one_of_its_form() -> None:
    examples = {
        Liveness: {"status": "healthy", "timestamp": STAMP, "version": "1.0.0"},
        CheckState: {"status": "degraded", "latency_ms": 1.5, "message": "DEGRADED"},
        Readiness: {"status": "ready", "timestamp": STAMP, "version": "1.0.0", "checks": {}},
        HealthCheckResponse: {"status": "healthy", "components": ALL, "timestamp": STAMP},
        HealthCheckFailure: {"status": "error", "error": "it failed", "timestamp": STAMP},
    }
    for model, example in examples.items():
        found = model.model_validate_json(json.dumps(example))
        assert json.loads(found.model_dump_json(exclude_none=True)) == example
