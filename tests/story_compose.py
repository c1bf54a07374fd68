"""The fleet in containers as a stranger starts it: a copy of the tree, and `docker compose up`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from parlour_testkit.brokers import free_port

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 240
BUILD_S = 1800
PARTS = ("Dockerfile", ".dockerignore", "compose.yaml", "pyproject.toml", "uv.lock", "compose",
         "mosquitto", "observe", "libs", "services", "config-manager")  # fmt: skip


@dataclass
class Fleet:
    """A Compose project of its own."""

    folder: Path
    project: str
    env: dict[str, str]

    @property
    def port(self) -> int:
        return int(self.env["PARLOUR_PORT"])

    def compose(
        self, *words: str, check: bool = True, timeout: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, *words], cwd=self.folder,
            env={**os.environ, **self.env}, capture_output=True, text=True, check=False,
            timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def parlour(self, *words: str, volumes: tuple[str, ...] = ()) -> str:
        """The operator's command; what it prints."""
        options = [option for volume in volumes for option in ("--volume", volume)]
        return self.compose("run", "--rm", "--no-deps", "-T", *options, "parlour", *words).stdout

    def password(self, user: str) -> str:
        shown = json.loads(self.parlour("credentials", "--user", user, "--json"))
        return str(shown["password"])

    def states(self) -> dict[str, dict[str, Any]]:
        """Service → what Docker says of its container; those that have ended, too."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return {found["Service"]: found for line in lines if (found := json.loads(line))}

    def started_at(self, service: str) -> str:
        """When its container started last, and the number of its process."""
        return self._docker("inspect", "--format", "{{.State.StartedAt}} {{.State.Pid}}", service)

    def logs(self, service: str) -> list[str]:
        return self._docker("logs", service).splitlines()

    def _docker(self, *words: str) -> str:
        command = ["docker", *words[:-1], self.states()[words[-1]]["ID"]]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        return done.stdout.strip()

    def running_since(self, service: str, before: str) -> bool:
        """Whether it runs in another life than the one of before."""
        return self.states()[service]["State"] == "running" and self.started_at(service) != before

    def healthy(self, service: str) -> bool:
        found = self.states().get(service, {})
        return (found.get("State"), found.get("Health")) == ("running", "healthy")

    def until_ready(self, *services: str) -> None:
        """Wait until each can do its work: its model is loaded, and does what it should."""
        script = "import urllib.request as r; r.urlopen('http://127.0.0.1:8081/ready', timeout=60)"
        for name in services:
            words = ("exec", "-T", name, "python", "-c", script)
            self.until(f"{name} ready", partial(self._works, *words))

    def _works(self, *words: str) -> bool:
        return self.compose(*words, check=False).returncode == 0

    def until(self, what: str, done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                shown = self.compose("logs", "--tail", "40", check=False).stdout
                raise AssertionError(f"not within {seconds} s: {what}\n{shown}")
            time.sleep(0.5)


def need_docker() -> None:
    """Skip where no Docker Engine with Compose answers."""
    docker = shutil.which("docker")
    for words in (["info"], ["compose", "version"]):
        if (
            docker is None
            or subprocess.run([docker, *words], capture_output=True, check=False).returncode
        ):
            pytest.skip("no Docker Engine with Compose answers")


@contextmanager
def containers(folder: Path, models: Path) -> Iterator[Fleet]:
    """A fresh copy of the tree, its images, and a project that is removed in the end.

    The starter models come from this machine, so that the story needs no 310 MB each time; what
    brings them finds them and checks them all the same.
    """
    need_docker()
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            hidden = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
            shutil.copytree(source, target, ignore=hidden)
        elif source.exists():
            shutil.copy(source, target)
    ports = {"PARLOUR_PORT": str(free_port()), "PARLOUR_TLS_PORT": str(free_port())}
    fleet = Fleet(folder, f"parlour-story-{os.getpid()}", ports)
    try:
        fleet.compose("build", timeout=BUILD_S)
        fleet.compose("create", "models")
        _bring(models, f"{fleet.project}_models")
        yield fleet
    finally:
        fleet.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def _bring(models: Path, volume: str) -> None:
    script = "cp -rL /from/. /to/ && chown -R 1000:1000 /to"
    subprocess.run(
        ["docker", "run", "--rm", "--volume", f"{models}:/from:ro", "--volume", f"{volume}:/to",
         "python:3.11-slim-bookworm", "sh", "-c", script],
        capture_output=True, check=True,
    )  # fmt: skip
