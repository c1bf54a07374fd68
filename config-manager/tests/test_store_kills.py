"""Short forms of the long trials in ``tools``: kills while writing, and many writers at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def trial(name: str, count: int) -> str:
    """Run a trial in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, str(TOOLS / name), "--count", str(count)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.req("C065", "C076")
def test_three_hundred_kills_lose_halve_and_double_nothing() -> None:
    told = trial("kill_writes.py", 300)

    accepted, unseen = (
        int(n) for n in re.findall(r"(\d+) changes seen accepted, (\d+) committed unseen", told)[0]
    )
    assert accepted > 100
    assert unseen > 0
    assert told.rstrip().endswith("0 problems")


@pytest.mark.req("C050", "F9")
def test_sixteen_writers_lose_no_update_in_a_thousand_sets() -> None:
    told = trial("lost_updates.py", 1000)

    assert "1000 sets" in told
    assert told.rstrip().endswith("0 problems")


@pytest.mark.req("C065")
def test_a_writer_that_dies_at_any_statement_leaves_all_of_a_change_or_nothing() -> None:
    told = trial("failpoints.py", 2)

    deaths, whole = (int(n) for n in re.findall(r"(\d+) deaths in \d+ s, (\d+)", told)[0])
    assert deaths > 60
    assert whole == 2  # after COMMIT, once a round
    assert told.rstrip().endswith("0 problems")
