"""Brings back what `docker kill` killed, because Docker itself does not.

Docker Engine takes a `kill` by its own command like a `stop`: whatever its restart policy, the
container stays down. A process that dies in any other way is restarted by the engine, without this
program. It follows the engine's events, and starts a container of its own Compose project again
when it was killed with SIGKILL and nothing else. `stop` and `down` send another signal first, and
are left alone.

It holds the engine's socket, which is as much as being root on the machine. So it is this one file
of standard library, has no network and no volume, and takes in nothing but what the engine says.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

SOCKET = Path("/var/run/docker.sock")
ALIVE = Path("/tmp/alive")  # the container's own, read by its health check
PROJECT = "com.docker.compose.project"
ONE_OFF = "com.docker.compose.oneoff"
LISTEN_S = 10.0
PAUSE_S = 1.0
"""A container that is removed after the kill is gone by then."""

KILL = "9"


class Deaths:
    """Pure: events of the engine in, containers to start again out."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._signals: dict[str, list[str]] = {}

    def hear(self, event: dict[str, Any]) -> str | None:
        """The id of a container that somebody killed, when this event is its death."""
        actor = event.get("Actor") or {}
        about = actor.get("Attributes") or {}
        container, action = str(actor.get("ID", "")), event.get("Action")
        if about.get(PROJECT) != self._project or about.get(ONE_OFF, "False") == "True":
            return None
        if action == "kill":
            self._signals.setdefault(container, []).append(str(about.get("signal", "")))
        elif action == "start":
            self._signals.pop(container, None)
        elif action == "die":
            return container if self._signals.pop(container, []) == [KILL] else None
        return None


class _Connection(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(SOCKET))


def _call(method: str, path: str) -> tuple[int, bytes]:
    connection = _Connection("docker", timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _project() -> str:
    """The Compose project of this container, whose name is the host's."""
    status, body = _call("GET", f"/containers/{quote(socket.gethostname())}/json")
    if status != http.HTTPStatus.OK:
        raise OSError(f"the engine does not know this container: {status}")
    return str(json.loads(body)["Config"]["Labels"][PROJECT])


def _events(project: str, since_ns: int) -> Iterator[dict[str, Any]]:
    """What happens to the project's containers, until nothing did for a while."""
    filters = {
        "type": ["container"],
        "event": ["kill", "die", "start"],
        "label": [f"{PROJECT}={project}"],
    }
    connection = _Connection("docker", timeout=LISTEN_S)
    try:
        since = f"{since_ns // 10**9}.{since_ns % 10**9:09}"
        connection.request("GET", f"/events?since={since}&filters={quote(json.dumps(filters))}")
        answer = connection.getresponse()
        while True:
            line = answer.readline()
            if not line:
                return
            yield json.loads(line)
    except TimeoutError:
        return
    finally:
        connection.close()


def _bring_back(container: str) -> None:
    time.sleep(PAUSE_S)
    status, _ = _call("POST", f"/containers/{quote(container)}/start")
    outcome = {204: "started again", 304: "runs already", 404: "was removed"}
    _say(f"{container[:12]} was killed; {outcome.get(status, f'cannot start it: {status}')}")


def _say(text: str) -> None:
    sys.stdout.write(
        json.dumps({"level": "INFO", "logger": "parlour.keeper", "message": text}) + "\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Follow the events for ever."""
    if not SOCKET.is_socket():
        _say("there is no engine's socket here: what docker kill killed stays down")
    since_ns, deaths = time.time_ns(), None
    while True:
        ALIVE.touch()
        try:
            project = _project()
            deaths = deaths or Deaths(project)
            for event in _events(project, since_ns):
                ALIVE.touch()
                since_ns = int(event["timeNano"]) + 1
                if container := deaths.hear(event):
                    _bring_back(container)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            _say(f"the engine cannot be followed: {type(error).__name__}")
            time.sleep(LISTEN_S)


if __name__ == "__main__":
    os.nice(5)
    main()
