"""A traceback in a log says where, never what the variables held."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, structlog
from parlour_kit.log import configure
configure("DEBUG", sys.argv[1], "a-service")
def deep(words):
    raise OSError("went wrong")
try:
    deep("canary " + "in the mine")
except OSError:
    structlog.get_logger("parlour.test").exception("a request failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_variables(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=True
    )
    told = done.stdout + done.stderr

    assert "went wrong" in told
    assert ", in deep" in told
    assert "canary in the mine" not in told
