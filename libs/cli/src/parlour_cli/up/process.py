"""One child process: started bound to us, its lines read, ended in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from parlour_cli.up import child

MAX_LINE = 8192
_CHUNK = 65_536


class Child:
    """A process that dies with us.

    It has a session of its own, so Ctrl-C in the terminal reaches us alone and the children
    end in their order.
    """

    def __init__(self, process: asyncio.subprocess.Process, pump: asyncio.Task[None]) -> None:
        self._process = process
        self._ended = asyncio.create_task(self._follow(pump))

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        line: Callable[[str], None],
        death_signal: signal.Signals,
    ) -> Child:
        """Start a command; call it from the main thread, whose end is what the child follows.

        Raises:
            OSError: there is no more room for processes.
        """
        bound = [sys.executable, "-I", "-S", str(Path(child.__file__)), str(os.getpid()),
                 str(int(death_signal)), *command]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *bound,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
        assert process.stdout is not None
        return cls(process, asyncio.create_task(_read_lines(process.stdout, line)))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Its exit code, when it has ended and its last line is read."""
        return await asyncio.shield(self._ended)

    async def _follow(self, pump: asyncio.Task[None]) -> int:
        code = await self._process.wait()
        # Somebody that it started could hold the pipe open.
        await asyncio.wait({pump}, timeout=1)
        pump.cancel()
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End it, and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def _read_lines(stream: asyncio.StreamReader, line: Callable[[str], None]) -> None:
    """Hand over every line; one that is too long comes in pieces."""
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        for raw in lines:
            line(raw.decode(errors="replace").rstrip("\r"))
    if rest:
        line(rest.decode(errors="replace"))
