"""What the pure core gets from the world, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from parlour_contracts.messages.llm import WireError
from parlour_contracts.topics import Payload, Topic

from router.workers import Workers


@dataclass(frozen=True, slots=True)
class Ambient:
    """Time, ids and knowledge of the fleet, injected.

    Attributes:
        now: seconds of a monotonic clock.
        utc: the time of day as it travels.
        new_id: a new UUIDv7.
        workers: who lives.
        instance: this router's name.
    """

    now: Callable[[], float]
    utc: Callable[[], str]
    new_id: Callable[[], str]
    workers: Workers
    instance: str

    def wall(self) -> datetime:
        """The time of day, aware UTC; it may be set while the process runs."""
        return datetime.fromisoformat(self.utc())


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to send."""

    topic: Topic[Any]
    message: Payload
    params: Mapping[str, str] = field(default_factory=dict)


def failure(code: str, message: str, *, hint: str = "", retryable: bool = True) -> WireError:
    """A failure of a turn as it travels; its text never holds speech."""
    return WireError(code=code, message=message, retryable=retryable, hint=hint)


def ms(seconds: float) -> float:
    """Milliseconds, rounded to a tenth and never negative."""
    return round(max(0.0, seconds) * 1000, 1)
