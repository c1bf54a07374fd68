"""Unit: the doctor tells what is wrong, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parlour_cli.app import app
from parlour_cli.doctor import findings, probes
from parlour_cli.doctor.findings import GIB, Finding


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (findings.python((3, 10, 9), "x86_64"), "error"),
        (findings.python((3, 14, 0), "x86_64"), "error"),
        (findings.python((3, 13, 2), "aarch64"), "ok"),
        (findings.memory(GIB // 2, GIB // 4, 0), "error"),
        (findings.memory(8 * GIB, GIB // 2, 0), "warning"),
        (findings.memory(int(1.9 * GIB), int(1.5 * GIB), 0), "warning"),
        (findings.memory(8 * GIB, 4 * GIB, 0), "ok"),
        (findings.disk(GIB // 4, "/"), "error"),
        (findings.disk(GIB, "/"), "warning"),
        (findings.disk(9 * GIB, "/"), "ok"),
        (findings.processor(4, "x86_64", frozenset({"sse2"})), "warning"),
        (findings.processor(1, "aarch64", frozenset({"asimd"})), "warning"),
        (findings.processor(4, "aarch64", frozenset({"asimd"})), "ok"),
        (findings.packages(["llama_cpp"]), "error"),
        (findings.packages([]), "ok"),
        (findings.mosquitto(None, None, True), "warning"),
        (findings.mosquitto(None, None, False), "error"),
        (findings.mosquitto("/m", (1, 6, 9), True), "error"),
        (findings.mosquitto("/m", (2, 0, 11), True), "ok"),
        (findings.model("base", "stt-worker", "model.bin: missing", False, "pull"), "error"),
        (findings.model("base", "stt-worker", "", True, "pull"), "error"),
        (findings.model("base", "stt-worker", "", False, "pull"), "ok"),
        (findings.data_dir("/d", True, False, 0o700, True), "error"),
        (findings.data_dir("/d", True, True, 0o755, True), "warning"),
        (findings.data_dir("/d", True, True, 0o700, True), "ok"),
        (findings.data_dir("/d", False, True, 0, True), "ok"),
    ],
)
def test_each_finding_has_its_level_and_what_is_wrong_has_a_hint(
    finding: Finding, level: str
) -> None:
    assert finding.level == level
    assert bool(finding.hint) == (level != "ok")


def test_heat_is_told_only_where_it_can_be_read() -> None:
    assert findings.temperature(None, None) is None
    hot = findings.temperature(85.0, None)
    slow = findings.temperature(60.0, True)
    cool = findings.temperature(45.0, False)
    assert hot is not None
    assert hot.level == "warning"
    assert slow is not None
    assert slow.level == "warning"
    assert cool is not None
    assert cool.level == "ok"


def test_an_unhealthy_process_of_the_fleet_is_an_error_with_its_own_hint() -> None:
    found = findings.fleet(
        "mqtt://x",
        {"a": ("healthy", True, "", ""), "b": ("unhealthy", False, "no model", "pull it")},
    )
    assert [(f.name, f.level) for f in found] == [("fleet", "ok"), ("a", "ok"), ("b", "error")]
    assert found[2].hint == "pull it"


def test_a_machine_without_models_ends_with_1_and_says_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "my data"
    code = app(["doctor", "--json", "--data", str(data)], result_action="return_value")
    shown = json.loads(capsys.readouterr().out)
    assert code == 1
    assert shown["ok"] is False
    hints = [f["hint"] for f in shown["findings"] if f["name"].startswith("model ")]
    assert len(hints) == 3
    assert all("parlour models pull" in hint and "my data" in hint for hint in hints)


def test_the_table_marks_each_finding_and_shows_brackets_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "models", lambda _data: [Finding("x", "error", "[bold]", "do it")])
    assert app(["doctor", "--data", str(tmp_path)], result_action="return_value") == 1
    shown = capsys.readouterr().out
    assert "[bold]" in shown
    assert "→ do it" in shown
    assert "✓" in shown
    assert "✗" in shown
