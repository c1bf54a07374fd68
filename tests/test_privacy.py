"""Nothing that a process loads calls home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import sys
from parlour_kit import process

def load(model):  # where the process would begin, it loads what its engine loads
    import onnxruntime
    from onnxruntime.datasets import get_example
    onnxruntime.InferenceSession(get_example("mul_1.onnx"), providers=["CPUExecutionProvider"])
    sys.exit(0)

process.load_settings = load
process.main("nowhere.service:None")
"""


def run(code: str, home: Path, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home)} | environment,
        check=True,
        timeout=60,
    )


def test_the_library_that_counts_its_users_is_told_not_to_before_it_is_loaded(
    tmp_path: Path,
) -> None:
    pytest.importorskip("onnxruntime")
    left = tmp_path / "left alone"
    ours = tmp_path / "ours"
    left.mkdir()
    ours.mkdir()

    run(
        LOAD.replace('service.main("nowhere.service:None")', "load(None)"),
        left,
        ORT_DISABLE_TELEMETRY="",
    )
    run(LOAD, ours, ORT_DISABLE_TELEMETRY="")

    if not list(left.rglob("*")):
        pytest.skip("this onnxruntime leaves no trace of its reports to look for")
    assert list(ours.rglob("*")) == []
