"""T21: what is promised is on disk first; read from the system calls of the real processes.

``kill -9`` keeps the page cache, so only the order of the calls shows what a power cut would leave.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from parlour_cli.up.members import environment_of
from parlour_kit.bus import Message

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.config_ground import Ground, ground

CHANGES = 500
CALLS = "fsync,fdatasync,pwrite64,write,rename,renameat,renameat2,sendto,recvfrom"
pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Call:
    """A system call that has returned; ``text`` is its line, with paths for descriptors."""

    name: str
    text: str


def read_calls(path: Path) -> list[Call]:
    """The calls in the order in which they returned; one that was interrupted is put together."""
    begun: dict[str, str] = {}
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        pid, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>").strip()
            continue
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", rest)
        if resumed:
            rest = begun.pop(pid, resumed[1] + "(") + resumed[2]
        match = re.match(r"(\w+)\(", rest)
        if match and not re.search(r"= -1 E", rest):
            found.append(Call(match[1], rest))
    return found


def strace(out: Path, module: str) -> list[str]:
    """The command of a process under strace."""
    # -D: the process is our child, not strace's, so that a signal reaches it.
    return ["strace", "-D", "-f", "-y", "-s", "20000", "-e", f"trace={CALLS}", "-o", str(out),
            sys.executable, "-P", "-m", module]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Ground]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (apt install strace)")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    with ground(tmp_path / "data") as found:
        yield found


@pytest.mark.req("C065", "C070", "SC017")
async def test_nothing_is_accepted_before_its_fsync_nor_applied_before_the_file_is_in_place(
    place: Ground,
) -> None:
    bus = await place.connect("changer")
    keeper, service = place.data / "keeper.strace", place.data / "router.strace"
    more = {"CONFIG_REQUESTS_PER_S": "100000", "LOG_LEVEL": "WARNING"}
    told = environment_of("config-manager", place.broker, place.data, os.environ) | more
    place.start("config-manager", strace(keeper, "config_manager"), told)
    await place.ready(bus, "config-manager")
    told = environment_of("router", place.broker, place.data, os.environ) | more
    place.start("router", strace(service, "router"), told)
    await place.ready(bus, "router")

    issued = await change_again_and_again(bus)

    await bus.stop()
    for name in ("router", "config-manager"):
        place.processes[name].terminate()
        await asyncio.to_thread(place.processes[name].wait, 30)
    check_accepted(read_calls(keeper), CHANGES)
    check_applied(read_calls(service), issued)


async def change_again_and_again(bus) -> list[str]:
    """One change after the other, each when the last one is applied; their ``issued_at``."""
    answers: asyncio.Queue[dict] = asyncio.Queue()
    applied: asyncio.Queue[str] = asyncio.Queue()

    def report(message: Message) -> None:
        found = json.loads(message.payload)
        if found["status"] == "applied" and found["issued_at"]:
            applied.put_nowait(found["issued_at"])

    await bus.subscribe("system/config-response/admin/#",
                        lambda m: answers.put_nowait(json.loads(m.payload)))  # fmt: skip
    await bus.subscribe("system/config-applied/router/router", report)
    issued = []
    for number in range(CHANGES):
        body = {"transaction": f"order-{number}.", "config": {"history_messages": number % 100}}
        await bus.publish(
            "system/config-request/admin/patch/router", json.dumps(body).encode(), qos=1
        )
        async with asyncio.timeout(20):
            answer = await answers.get()
            assert answer["status"] == "accepted", answer
            while await applied.get() != answer["issued_at"]:
                pass
        issued.append(answer["issued_at"])
    return issued


def check_accepted(calls: list[Call], count: int) -> None:
    """Between a request and its answer the log of the database was written, then flushed."""
    asked: dict[str, int] = {}
    answered = 0
    for index, call in enumerate(calls):
        found = re.search(r'\\"transaction\\":\s*\\"(order-\d+\.)', call.text)
        if found is None:
            continue
        if call.name == "recvfrom":
            asked.setdefault(found[1], index)
        elif call.name == "sendto" and r"\"status\":\"accepted\"" in call.text:
            between = calls[asked[found[1]] : index]
            written = [
                i for i, c in enumerate(between) if c.name == "pwrite64" and "-wal>" in c.text
            ]
            assert written, call.text[:200]
            flushed = [
                i for i, c in enumerate(between)
                if c.name in ("fdatasync", "fsync") and "-wal>" in c.text and c.text.endswith("= 0")
            ]  # fmt: skip
            assert any(i > written[0] for i in flushed), call.text[:200]
            answered += 1
    assert answered == count


def check_applied(calls: list[Call], issued: list[str]) -> None:
    """Temporary file flushed, renamed, folder flushed, and only then reported."""
    told = 0
    for moment in issued:

        def first(what: str, start: int, *parts: str, moment: str = moment) -> int:
            for index in range(start, len(calls)):
                call = calls[index]
                if call.name in what.split("|") and all(p in call.text for p in parts):
                    return index
            raise AssertionError(f"{moment}: no {what} with {parts} after call {start}")

        written = first("write|pwrite64", 0, "router.lkg.json", moment)
        flushed = first("fsync", written, "router.lkg.json")
        renamed = first("rename|renameat|renameat2", flushed, 'router.lkg.json"')
        folder = first("fsync", renamed, "/config>")
        report = next(
            index for index, call in enumerate(calls)
            if call.name == "sendto" and moment in call.text
            and r"\"status\":\"applied\"" in call.text
        )  # fmt: skip
        assert written < flushed < renamed < folder < report
        told += 1
    assert told == len(issued)
