"""Parlour, asked as its user asks it: `parlour up` once, `parlour ask` for each question."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from typing import TYPE_CHECKING, Any, Final

from bench.measure import STAGES, TOTAL

if TYPE_CHECKING:
    from pathlib import Path

    from bench.clips import Clip

READY: Final = "parlour: ready in"


class Fleet:
    """A fleet of its own, on a data directory of its own, stopped when the block is left.

    Args:
        command: the `parlour` command.
        data: its data directory; the models lie in it.
        port: of its broker.
        log: takes what the fleet prints.
        environment: what to add to the environment.
    """

    def __init__(
        self,
        command: Path,
        data: Path,
        port: int,
        log: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._command = command
        self._data = data
        self._port = port
        self._log = log
        self._environment = os.environ | {"PYTHONUNBUFFERED": "1"} | (environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._copying: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._rooms = itertools.count(1)

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self, timeout_s: float = 120.0) -> None:
        """Start it and wait for the line that says it is ready.

        Raises:
            RuntimeError: it ended or was not ready in time; its log is named.
        """
        self._process = await asyncio.create_subprocess_exec(
            str(self._command), "up", "--data", str(self._data), "--port", str(self._port),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            limit=1 << 20,
        )  # fmt: skip
        self._copying = asyncio.create_task(self._copy(self._process))
        ready = asyncio.create_task(self._ready.wait())
        ended = asyncio.create_task(self._process.wait())
        await asyncio.wait((ready, ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        ended.cancel()
        if not self._ready.is_set():
            await self.stop()
            raise RuntimeError(f"the fleet did not get ready; see {self._log}")

    async def stop(self) -> None:
        """End it as Ctrl-C does; kill it where that takes longer than 15 s."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._copying is not None:
            await self._copying
            self._copying = None

    async def ask(self, clip: Clip, timeout_s: float = 90.0) -> dict[str, Any]:
        """Ask one recording; what `parlour ask --json` printed, with complete timings.

        Each question comes from a room of its own, so no history lengthens its prompt.

        Raises:
            TimeoutError: no answer in time.
            RuntimeError: no reply was spoken, or the timings are incomplete.
        """
        process = await asyncio.create_subprocess_exec(
            str(self._command), "ask", "--wav", str(clip.path), "--json",
            "--data", str(self._data), "--site", f"bench-{next(self._rooms)}",
            "--out", str(self._log.with_name("reply.wav")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), timeout_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return read_answer(out, err, process.returncode or 0)

    async def _copy(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with self._log.open("wb") as log:
            async for line in process.stdout:
                log.write(line)
                log.flush()
                if READY.encode() in line:
                    self._ready.set()


def read_answer(out: bytes, err: bytes, code: int) -> dict[str, Any]:
    """The object that `parlour ask --json` printed.

    Raises:
        RuntimeError: it is not an answer with all five timings.
    """
    try:
        answer = json.loads(out)
    except ValueError:
        last = err.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"`parlour ask` printed no JSON (exit {code}): {last}") from None
    if code or answer.get("error"):
        raise RuntimeError(f"`parlour ask` failed (exit {code}): {answer.get('error')}")
    missing = [key for key in (*STAGES, TOTAL) if (answer.get("timings") or {}).get(key) is None]
    if missing:
        raise RuntimeError(f"`parlour ask` left out {', '.join(missing)}")
    return dict(answer)
