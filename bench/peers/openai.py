"""A streamed chat completion over plain HTTP, each delta with the moment it arrived."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_END = object()


async def stream_chat(port: int, body: dict[str, Any]) -> AsyncIterator[tuple[float, str]]:
    """``(monotonic seconds, text)`` of each delta that holds text.

    Raises:
        OSError: when the server cannot be reached.
        RuntimeError: when it refuses the request.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[object] = asyncio.Queue()

    def put(item: object) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, item)

    reading = asyncio.create_task(asyncio.to_thread(_read, port, body, put))
    try:
        while (item := await queue.get()) is not _END:
            if isinstance(item, Exception):
                raise item
            assert isinstance(item, tuple)
            yield item
    finally:
        await reading


def _read(port: int, body: dict[str, Any], put: Callable[[object], None]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(body | {"stream": True}),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        if answer.status != 200:
            put(RuntimeError(f"the LLM server answered {answer.status}: {answer.read(500)!r}"))
            return
        while line := answer.readline():
            now = time.monotonic()
            content = line.removeprefix(b"data:").strip()
            if not line.startswith(b"data:") or content == b"[DONE]":
                continue
            delta = json.loads(content)["choices"][0]["delta"].get("content")
            if delta:
                put((now, delta))
    except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
        put(error)
    finally:
        connection.close()
        put(_END)
