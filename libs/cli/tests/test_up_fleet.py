"""`parlour up` for real: a real broker, real processes, a path with a blank in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest
from parlour_cli.broker.mosquitto import find_mosquitto

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]

PATIENCE_S = 90.0


class Up:
    """A running `parlour up`; its lines are read all the time."""

    def __init__(self, data: Path, *arguments: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MQTT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "parlour_cli", "up", "--data", str(data), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in (
                (self.process.stdout, self.out),
                (self.process.stderr, self.err),
            )
        ]
        for thread in self._threads:
            thread.start()
        self.seen: set[psutil.Process] = set()

    @staticmethod
    def _read(stream: IO[str], lines: list[str]) -> None:
        lines.extend(line.rstrip("\n") for line in stream)

    def children(self) -> dict[str, psutil.Process]:
        """Command line → process; remembers everybody it ever saw."""
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                found[" ".join(child.cmdline())] = child
            except psutil.Error:
                continue
            self.seen.add(child)
        return found

    def child(self, part: str) -> psutil.Process | None:
        return next((p for line, p in self.children().items() if line.endswith(part)), None)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"no {what}\n" + "\n".join(self.out + self.err)
            time.sleep(0.1)

    def wait_line(self, pattern: str) -> None:
        self.wait_for(
            lambda: any(re.search(pattern, line) for line in [*self.out, *self.err]), pattern
        )

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; exit code and seconds until the end."""
        self.children()
        begin = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(30)
        took = time.monotonic() - begin
        for thread in self._threads:
            thread.join(5)
        return code, took

    def survivors(self) -> list[psutil.Process]:
        return [p for p in self.seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "the data"


@pytest.fixture(params=["mosquitto", "embedded"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    return str(request.param)


@pytest.fixture
def up(data: Path, kind: str) -> Iterator[Up]:
    running = Up(data, "--broker", kind)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def test_without_models_it_says_what_is_missing_and_how_to_get_it_and_goes_on(
    up: Up, data: Path
) -> None:
    """It also restarts what crashes, is found by the other commands, and ends without a rest."""
    up.wait_line(r"^parlour: not ready: stt-worker: ")
    up.wait_line(r"hint: parlour models pull .* --data '.*the data'")
    up.wait_for(lambda: up.child("-m router") is not None, "router")

    shown = subprocess.run(
        [sys.executable, "-m", "parlour_cli", "credentials", "--user", "admin", "--json", "--data", str(data)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout)["user"] == "admin"
    second = subprocess.run(
        [sys.executable, "-m", "parlour_cli", "up", "--data", str(data)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert "already runs" in second.stderr

    everything = " ".join(up.children()) + "".join(str(p.environ()) for p in up.children().values())
    passwords = [p.read_text().strip() for p in (data / "secrets/mqtt").iterdir()]
    assert passwords
    assert not any(secret in everything for secret in passwords)

    victim = up.child("-m config_manager")
    assert victim is not None
    victim.kill()
    up.wait_line(r"config-manager was killed by signal 9; starting it again in 0.5 s")
    up.wait_line(r"config-manager is ready again")

    code, took = up.end(signal.SIGTERM)
    assert code == 0
    assert took < 10
    assert len(up.seen) >= 6
    assert up.survivors() == []
    assert not (data / "run/up.json").exists()


def test_kill_9_leaves_nobody_behind(up: Up) -> None:
    up.wait_for(
        lambda: len(up.children()) >= 5 and up.child("-m stt_worker") is not None, "workers"
    )
    # All are past the moment at which they bind themselves to their parent.
    up.wait_for(lambda: not any("child.py" in line for line in up.children()), "bound children")
    code, _ = up.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while up.survivors() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert up.survivors() == []


def test_a_wrong_setting_to_begin_with_ends_the_fleet_with_78(data: Path) -> None:
    (data / "config").mkdir(parents=True)
    (data / "config/tts-worker.json").write_text('{"speed": 9000}')
    running = Up(data)
    code = running.process.wait(PATIENCE_S)
    time.sleep(0.2)
    assert code == 78
    assert any("speed" in line for line in running.err)
    assert not any("Traceback" in line for line in running.err)


def parlour(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "parlour_cli", *words, "--data", str(data)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_settings_and_health_of_a_running_fleet_are_seen_and_changed_by_commands(
    up: Up, data: Path
) -> None:
    up.wait_line(r"^parlour: not ready: ")
    up.wait_for(lambda: up.child("-m router") is not None, "router")
    up.wait_for(lambda: '"router"' in parlour(data, "health", "--json").stdout, "health of router")
    changed = parlour(data, "config", "set", "router", "history_messages=3", "--reason", "test")
    assert changed.returncode == 0, changed.stderr

    def runs() -> bool:
        shown = parlour(data, "config", "watch", "--once", "--json")
        assert shown.returncode == 0, shown.stderr
        return any(
            (row["instance"], row["status"]) == ("router", "applied")
            for row in json.loads(shown.stdout)
        )

    up.wait_for(runs, "new settings of router")
    shown = parlour(data, "config", "get", "router")
    assert "every instance runs with it" in shown.stdout
    health = parlour(data, "health")
    assert health.returncode == 1, "workers without a model are not healthy"
    assert "config-manager" in health.stdout
    assert up.end(signal.SIGTERM)[0] == 0


@pytest.mark.model
def test_with_the_starter_models_it_is_ready_and_says_so_once(
    models_dir: Path, data: Path, kind: str
) -> None:
    data.mkdir()
    (data / "models").symlink_to(models_dir)
    running = Up(data, "--broker", kind)
    running.wait_line(r"^parlour: ready in ")
    code, took = running.end(signal.SIGINT)
    assert code == 0
    assert took < 10
    assert len(running.out) == 1
    assert re.fullmatch(r"parlour: ready in \d+\.\d s at mqtt://127\.0\.0\.1:\d+", running.out[0])
    assert any("using starter model base for whisper_model" in line for line in running.err)
    assert running.survivors() == []
