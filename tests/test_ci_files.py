"""The workflow keeps what it promises; it is read, not run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github/workflows/ci.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    loaded = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    found = job["steps"]
    assert isinstance(found, list)
    return found


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in steps(job))


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
