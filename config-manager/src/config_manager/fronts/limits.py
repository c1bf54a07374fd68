"""How much one user may ask: pure, time passed in by a clock, one limiter for both fronts.

A user has at most ten requests in flight and five new ones a second; what is over that is
answered with ``RATE_LIMITED``, and those answers are limited as well, so that a flood of
requests does not become a flood of answers. Revealing a secret has a limit of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

IN_FLIGHT = 10
PER_SECOND = 5.0
REFUSALS_PER_SECOND = 1.0
REVEALS = 5
REVEALS_WINDOW_S = 60.0
REMEMBERED_USERS = 1024
"""From this many on, users who are back at rest are forgotten."""

IN_FLIGHT_RETRY_S = 0.2
"""When to try again if earlier requests are still running; nobody knows when they end."""


class MonotonicClock(Protocol):
    """Where the limiter gets its time."""

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


@dataclass
class Bucket:
    """Holds up to ``size`` tokens and gets ``rate`` a second.

    Attributes:
        size: how many may be taken at once.
        rate: tokens per second.
        level: tokens at ``since``.
        since: seconds, monotonic.
    """

    size: float
    rate: float
    level: float
    since: float

    def take(self, now: float) -> float | None:
        """Take a token; if there is none, the seconds until there will be one."""
        self._fill(now)
        if self.level >= 1.0:
            self.level -= 1.0
            return None
        return (1.0 - self.level) / self.rate

    def full(self, now: float) -> bool:
        """Whether nothing was taken for long enough that all tokens are back."""
        self._fill(now)
        return self.level >= self.size

    def _fill(self, now: float) -> None:
        self.level = min(self.size, self.level + max(0.0, now - self.since) * self.rate)
        self.since = now


@dataclass
class _Usage:
    requests: Bucket
    refusals: Bucket
    reveals: list[float] = field(default_factory=list)
    in_flight: int = 0


class RateLimiter:
    """Counts per user; an admitted request must be given back with :meth:`release`."""

    def __init__(
        self,
        clock: MonotonicClock,
        *,
        in_flight: int = IN_FLIGHT,
        per_second: float = PER_SECOND,
        reveals: int = REVEALS,
    ) -> None:
        self._clock = clock
        self._in_flight = in_flight
        self._per_second = per_second
        self._reveals = reveals
        self._usage: dict[str, _Usage] = {}

    def admit(self, user: str) -> float | None:
        """Let a request in.

        Returns:
            None if it may run (then :meth:`release` must follow), else the seconds after
            which another try may succeed.
        """
        now = self._clock.monotonic()
        usage = self._of(user, now)
        if usage.in_flight >= self._in_flight:
            return IN_FLIGHT_RETRY_S
        wait = usage.requests.take(now)
        if wait is None:
            usage.in_flight += 1
        return wait

    def release(self, user: str) -> None:
        """An admitted request has been answered."""
        usage = self._usage.get(user)
        if usage is not None and usage.in_flight > 0:
            usage.in_flight -= 1

    def may_answer_refusal(self, user: str) -> bool:
        """Whether this ``RATE_LIMITED`` may be told; the others are dropped without a word."""
        now = self._clock.monotonic()
        return self._of(user, now).refusals.take(now) is None

    def reveal(self, user: str) -> float | None:
        """Count a reveal: None if it may happen, else the seconds until one may."""
        now = self._clock.monotonic()
        usage = self._of(user, now)
        usage.reveals = [at for at in usage.reveals if at > now - REVEALS_WINDOW_S]
        if len(usage.reveals) >= self._reveals:
            return usage.reveals[0] + REVEALS_WINDOW_S - now
        usage.reveals.append(now)
        return None

    def _of(self, user: str, now: float) -> _Usage:
        usage = self._usage.get(user)
        if usage is None:
            if len(self._usage) >= REMEMBERED_USERS:
                self._forget(now)
            usage = self._usage[user] = _Usage(
                requests=Bucket(self._per_second, self._per_second, self._per_second, now),
                refusals=Bucket(1.0, REFUSALS_PER_SECOND, 1.0, now),
            )
        return usage

    def _forget(self, now: float) -> None:
        """Drop the users whose return would look like a first visit."""
        at_rest = [
            user
            for user, usage in self._usage.items()
            if usage.in_flight == 0
            and usage.requests.full(now)
            and usage.refusals.full(now)
            and not any(at > now - REVEALS_WINDOW_S for at in usage.reveals)
        ]
        for user in at_rest:
            del self._usage[user]
