"""A fresh copy of the tree, `docker compose up`, and a house that talks and heals."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from parlour_cli.talk import client
from parlour_cli.talk.client import Conversation, Outcome
from parlour_cli.talk.recording import Recording, load_recording
from parlour_contracts.messages.turn import TurnClaimed
from parlour_contracts.topics import TURN_CLAIMED
from parlour_kit.clock import LoopClock
from parlour_kit.messenger import Messenger
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import MqttOptions
from parlour_testkit.fakes_stt import LoudnessVad
from story_compose import Fleet, containers

pytestmark = [
    pytest.mark.images, pytest.mark.docker, pytest.mark.model, pytest.mark.broker,
    pytest.mark.timeout(2400),
]  # fmt: skip

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
    binary = shutil.which(words[0])
    if binary is None:
        pytest.skip(f"{words[0]} is not installed (apt install mosquitto-clients)")
    return subprocess.run(
        [binary, "-h", "127.0.0.1", "-p", str(fleet.port), *words[1:]],
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
    fleet.until_ready(*PROCESSES)
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


ROOMS = [f"room-{number}" for number in range(1, 9)]
WORKERS = ("stt-worker", "stt-worker-2", "llm-worker", "llm-worker-2")


@asynccontextmanager
async def connection(fleet: Fleet, password: str, name: str) -> AsyncIterator[Messenger]:
    options = MqttOptions("127.0.0.1", fleet.port, "admin", password)
    bus = MqttBus.connect_to(options, name, LoopClock())
    messenger = Messenger(bus, name, LoopClock())
    await bus.start()
    await bus.wait_connected()
    try:
        yield messenger
    finally:
        await messenger.close()
        await bus.stop()


async def ask_everywhere(
    fleet: Fleet,
    password: str,
    recording: Recording,
    rooms: list[str],
    killed: str | None = None,
) -> tuple[list[Outcome], Counter[str]]:
    """A question in every one of these rooms at once: what came of each, and how many turns who listened to.

    ``killed`` is a worker that dies as soon as it listens to somebody.
    """
    claims: Counter[str] = Counter()
    listening = asyncio.Event()

    def claimed(message: TurnClaimed, _levels: dict[str, str]) -> None:
        claims[message.instance] += 1
        if message.instance == killed:
            listening.set()

    async def kill() -> None:
        await listening.wait()
        await asyncio.to_thread(fleet.compose, "kill", "--signal", "KILL", str(killed))

    async def ask_in(room: str) -> Outcome:
        async with connection(fleet, password, f"story-{room}") as messenger:
            return await Conversation(messenger, room).ask_aloud(recording)

    async with connection(fleet, password, "story-watch") as watcher:
        await watcher.on(TURN_CLAIMED, claimed)
        killing = asyncio.ensure_future(kill())
        outcomes = await asyncio.gather(*map(ask_in, rooms))
        if killed is None:
            killing.cancel()
        else:
            await killing
    return outcomes, claims


def understood(outcomes: list[Outcome]) -> bool:
    """Whether every room was heard; eight answers at once may be too many for few cores."""
    errors = {outcome.error.code for outcome in outcomes if outcome.error is not None}
    return all(outcome.transcript for outcome in outcomes) and errors <= {"LLM_TIMEOUT"}


def test_a_second_worker_takes_its_share_and_the_death_of_one_loses_no_turn(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile `scale`, with eight rooms that ask at once."""
    # Eight turns on few cores take their time; what counts here is that none is lost.
    monkeypatch.setattr(client, "TRANSCRIPT_S", 120.0)
    tmp_path.chmod(0o777)
    fleet.compose("--profile", "scale", "up", "--detach", "--wait", *WORKERS)
    try:
        fleet.until_ready("router", "tts-worker", *WORKERS)
        fleet.parlour("users", "token", "admin")
        fleet.parlour("config", "set", "llm-worker", "max_tokens=8", "timeout_s=120")
        folder = (f"{tmp_path}:/sound",)
        ask(fleet, "--text", "Tell me about rain.", "--out", "/sound/said.wav", volumes=folder)
        recording = load_recording(tmp_path / "said.wav", LoudnessVad())
        password = fleet.password("admin")

        outcomes, claims = asyncio.run(ask_everywhere(fleet, password, recording, ROOMS))

        assert understood(outcomes)
        # Shares are handed out in turn; one that is busy computing may get one less.
        assert set(claims) == {"stt-worker", "stt-worker-2"}
        assert min(claims.values()) >= len(ROOMS) // 2 - 1

        outcomes, claims = asyncio.run(
            ask_everywhere(fleet, password, recording, ROOMS[:4], "stt-worker-2")
        )

        assert understood(outcomes)
        assert sum(claims.values()) > len(outcomes), "some turn was taken over"
    finally:
        fleet.compose(
            "--profile", "scale", "rm", "--stop", "--force", "stt-worker-2", "llm-worker-2"
        )
