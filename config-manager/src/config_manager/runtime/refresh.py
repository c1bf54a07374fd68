"""When each service's configuration is signed anew: pure, monotonic seconds in.

A service that hears nothing valid for two periods says that its settings are stale. So every
one is signed again once a period, spread out, a hundred at a time at most.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable

FIRST_WITHIN_S = 600.0
"""Services whose last message has an unknown age are spread over this time after a start."""

AT_ONCE = 100


class RefreshPlan:
    """Service → when it is due."""

    def __init__(self, period_s: float, chance: random.Random | None = None) -> None:
        self._period = period_s
        self._chance = chance or random.Random()  # noqa: S311  # spreads load, keeps no secret
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def know(self, services: Iterable[str], now: float) -> None:
        """These services exist; new ones are due soon, and those that are gone never."""
        wanted = set(services)
        for gone in self._due.keys() - wanted:
            del self._due[gone]
        for service in wanted - self._due.keys():
            within = min(FIRST_WITHIN_S, self._period)
            self._set(service, now + self._chance.uniform(0, within))

    def published(self, service: str, now: float, age_s: float = 0.0) -> None:
        """A service's message is so old now; it is due a period after it was made."""
        left = max(0.0, self._period - max(0.0, age_s))
        self._set(service, now + left * self._chance.uniform(0.9, 1.0))

    def due(self, now: float) -> list[str]:
        """At most a hundred services that are due; each is then due again in a period."""
        found: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(found) < AT_ONCE:
            when, service = heapq.heappop(self._heap)
            if self._due.get(service) == when:
                found.append(service)
                self.published(service, now)
        return found

    def _set(self, service: str, when: float) -> None:
        self._due[service] = when
        heapq.heappush(self._heap, (when, service))
