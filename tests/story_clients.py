"""Mosquitto's own clients against a fleet, as a person types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PARLOUR = [sys.executable, "-m", "parlour_cli"]


def need_clients() -> None:
    """Skip where Mosquitto's clients are not installed."""
    for name in ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed (apt install mosquitto-clients)")


@dataclass
class Person:
    """Somebody with an account at the broker of a running fleet."""

    data: Path
    name: str = "admin"

    @property
    def options(self) -> list[str]:
        """How the clients reach the broker."""
        shown = subprocess.run(
            [*PARLOUR, "credentials", "--user", self.name, "--json", "--data", str(self.data)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        found = json.loads(shown)
        host, port = found["url"].removeprefix("mqtt://").split(":")
        return ["-V", "mqttv5", "-h", host, "-p", port, "-u", found["user"], "-P",
                found["password"], "-q", "1"]  # fmt: skip

    def request(self, op: str, service: str, body: dict[str, Any] | str) -> dict[str, Any]:
        """mosquitto_rr: the answer to a request."""
        text = body if isinstance(body, str) else json.dumps(body)
        done = subprocess.run(
            ["mosquitto_rr", *self.options, "-W", "10",
             "-t", f"system/config-request/{self.name}/{op}/{service}",
             "-e", f"system/config-response/{self.name}/rr", "-m", text],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.stdout, done.stderr or "no answer"
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def publish(self, topic: str, text: str, *more: str) -> str:
        """mosquitto_pub; returns what it complained about."""
        done = subprocess.run(
            ["mosquitto_pub", *self.options, *more, "-t", topic, "-m", text],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        return done.stderr

    def retained(self, topic: str, seconds: int = 5) -> dict[str, Any]:
        """mosquitto_sub: what is retained on a topic."""
        done = subprocess.run(
            ["mosquitto_sub", *self.options, "-C", "1", "-W", str(seconds), "-t", topic],
            capture_output=True, text=True, check=False, timeout=seconds + 10,
        )  # fmt: skip
        assert done.stdout, f"nothing is retained on {topic}"
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    @contextmanager
    def listening(self, topic: str) -> Iterator[list[str]]:
        """mosquitto_sub within a block: the list holds what came once the block is left."""
        found: list[str] = []
        process = subprocess.Popen(
            ["mosquitto_sub", *self.options, "-t", topic], stdout=subprocess.PIPE, text=True
        )
        time.sleep(1)
        try:
            yield found
        finally:
            time.sleep(0.5)
            process.terminate()
            found += (process.communicate()[0] or "").splitlines()

    def applied(
        self,
        service: str,
        issued_at: str,
        seconds: float = 60.0,
        *,
        before: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What the service says once it has dealt with the configuration of that time.

        Args:
            before: what it said before the change: an error in there is of another one.
        """
        end = time.monotonic() + seconds
        while True:
            found = self.reported(service)
            refused = found["error"] is not None and found != before
            if found["issued_at"] == issued_at or refused:
                return found
            assert time.monotonic() < end, found
            time.sleep(0.2)

    def reported(self, service: str) -> dict[str, Any]:
        """What the service last said of its configuration."""
        return self.retained(f"system/config-applied/{service}/{service}")

    def change(self, service: str, **config: Any) -> dict[str, Any]:
        """A patch that is accepted and applied; returns the answer."""
        before = self.reported(service)
        answer = self.request("patch", service, {"config": config, "reason": "a story"})
        assert answer["status"] == "accepted", answer
        report = self.applied(service, answer["issued_at"], before=before)
        assert (report["status"], report["source"]) == ("applied", "mqtt"), report
        return answer
