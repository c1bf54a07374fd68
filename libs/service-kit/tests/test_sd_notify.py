"""What systemd is told, on the wire of its own protocol."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from parlour_kit.sd_notify import Notifier


class Manager:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.address = address

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(1024).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["a file", "a name without a file"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify")
    made = Manager(address if request.param == "a file" else f"@{address}")
    yield made
    made.socket.close()


async def test_a_watched_process_tells_that_it_is_ready_and_then_twice_within_each_limit(
    manager: Manager,
) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000000"})
    watching = asyncio.ensure_future(notifier.watch())

    await asyncio.sleep(0)
    assert manager.heard() == ["READY=1", "WATCHDOG=1"]
    await asyncio.sleep(60.5)
    assert manager.heard() == ["WATCHDOG=1"] * 6
    notifier.stopping()
    assert manager.heard() == ["STOPPING=1"]
    watching.cancel()


async def test_without_a_watchdog_it_tells_its_readiness_alone(manager: Manager) -> None:
    watching = asyncio.ensure_future(Notifier.of({"NOTIFY_SOCKET": manager.address}).watch())

    await asyncio.sleep(600)

    assert manager.heard() == ["READY=1"]
    assert not watching.done()
    watching.cancel()


@pytest.mark.parametrize(
    "env",
    [
        {"WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "-5"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_a_watchdog_of_nobody_or_of_another_process_is_none(env: dict[str, str]) -> None:
    assert Notifier.of(env, pid=77).watchdog_s is None


def test_a_manager_that_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"), 1.0)

    notifier.ready()
    notifier.stopping()
