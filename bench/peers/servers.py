"""The three servers of the chain, started as a home would start them, on free loopback ports.

Where a server's own default is slower than what Parlour uses, it gets the faster value, so that
no difference comes from a setting that anybody could change:

* wyoming-faster-whisper: int8 (its default leaves the file's float16), one hypothesis (its
  default is 5 on x86 and 1 on ARM), a thread per core up to 4 (4 everywhere), the language told.
* llama_cpp.server: a thread per core (its default is half of them), logits of the last token
  only (its default computes those of the whole prompt), a context of 2048 tokens.
* wyoming-piper: its defaults, with the voice loaded by a first question that is not counted.

None of them ever asks a model hub: local files only, and HF_HUB_OFFLINE is set besides.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from bench.peers.wire import Connection, Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Models:
    """The model files, the same as Parlour's."""

    whisper: Path
    gguf: Path
    voice: Path

    @classmethod
    def find(cls, folder: Path) -> Models:
        """The starter models in a data directory's ``models`` folder.

        Raises:
            FileNotFoundError: naming what brings them.
        """
        gguf = sorted(folder.glob("smollm2-135m-instruct/*.gguf"))
        models = cls(folder / "base", gguf[0] if gguf else folder, folder / "en_US-joe-medium")
        there = (models.whisper / "model.bin").is_file() and bool(gguf)
        if not there or not list(models.voice.glob("*.onnx")):
            raise FileNotFoundError(
                f"the starter models are not in {folder}; bring them with `make models`"
            )
        return models


@dataclass(frozen=True)
class Ports:
    """Where the servers listen."""

    stt: int
    llm: int
    tts: int


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Servers:
    """The running servers; `start` returns when all of them answer."""

    def __init__(
        self, python: Path, models: Models, logs: Path, *, threads: int, beam: int
    ) -> None:
        self.ports = Ports(free_port(), free_port(), free_port())
        self._python = python
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._open: list[IO[bytes]] = []
        voice = models.voice
        self.commands: dict[str, list[str]] = {
            "wyoming_faster_whisper": [
                "--uri", f"tcp://127.0.0.1:{self.ports.stt}",
                "--model", str(models.whisper), "--data-dir", str(logs),
                "--stt-library", "faster-whisper", "--language", "en",
                "--compute-type", "int8", "--beam-size", str(beam),
                "--cpu-threads", str(min(threads, 4)), "--local-files-only",
            ],
            "llama_cpp.server": [
                "--model", str(models.gguf), "--host", "127.0.0.1",
                "--port", str(self.ports.llm), "--n_ctx", "2048",
                "--n_threads", str(threads), "--n_threads_batch", str(threads),
                "--logits_all", "false", "--verbose", "false",
            ],
            "wyoming_piper": [
                "--uri", f"tcp://127.0.0.1:{self.ports.tts}", "--voice", voice.name,
                "--data-dir", str(voice), "--local-files-only",
            ],
        }  # fmt: skip

    async def start(self, timeout_s: float = 120.0) -> None:
        """Start all and wait until each answers.

        Raises:
            RuntimeError: when one ends, or does not answer in time; its log is named.
        """
        for module, arguments in self.commands.items():
            self._spawn(module, arguments)
        deadline = time.monotonic() + timeout_s
        probes: dict[str, Callable[[], Awaitable[bool]]] = {
            "wyoming_faster_whisper": lambda: _describes(self.ports.stt),
            "llama_cpp.server": lambda: asyncio.to_thread(_lists_models, self.ports.llm),
            "wyoming_piper": lambda: _describes(self.ports.tts),
        }
        for module, probe in probes.items():
            while not await probe():
                if self._running[module].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{module} did not start; see {self._logs}/{module}.log")
                await asyncio.sleep(0.2)

    def stop(self) -> None:
        """End every server that `start` started."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        for file in self._open:
            file.close()
        self._open.clear()

    def _spawn(self, module: str, arguments: Sequence[str]) -> None:
        log = (self._logs / f"{module}.log").open("wb")
        self._open.append(log)
        self._running[module] = subprocess.Popen(
            [str(self._python), "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
        )


async def _describes(port: int) -> bool:
    try:
        async with await Connection.open(port) as connection:
            await connection.send(Event("describe"))
            async with asyncio.timeout(5):
                return (await connection.receive()).type == "info"
    except (OSError, TimeoutError):
        return False


def _lists_models(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
