"""Keeps what outlives the router in a file: written beside the receive loop, never in it.

A file that cannot be read is set aside and costs what it held, never the process. One that cannot
be written is tried again with the next change; until then the rooms have what they have in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parlour_config.errors import StorageError
from parlour_config.files import read_limited, replace_file, set_aside, sweep

from router.desk import Kept
from router.kept_rooms import MAX_BYTES, read_rooms, write_rooms

FLUSH_S = 3.0


class Keeper:
    """The file of one router.

    Args:
        path: of the file; its folder is made if that one's parent is there.
        log: told of what goes wrong, never of what is kept.
    """

    def __init__(self, path: Path, log: Any) -> None:
        self._path = path
        self._log = log
        self._latest: dict[str, Kept] | None = None
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._in_trouble = False

    def load(self) -> dict[str, Kept]:
        """What an earlier run has left; reads the disk."""
        try:
            sweep(self._path.parent, self._path.name)
            return read_rooms(read_limited(self._path, MAX_BYTES))
        except FileNotFoundError:
            return {}
        except (StorageError, ValueError) as error:
            # What a damaged file holds may be what somebody said: only its kind is told.
            self._log.warning(
                "timers and volumes are lost: their file is damaged and set aside",
                event_type="kept_rooms_damaged", reason=type(error).__name__,
            )  # fmt: skip
        try:
            set_aside(self._path)
        except StorageError as error:
            self._log.warning("the damaged file stays where it is", reason=str(error))
        return {}

    def put(self, rooms: Mapping[str, Kept]) -> None:
        """Keep this instead of what was kept before."""
        self._latest = dict(rooms)
        self._written.clear()
        self._wake.set()

    async def run(self) -> None:
        """Write, for ever; of several changes in a row the last one."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            latest, self._latest = self._latest, None
            if latest is not None:
                await asyncio.to_thread(self._write, latest)
            if self._latest is None:
                self._written.set()

    async def flush(self) -> None:
        """Wait until everything is written, but not for long."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._written.wait()
        except TimeoutError:
            self._log.warning("timers and volumes may be lost: they are not on the disk yet")

    def _write(self, rooms: dict[str, Kept]) -> None:
        try:
            data = write_rooms(rooms)
            self._check(len(data))
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._path, data)
        except (StorageError, ValueError, OSError) as error:
            if not self._in_trouble:
                self._log.warning(
                    "timers and volumes cannot be kept: a restart would lose them",
                    event_type="kept_rooms_unwritable", reason=type(error).__name__,
                )  # fmt: skip
            self._in_trouble = True
        else:
            self._in_trouble = False

    def _check(self, size: int) -> None:
        if size > MAX_BYTES:
            raise StorageError(f"{self._path.name} would have more than {MAX_BYTES} bytes")
