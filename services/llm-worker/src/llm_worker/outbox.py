"""Text between an engine that produces it and a bus that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Outbox:
    """Pieces go in one by one; what gathers while the consumer is busy comes out as one.

    The first piece comes out at once. ``text`` is everything that went in. Belongs to one
    event loop.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._given = 0
        self._closed = False
        self._news = asyncio.Event()

    @property
    def text(self) -> str:
        """The whole text so far."""
        return "".join(self._pieces)

    def put(self, piece: str) -> None:
        """Add text; ignored once closed."""
        if piece and not self._closed:
            self._pieces.append(piece)
            self._news.set()

    def close(self) -> None:
        """There is no more; what is in it still comes out."""
        self._closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Text as it comes, until closed and empty."""
        while True:
            await self._news.wait()
            self._news.clear()
            new, self._given = self._pieces[self._given :], len(self._pieces)
            if new:
                yield "".join(new)
            if self._closed and self._given == len(self._pieces):
                return
