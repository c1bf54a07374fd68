"""Real brokers for tests: the mosquitto binary, and Mosquitto in a container.

The ladder of ``any_broker``: ``$TEST_BROKER_URL``, the binary, a container; else skip.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from parlour_kit.mqtt_link import MqttOptions

CONF = """\
listener {port} {host}
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 20000
max_inflight_messages 20
max_packet_size 1048576
"""
IMAGE = "eclipse-mosquitto:2.0"


def free_port() -> int:
    """A port of this machine that nobody listens to now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str | None:
    """The binary; Debian puts it where users do not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def wait_for_port(host: str, port: int, seconds: float = 20.0) -> None:
    """Return when somebody listens.

    Raises:
        TimeoutError: nobody did in time.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host, port), timeout=1):
                return
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"nobody listens at {host}:{port}") from None
            time.sleep(0.05)


class MosquittoProcess:
    """The mosquitto binary on a port of its own; can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._conf = folder / "mosquitto.conf"
        self._conf.write_text(CONF.format(port=self.port, host="127.0.0.1"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> MqttOptions:
        """How to reach it."""
        return MqttOptions("127.0.0.1", self.port)

    def start(self) -> None:
        """Start and wait until it listens."""
        binary = find_mosquitto()
        assert binary is not None
        self._process = subprocess.Popen(  # noqa: S603  # a binary of the system, our own file
            [binary, "-c", str(self._conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port("127.0.0.1", self.port)

    def kill(self) -> None:
        """Kill it at once, as -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def mosquitto_process() -> Iterator[MosquittoProcess]:
    """The binary, running; skips where it is not installed."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    with tempfile.TemporaryDirectory() as folder:
        broker = MosquittoProcess(Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


@contextmanager
def mosquitto_container() -> Iterator[MqttOptions]:
    """Mosquitto in a container; skips where no Docker Engine answers."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run(  # noqa: S603  # a question to the engine
            [docker, "info"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no Docker Engine answers")
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # slow, optional

    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "mosquitto.conf"
        conf.write_text(CONF.format(port=1883, host=""))
        conf.chmod(0o644)
        Path(folder).chmod(0o755)
        container = (
            DockerContainer(IMAGE)
            .with_exposed_ports(1883)
            .with_volume_mapping(str(conf), "/mosquitto/config/mosquitto.conf", "ro")
        )
        with container as running:
            host, port = running.get_container_host_ip(), int(running.get_exposed_port(1883))
            wait_for_port(host, port)
            yield MqttOptions(host, port)


@contextmanager
def any_broker() -> Iterator[MqttOptions]:
    """The first real broker of the ladder."""
    url = os.environ.get("TEST_BROKER_URL")
    if url:
        parts = urlsplit(url)
        yield MqttOptions(
            parts.hostname or "127.0.0.1", parts.port or 1883, parts.username, parts.password
        )
    elif find_mosquitto() is not None:
        with mosquitto_process() as broker:
            yield broker.options
    else:
        with mosquitto_container() as options:
            yield options
