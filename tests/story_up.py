"""A fleet started as a stranger starts it, with real models: ``parlour up``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secret_hunt import lines_with_secrets

PARLOUR = [sys.executable, "-m", "parlour_cli"]
READY_S = 120


@dataclass
class Up:
    """A running ``parlour up``; ``lines`` is all it printed."""

    process: subprocess.Popen[str]
    data: Path
    lines: list[str] = field(default_factory=list)

    def ask(self, *arguments: str, timeout: float = 90) -> tuple[int, dict[str, Any]]:
        """``parlour ask --json``; its exit code and its object."""
        done = subprocess.run(
            [*PARLOUR, "ask", "--json", "--data", str(self.data), *arguments],
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def pid_of(self, module: str) -> int:
        """The process of a service, found among the children of the fleet."""
        for pid in _descendants(self.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if module.encode() in words and b"parlour_cli.up.child" not in words:
                return pid
        raise AssertionError(f"{module} does not run")


@contextmanager
def parlour_up(
    data: Path, models: Path, *arguments: str, until: str = "parlour: ready in"
) -> Iterator[Up]:
    """A fleet in a data directory of its own, which shares the models; it has printed ``until``."""
    data.mkdir(parents=True, exist_ok=True)
    link = data / "models"
    if not link.exists():  # a story may bring models of its own
        link.symlink_to(models, target_is_directory=True)
    process = subprocess.Popen(
        [*PARLOUR, "up", "--data", str(data), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    up = Up(process, data)
    reader = threading.Thread(target=lambda: up.lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        wait_for(up, until, READY_S)
        yield up
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(timeout=5)
    assert lines_with_secrets(up.lines, data) == []


def wait_for(up: Up, text: str, seconds: float, since: int = 0) -> None:
    """Return when the fleet has printed something.

    Raises:
        AssertionError: it did not, with what it printed.
    """
    end = time.monotonic() + seconds
    while not any(text in line for line in up.lines[since:]):
        assert up.process.poll() is None, "".join(up.lines[-40:])
        assert time.monotonic() < end, "".join(up.lines[-40:])
        time.sleep(0.1)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found
