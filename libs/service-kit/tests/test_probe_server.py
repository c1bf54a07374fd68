"""The probes of a process, over HTTP on a real socket of the loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from parlour_kit import metrics
from parlour_kit.errors import StartupError
from parlour_kit.probes.answers import Facts
from parlour_kit.probes.app import create_app
from parlour_kit.probes.checks import CheckResult
from parlour_kit.probes.server import MAX_HEADER_BYTES, ProbeServer, listen

ALL = {"audio": True, "llm": True, "tts": True, "system": True}


class Process:
    """A process that is as a test wants it."""

    obstacle: str | None = None
    beat_age_s = 0.1
    trouble: Exception | None = None
    takes_s = 0.0

    def wall(self) -> datetime:
        return datetime.now(UTC)

    async def checked(self) -> list[CheckResult]:
        return [CheckResult("mqtt", None, "healthy", 0.0, "it works", 0.0, "")]

    async def facts(self) -> Facts:
        await asyncio.sleep(self.takes_s)
        if self.trouble is not None:
            raise self.trouble
        return Facts("healthy", ALL)


def client(process: Process, *, with_metrics: bool = True) -> httpx.AsyncClient:
    app = create_app(process, metrics.render if with_metrics else None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parlour")


@pytest.mark.req("P012", "P013", "H027", "H008")
async def test_each_of_the_four_answers_has_its_path_and_its_type() -> None:
    async with client(Process()) as http:
        found = {p: await http.get(p) for p in ("/healthz", "/ready", "/health", "/metrics")}

    assert [answer.status_code for answer in found.values()] == [200] * 4
    assert found["/health"].headers["cache-control"] == "max-age=30"
    for path in ("/healthz", "/ready", "/health"):
        assert found[path].headers["content-type"] == "application/json"
    assert found["/metrics"].headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"# TYPE parlour_app_info gauge" in found["/metrics"].content


@pytest.mark.req("P008")
async def test_without_metrics_there_is_no_such_path() -> None:
    async with client(Process(), with_metrics=False) as http:
        answer = await http.get("/metrics")

    assert answer.status_code == 404
    assert answer.json()["error_code"] == "NOT_FOUND"


@pytest.mark.req("P012")
async def test_a_process_lives_before_it_is_loaded_and_is_not_ready() -> None:
    process = Process()
    process.obstacle = "loads"
    async with client(process) as http:
        alive, ready = await http.get("/healthz"), await http.get("/ready")

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["checks"]["start"]["message"] == "loads"


@pytest.mark.req("H027", "H029", "D003")
async def test_a_fault_of_ours_is_a_500_without_a_word_of_it() -> None:
    process = Process()
    process.trouble = RuntimeError("/home/kim/secret at 192.168.1.4")
    async with client(process) as http:
        answer = await http.get("/health")

    assert answer.status_code == 500
    assert answer.json()["status"] == "error"
    assert "kim" not in answer.text
    assert "192" not in answer.text


@pytest.mark.req("H027")
async def test_checks_that_take_more_than_ten_seconds_are_a_500() -> None:
    process = Process()
    process.takes_s = 11
    async with client(process) as http:
        answer = await http.get("/health")

    assert answer.status_code == 500
    assert answer.json()["error"] == "the checks took too long"


async def test_metrics_that_cannot_be_made_are_a_500_without_a_word_of_it() -> None:
    def broken() -> tuple[bytes, str]:
        raise RuntimeError("/proc/secret")

    app = create_app(Process(), broken)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        answer = await http.get("/metrics")

    assert answer.status_code == 500
    assert answer.json() == {
        "error_code": "INTERNAL_SERVER_ERROR", "message": "Internal Server Error", "details": [],
    }  # fmt: skip


@pytest.mark.req("P035")
async def test_a_request_id_comes_back_and_whoever_has_none_gets_one() -> None:
    async with client(Process()) as http:
        mine = await http.get("/healthz", headers={"X-Request-ID": "abc-123"})
        made = await http.get("/nothing")

    assert mine.headers["x-request-id"] == "abc-123"
    assert len(made.headers["x-request-id"]) == 36
    assert made.status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed_here(method: str) -> None:
    async with client(Process()) as http:
        answer = await http.request(method, "/healthz", content=b"x" * 100_000)

    assert answer.status_code == 405
    assert answer.json()["error_code"] == "METHOD_NOT_ALLOWED"


async def test_a_head_request_has_no_body() -> None:
    async with client(Process()) as http:
        answer = await http.head("/healthz")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_server_answers_refuses_long_headers_and_ends_although_somebody_hangs_on() -> None:
    loop = asyncio.get_running_loop()
    loop.become_real()
    handlers = signal.getsignal(signal.SIGTERM)
    server = ProbeServer(create_app(Process(), None), listen("127.0.0.1", 0))
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{server.port}/healthz")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * MAX_HEADER_BYTES * 3)
    refused = await reader.read(100)
    _, idle = await asyncio.open_connection("127.0.0.1", server.port)
    began = loop.time()

    await server.stop()

    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert b" 400 " in refused or refused == b""
    assert loop.time() - began < 5
    assert signal.getsignal(signal.SIGTERM) is handlers
    for one in (writer, idle):
        one.close()


@pytest.mark.req("D009")
@pytest.mark.parametrize("host", ["127.0.0.1", "203.0.113.7"])
def test_an_address_or_port_that_cannot_be_had_is_named(host: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartupError, match="PROBE_PORT") as caught:
            listen(host, port)

    assert "PROBE_PORT" in caught.value.hint


_SERVICE = """
import asyncio, sys
from parlour_contracts.config import RouterConfig
from parlour_kit import process
from parlour_kit.service import Service

class Slow(Service[RouterConfig]):
    name = "router"
    config_model = RouterConfig

    async def load(self):
        print("loading", flush=True)
        await asyncio.sleep(3600)

    async def serve(self): ...

sys.modules["slow"] = sys.modules["__main__"]
process.main("slow:Slow")
"""


def _start(folder: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _SERVICE],
        env={
            **os.environ, "MQTT_URL": "mqtt://127.0.0.1:1", "DATA_DIR": str(folder),
            "PROBE_PORT": str(port), "LOG_FORMAT": "json",
        },
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.req("D003", "P012", "P014")
def test_a_process_answers_while_it_loads_and_without_a_broker(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = _start(tmp_path, port)
    try:
        while "loading" not in (line := process.stdout.readline()):
            assert line, "it ended before it loaded"
        url = f"http://127.0.0.1:{port}"
        alive, ready, health = (httpx.get(url + p) for p in ("/healthz", "/ready", "/health"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()

    assert (alive.status_code, ready.status_code, health.status_code) == (200, 503, 503)
    assert ready.json()["checks"].keys() == {"mqtt", "start"}
    assert ready.json()["checks"]["mqtt"]["status"] == "unhealthy"
    assert health.json()["status"] == "unhealthy"
    assert health.json()["error"] == "loads"
    assert process.returncode == 0


@pytest.mark.req("D009", "D019")
def test_a_taken_port_ends_the_process_with_its_name(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        process = _start(tmp_path, other.getsockname()[1])
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 78
    assert "PROBE_PORT" in said
