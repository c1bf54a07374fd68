"""Sends the reported state: at once when something was applied, at most once a second when
something was refused, and always the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from parlour_contracts.messages.requests import ConfigApplied
from parlour_contracts.topics import CONFIG_APPLIED
from parlour_kit.errors import BusError
from parlour_kit.messenger import Messenger

FAILURES_S = 1.0
RETRY_S = 1.0


class Reporter:
    """Publishes what ``compose`` says whenever there is news.

    What could not be sent is not kept: the next connect asks for a report anyway.
    """

    def __init__(self, messenger: Messenger, compose: Callable[[], ConfigApplied]) -> None:
        self._messenger = messenger
        self._compose = compose
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._log = structlog.get_logger("parlour.config")

    def tell(self, *, failure: bool = False) -> None:
        """There is news; that of a failure may wait for the next second."""
        self._news.set()
        if not failure:
            self._urgent.set()

    async def run(self) -> None:
        """Send for as long as the task lives."""
        clock = self._messenger.clock
        last_failure = float("-inf")
        while True:
            await self._news.wait()
            wait = last_failure + FAILURES_S - clock.monotonic()
            if wait > 0 and not self._urgent.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._urgent.wait()
            failure = not self._urgent.is_set()
            self._news.clear()
            self._urgent.clear()
            if failure:
                last_failure = clock.monotonic()
            await self._send(self._compose())

    async def _send(self, report: ConfigApplied) -> None:
        try:
            await self._messenger.send(
                CONFIG_APPLIED, report, service=report.service, instance=report.instance
            )
        except BusError as error:
            self._log.warning("the applied state was not reported", code=error.code)
