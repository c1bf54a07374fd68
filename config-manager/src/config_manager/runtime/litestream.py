"""What Litestream says of the copy that it makes, asked over its control socket.

That it runs says little: it also says so while the replica cannot be written. What counts is when
it last brought something there, which it does every second even when nothing changes, and that it
can read the database: where it cannot, it goes on bringing there what it read before.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from parlour_config.errors import StorageError
from parlour_config.files import read_limited, replace_file

Status = Literal["healthy", "error", "disabled"]

LATE_S = 60.0
PATIENCE_S = 2.0
MAX_BYTES = 65_536


@dataclass(frozen=True)
class Replica:
    """The state of the copy.

    Attributes:
        last_sync: when something last reached it.
        path_old: Litestream began before the epoch did, so it writes to the path of another one.
    """

    status: Status = "disabled"
    last_sync: datetime | None = None
    path_old: bool = False


DISABLED = Replica()


class LitestreamWatch:
    """Asks one Litestream about one database."""

    def __init__(self, socket: Path, database: Path, env_file: Path, host: str) -> None:
        self._socket = socket
        self._database = database
        self._env_file = env_file
        self._host = host
        self._last: Replica = Replica("error")

    async def look(self, now: datetime) -> Replica:
        """The state now; an answer that does not come is an error."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await _ask(self._socket, "GET", "/list")
                old = self._older_than_names(await _ask(self._socket, "GET", "/info"))
        except (OSError, TimeoutError, ValueError):
            self._last = Replica("error", self._last.last_sync)
            return self._last
        self._last = judge(answer, self._database, now)
        if await self._cannot_read():
            self._last = Replica("error", self._last.last_sync)
        if old:
            self._last = Replica("error", self._last.last_sync, path_old=True)
        return self._last

    async def _cannot_read(self) -> bool:
        """Whether it refuses to copy now; that it takes its time is no refusal."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                asked = json.dumps({"path": str(self._database)}).encode()
                await _ask(self._socket, "POST", "/sync", asked)
        except (OSError, TimeoutError):
            return False
        except ValueError:
            return True
        return False

    def _older_than_names(self, info: Any) -> bool:
        """Whether Litestream began before the file that names its path was written."""
        began = _moment(info.get("started_at")) if isinstance(info, dict) else None
        try:
            written = self._env_file.stat().st_mtime
        except OSError:
            return False
        return began is not None and began.timestamp() < written

    def names(self, epoch: str) -> bool:
        """Whether the file that gives Litestream its path names this epoch."""
        try:
            return f"CONFIG_EPOCH={epoch}\n".encode() in read_limited(self._env_file, MAX_BYTES)
        except (FileNotFoundError, StorageError):
            return False

    def write_names(self, epoch: str) -> None:
        """Name host and epoch for the next start of Litestream; raises StorageError."""
        text = f"PARLOUR_HOST={self._host}\nCONFIG_EPOCH={epoch}\n"
        replace_file(self._env_file, text.encode())


def judge(answer: Any, database: Path, now: datetime) -> Replica:
    """The state of a database in an answer to ``/list``."""
    listed = answer.get("databases") if isinstance(answer, dict) else None
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("path") == str(database):
            last = _moment(entry.get("last_sync_at"))
            late = last is None or (now - last).total_seconds() > LATE_S
            return Replica("error" if late else "healthy", last)
    return Replica("error")


def _moment(text: object) -> datetime | None:
    """A time of Go's JSON, whose fraction may have nine digits."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


async def _ask(socket: Path, method: str, path: str, body: bytes = b"") -> Any:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: litestream\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        raw = await reader.read(MAX_BYTES)
        while chunk := await reader.read(MAX_BYTES):
            raw += chunk
            if len(raw) > MAX_BYTES:
                raise ValueError("the answer is too long")
    finally:
        writer.close()
    head, _, found = raw.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ValueError("Litestream refused")
    return json.loads(_unchunked(found) if b"chunked" in head.lower() else found)


def _unchunked(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        found, body = found + rest[:length], rest[length + 2 :]
    return found
