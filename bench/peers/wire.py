"""The Wyoming protocol, as a client speaks it: a line of JSON, then its data, then its bytes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Event:
    """One event: its type, its fields and its binary payload."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encode(self) -> bytes:
        """Its bytes on the wire."""
        head: dict[str, Any] = {"type": self.type, "version": "1.10.2"}
        data = json.dumps(self.data).encode() if self.data else b""
        if data:
            head["data_length"] = len(data)
        if self.payload:
            head["payload_length"] = len(self.payload)
        return json.dumps(head).encode() + b"\n" + data + self.payload


class Connection:
    """A connection to one Wyoming server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect on the loopback.

        Raises:
            OSError: when nobody listens.
        """
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    async def send(self, event: Event) -> None:
        """Write one event."""
        self._writer.write(event.encode())
        await self._writer.drain()

    async def receive(self) -> Event:
        """The next event.

        Raises:
            ConnectionError: when the server closed the connection or reports an error.
        """
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("the Wyoming server closed the connection")
        head = json.loads(line)
        data = dict(head.get("data") or {})
        if length := head.get("data_length"):
            data.update(json.loads(await self._reader.readexactly(length)))
        payload = b""
        if length := head.get("payload_length"):
            payload = await self._reader.readexactly(length)
        if head["type"] == "error":
            raise ConnectionError(f"the Wyoming server failed: {data.get('text')}")
        return Event(head["type"], data, payload)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
