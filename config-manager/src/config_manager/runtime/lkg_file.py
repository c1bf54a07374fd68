"""The manager's own last-known-good file: what reads are answered from without a database.

Written a few seconds after a change, less often when it is large; the old one is kept when there
is no room. Only its HMACs are checked: it is this process's own word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from parlour_config.errors import RefusedJsonError, RefusedLkgError, StorageError
from parlour_config.files import read_limited, replace_file, set_aside
from parlour_config.lkg import MAX_MANAGER_BYTES, LastKnownGood, read_lkg, render_lkg
from parlour_kit.metrics import cache

from config_manager.runtime.ledger import Whole

EVERY_S = 5.0
LARGE_BYTES = 1_048_576
LARGE_EVERY_S = 60.0


class LkgFile:
    """One file; read at the start, written when something changed.

    Attributes:
        valid: whether there is one whose HMACs were verified.
        floor: what it was made at; empty without a valid one.
        config_epoch: of the settings in it; empty without a valid one.
    """

    def __init__(self, path: Path, keys: Callable[[], Sequence[bytes]]) -> None:
        self.valid = False
        self.floor = ""
        self.config_epoch = ""
        self._path = path
        self._keys = keys
        self._size = 0
        self._written_at: float | None = None
        self._changed = True
        self._log = structlog.get_logger("parlour.lkg")

    def load(self) -> LastKnownGood | None:
        """Read it and check it; a bad one is set aside. Settings are not kept in memory."""
        found = self._load()
        cache.read("lkg", hit=found is not None)
        self.valid = found is not None
        self.floor = found.generated_at if found else ""
        self.config_epoch = found.config_epoch if found else ""
        return found

    def _load(self) -> LastKnownGood | None:
        try:
            data = read_limited(self._path, MAX_MANAGER_BYTES)
            found = read_lkg(data, self._keys(), service=None)
        except FileNotFoundError:
            return None
        except (RefusedLkgError, StorageError) as error:
            self._log.error("the last-known-good file is bad", code=error.code)
            try:
                set_aside(self._path)
            except StorageError as problem:
                self._log.error("it cannot be set aside", code=problem.code)
            return None
        self._size = len(data)
        return found

    def touch(self) -> None:
        """Something changed: write it soon."""
        self._changed = True

    def due(self, now: float) -> bool:
        """Whether it should be written now."""
        if not self._changed:
            return False
        every = LARGE_EVERY_S if self._size > LARGE_BYTES else EVERY_S
        return self._written_at is None or now - self._written_at >= every

    async def write(self, whole: Whole, now: float) -> None:
        """Write it, away from the event loop."""
        self._changed = False
        self._written_at = now
        key = self._keys()[0]
        try:
            self._size = await asyncio.get_running_loop().run_in_executor(
                None, self._write, whole, key
            )
        except (StorageError, RefusedJsonError) as error:
            self._changed = True
            self._log.warning("the last-known-good file was not written", code=error.code)
            return
        self.valid, self.floor, self.config_epoch = True, whole.floor, whole.config_epoch

    def _write(self, whole: Whole, key: bytes) -> int:
        data = render_lkg(
            payload=whole.payload,
            config_epoch=whole.config_epoch,
            generated_at=whole.floor,
            update=None,
            state=None,
            key=key,
        )
        replace_file(self._path, data, keep_previous=True)
        return len(data)
