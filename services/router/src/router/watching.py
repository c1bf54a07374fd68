"""Tells of conversations that somebody should look at: a line in the log and a count each."""

from __future__ import annotations

import asyncio
from typing import Any

from parlour_kit.clock import Clock
from parlour_kit.metrics import turns

from router.alerts import Alerts, Raised
from router.states import Transition


class Watching:
    """The alerts of all rooms, and the timer that they need.

    Args:
        clock: monotonic.
        log: gets one WARNING for each.
    """

    def __init__(self, clock: Clock, log: Any) -> None:
        self._clock = clock
        self._log = log
        self._alerts = Alerts()
        self._timer: asyncio.TimerHandle | None = None

    def on(self, site: str, session_id: str, step: Transition) -> None:
        """A conversation made a step."""
        self._tell(self._alerts.on(site, session_id, step, self._clock.monotonic()))

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, raised: list[Raised]) -> None:
        for one in raised:
            turns.alert(one.alert)
            self._log.warning(
                "a conversation to look at", event_type=one.alert, site=one.site,
                session_id=one.session_id, limit=one.limit, count=one.count,
            )  # fmt: skip
        self.close()
        due = self._alerts.deadline
        if due is not None:
            delay = max(0.0, due - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._look)

    def _look(self) -> None:
        self._tell(self._alerts.tick(self._clock.monotonic()))
