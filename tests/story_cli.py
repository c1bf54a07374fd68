"""The command ``parlour`` and a whole config-manager: its database, its keys, its REST on a port."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from parlour_cli.app import app
from parlour_cli.broker.running import RunRecord, holding, publish_record
from parlour_cli.keys.making import ensure_keys
from parlour_cli.keys.places import users_file
from parlour_cli.seed import seed_file, write_seeds
from parlour_testkit import MemoryBroker
from story_manager import manager

PATIENCE_S = 30.0


class Running:
    """config-manager in a thread of its own, with time that passes."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self._data = data
        self._settings = settings
        self._ready = threading.Event()
        self._stop: Callable[[], None] = lambda: None
        self._failed: BaseException | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "config-manager does not get ready"
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        self._stop()
        self._thread.join(PATIENCE_S)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # the test is told
            self._failed = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        seed = seed_file(self._data)  # of no use any more once there is a database
        async with manager(
            MemoryBroker(), self._data, users_file=users_file(self._data), rest_port=0,
            config_seed_file=seed if seed.is_file() else None, config_requests_per_s=1000,
            **self._settings,
        ) as service:  # fmt: skip
            self.port = service.rest_port or 0
            self._ready.set()
            await stop.wait()


@contextmanager
def managed(folder: Path, **settings: Any) -> Iterator[Path]:
    """The data directory of a fleet of which config-manager runs."""
    ensure_keys(folder)
    write_seeds(folder)
    running = Running(folder, **settings)
    record = RunRecord(
        pid=1, port=1, url="mqtt://h", broker="mosquitto", started_at="now",
        rest_url=f"http://127.0.0.1:{running.port}",
    )  # fmt: skip
    try:
        with holding(folder):
            publish_record(folder, record)
            yield folder
    finally:
        running.stop()


class Shell:
    """Types commands."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._capsys = capsys

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and complaints."""
        code = app([*words, "--data", str(self._data)], result_action="return_value")
        shown = self._capsys.readouterr()
        return code, shown.out, shown.err

    def out(self, *words: str) -> str:
        """The output of a command that works."""
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.out(*words, "--json"))

    def version(self, service: str) -> int:
        return int(self.json("config", "get", service)["metadata"]["version"])


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a text on standard input."""
    stdin = io.StringIO(text)
    both = SimpleNamespace(read=stdin.read, isatty=lambda: False, buffer=io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", both)
