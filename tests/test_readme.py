"""What the README tells people to type works as printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from story_clients import need_clients
from story_up import Up, parlour_up

ROOT = Path(__file__).resolve().parents[1]


def block(heading: str, number: int) -> str:
    """The n-th block of bash below a heading."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)[number]


@pytest.fixture(scope="module")
def up(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    need_clients()
    data = tmp_path_factory.mktemp("readme") / "data"
    with parlour_up(data, models_dir, "--broker", "mosquitto") as running:
        yield running


def bash(lines: str, data: Path, seconds: int = 3) -> str:
    """Run lines as a person would, one after the other; what waits for ever is ended.

    What was left in the background has the time that the next line takes to type.
    """
    lines = lines.replace(" &\n", " &\nsleep 3\n")
    # A machine that runs the whole suite is busy, which health says by its exit code.
    lines = lines.replace("parlour health\n", "parlour health || test $? = 1\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{lines}\nsleep {seconds}\nkill %1 2>/dev/null || true"],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PATH": path, "PARLOUR_DATA": str(data), "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.model
@pytest.mark.broker
@pytest.mark.timeout(300)
def test_the_lines_that_change_settings_do_so(up: Up) -> None:
    shown = bash(block("Change anything, live", 0), up.data)

    assert "tts-worker: accepted, version 2" in shown
    assert "late evening" in shown
    assert "tts-worker: accepted, version 3" in shown
    assert "vad_threshold" in shown
    assert "config-manager" in shown

    said = bash(block("Change anything, live", 1), up.data)

    answers = [json.loads(line[line.index("{") :]) for line in said.splitlines() if "{" in line]
    outcome = [(a["op"], a["status"]) for a in answers if "op" in a]
    assert ("get", "accepted") in outcome
    assert ("patch", "accepted") in outcome
    assert ("history", "accepted") in outcome
    assert ("rollback", "accepted") in outcome
    refused = next(a for a in answers if a.get("status") == "rejected" and "op" in a)
    assert refused["error"] == "UNKNOWN_KEY"
    assert "history_messages" in json.dumps(refused["details"])
    applied = [a for a in answers if a.get("instance") == "router"]
    assert {a["status"] for a in applied} == {"applied"}
    assert len({a["checksum"] for a in applied}) >= 2


@pytest.mark.model
@pytest.mark.broker
@pytest.mark.timeout(300)
def test_the_lines_that_speak_are_spoken(up: Up) -> None:
    lines = block("Live with it", 0).replace("mosquitto_sub", "timeout 5 mosquitto_sub")

    said = bash(lines.replace("-T 'voice/+/audio/#'", "-T 'voice/+/audio/#' || true"), up.data, 0)

    assert "voice/kitchen/" in said
