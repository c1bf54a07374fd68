"""A fresh copy of the tree, `docker compose up`, and a house that talks and heals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from story_compose import Fleet, containers

pytestmark = [pytest.mark.docker, pytest.mark.model, pytest.mark.broker, pytest.mark.timeout(2400)]

PROCESSES = ("config-manager", "router", "stt-worker", "llm-worker", "tts-worker")
LASTING = ("broker", *PROCESSES, "keeper", "keeper-2")


@pytest.fixture(scope="module")
def fleet(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with containers(tmp_path_factory.mktemp("clone"), models_dir) as found:
        found.compose("up", "--detach", "--wait", "--wait-timeout", "600", timeout=700)
        yield found


def ask(fleet: Fleet, *words: str, volumes: tuple[str, ...] = ()) -> dict[str, Any]:
    answer = json.loads(fleet.parlour("ask", "--json", *words, volumes=volumes))
    assert isinstance(answer, dict)
    return answer


def publish(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    client = shutil.which(words[0])
    if client is None:
        pytest.skip(f"{words[0]} is not installed (apt install mosquitto-clients)")
    return subprocess.run(
        [client, "-h", "127.0.0.1", "-p", str(fleet.port), *words[1:]],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def applied(fleet: Fleet) -> Any:
    """What the router runs with, as it tells it itself."""
    name = "system/config-applied/router/router"
    done = publish(
        fleet, "mosquitto_sub", "-V", "mqttv5", "-u", "admin", "-P", fleet.password("admin"),
        "-q", "1", "-t", name, "-C", "1", "-W", "20",
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.req("P028")
def test_after_up_everything_is_healthy_and_what_makes_things_has_ended(fleet: Fleet) -> None:
    fleet.until("all healthy", lambda: all(fleet.healthy(name) for name in LASTING))
    states = fleet.states()

    for name in ("init", "models"):
        assert (states[name]["State"], states[name]["ExitCode"]) == ("exited", 0)


def test_a_spoken_question_is_understood_and_answered_aloud(fleet: Fleet, tmp_path: Path) -> None:
    """The question is what the fleet's own voice said before."""
    fleet.until("all ready", lambda: all(fleet.ready(name) for name in PROCESSES))
    tmp_path.chmod(0o777)
    folder = (f"{tmp_path}:/sound",)
    said = ask(fleet, "--text", "Where is the kettle?", "--out", "/sound/said.wav", volumes=folder)
    assert said["error"] is None, said

    heard = ask(fleet, "--wav", "/sound/said.wav", "--out", "/sound/answer.wav", volumes=folder)

    assert heard["error"] is None, heard
    assert heard["transcript"]
    assert heard["reply"]
    assert (tmp_path / "answer.wav").stat().st_size > 10_000


def history_messages(fleet: Fleet) -> tuple[int, int]:
    """What config-manager has stored for the router, and in which version."""
    shown = json.loads(fleet.parlour("config", "get", "router", "--json"))
    return shown["config"]["history_messages"], shown["metadata"]["version"]


@pytest.mark.req("C085")
def test_a_setting_is_changed_with_mosquitto_pub_and_survives_down_and_up_with_all_keys(
    fleet: Fleet,
) -> None:
    fleet.parlour("users", "token", "admin")
    password = fleet.password("admin")
    before = applied(fleet)["issued_at"]
    root = fleet.compose("exec", "-T", "config-manager", "cat", "/keys/root.key").stdout

    sent = publish(
        fleet, "mosquitto_pub", "-V", "mqttv5", "-u", "admin", "-P", password, "-q", "1",
        "-t", "system/config-request/admin/patch/router",
        "-m", '{"config":{"history_messages":7},"reason":"a shorter memory"}',
    )  # fmt: skip

    assert (sent.returncode, sent.stderr) == (0, "")
    fleet.until("applied", lambda: applied(fleet)["issued_at"] != before)
    assert applied(fleet)["status"] == "applied"
    stored = history_messages(fleet)
    assert stored[0] == 7

    fleet.compose("down", "--timeout", "10")
    fleet.compose("up", "--detach", "--wait", "--wait-timeout", "300", timeout=400)

    assert history_messages(fleet) == stored
    assert fleet.password("admin") == password
    kept = fleet.compose("exec", "-T", "config-manager", "cat", "/keys/root.key").stdout
    assert kept == root
    fleet.until("applied again", lambda: applied(fleet)["status"] == "applied")


def test_what_docker_kills_heals_by_itself_and_what_is_stopped_stays_stopped(fleet: Fleet) -> None:
    """Each in turn, the broker and those who bring back the others included."""
    fleet.until("all healthy", lambda: all(fleet.healthy(name) for name in LASTING))
    fleet.compose("stop", "tts-worker")
    lives: dict[str, str] = {}
    for service in (name for name in LASTING if name != "tts-worker"):
        before = lives[service] = fleet.started_at(service)
        fleet.compose("kill", "--signal", "KILL", service)
        fleet.until(f"{service} again", partial(fleet.running_since, service, before))

    assert fleet.states()["tts-worker"]["State"] == "exited"
    fleet.compose("start", "tts-worker")
    lives["tts-worker"] = fleet.started_at("tts-worker")
    fleet.compose("kill", "--signal", "KILL", "tts-worker")
    fleet.until("all healthy again", lambda: all(fleet.healthy(name) for name in LASTING))
    assert all(fleet.started_at(name) != before for name, before in lives.items())


def test_what_dies_by_itself_is_started_again_by_the_engine_alone(fleet: Fleet) -> None:
    if os.geteuid() != 0:
        pytest.skip("another user's process can be killed by root alone")
    fleet.until("all healthy", lambda: all(fleet.healthy(name) for name in LASTING))
    fleet.compose("stop", "keeper", "keeper-2")
    try:
        for service in ("broker", *PROCESSES):
            before = fleet.started_at(service)
            os.kill(int(before.split()[1]), signal.SIGKILL)
            fleet.until(f"{service} again", partial(fleet.running_since, service, before))
    finally:
        fleet.compose("start", "keeper", "keeper-2")
    fleet.until("all healthy again", lambda: all(fleet.healthy(name) for name in LASTING))


@pytest.mark.req("C069", "F29")
def test_a_process_holds_its_own_password_and_keys_and_can_write_next_to_nothing(
    fleet: Fleet,
) -> None:
    script = (
        "import os; found = [os.path.join(f, n) for top in ('/login', '/keys', '/data/secrets', "
        "'/data/broker') for f, _, names in os.walk(top) for n in names]; print(sorted(found)); "
        "print(os.getuid(), os.access('/opt/parlour', os.W_OK), os.access('/login', os.W_OK))"
    )
    for name in ("router", "stt-worker", "llm-worker", "tts-worker"):
        shown = fleet.compose("exec", "-T", name, "python", "-c", script).stdout.splitlines()
        assert shown[0] == str([f"/keys/{name}/keys.env", "/login/password"])
        assert shown[1] == "1000 False False"


@pytest.mark.req("F29", "P030")
def test_nobody_reaches_the_broker_without_a_password(fleet: Fleet) -> None:
    for protocol in ("mqttv311", "mqttv5"):
        done = publish(fleet, "mosquitto_sub", "-V", protocol, "-t", "#", "-C", "1", "-W", "5")
        assert "not authori" in done.stderr.lower()
    published = fleet.compose("port", "broker", "1883").stdout.strip()
    assert published == f"127.0.0.1:{fleet.port}"


def test_a_new_room_gets_an_account_and_the_tls_port_its_certificate(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.compose("run", "--rm", "-T", "init", "den")
    fleet.compose("run", "--rm", "-T", "certs", "localhost")
    fleet.compose("restart", "broker")
    fleet.until("the broker", lambda: fleet.healthy("broker"))
    fleet.compose("cp", "broker:/data/broker/tls/ca.crt", str(tmp_path / "ca.crt"))

    done = subprocess.run(
        ["mosquitto_sub", "-V", "mqttv5", "-h", "localhost", "-p", fleet.env["PARLOUR_TLS_PORT"],
         "--cafile", str(tmp_path / "ca.crt"), "-u", "den", "-P", fleet.password("den"),
         "-t", "voice/den/state", "-E", "-W", "10"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.req("P029")
def test_logs_are_bounded_and_one_json_object_for_each_line(fleet: Fleet) -> None:
    for name in PROCESSES:
        lines = fleet.logs(name)
        assert lines
        for line in lines:
            assert line.startswith("{"), (name, line)
            json.loads(line)
