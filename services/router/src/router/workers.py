"""Which workers live, from their health messages. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from parlour_contracts.messages.health import Health

SILENT_INTERVALS = 3
MAX_KNOWN = 1000


@dataclass(slots=True)
class _Known:
    service: str
    boot: str
    conn: int
    seq: int
    alive: bool
    ready: bool
    until: float


@dataclass(frozen=True, slots=True)
class Change:
    """What a health message means: ``lost``, and with it the work it had; ``up``, ready again."""

    service: str
    instance: str
    lost: bool = False
    up: bool = False


class Workers:
    """The fleet as the router knows it.

    A will of an earlier boot or connection is ignored, as is anything older than what is known.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[str, _Known] = {}

    def note(self, health: Health) -> Change:
        """A health message came."""
        known = self._known.get(health.instance)
        unchanged = Change(health.service, health.instance)
        if known is not None and self._is_old(known, health):
            return unchanged
        if known is None and len(self._known) >= MAX_KNOWN:
            return unchanged
        gone = health.status == "offline"
        restarted = known is not None and known.boot != health.boot
        lost = known is not None and known.alive and (gone or restarted)
        up = health.ready and not gone and (known is None or not known.ready or restarted)
        self._known[health.instance] = _Known(
            health.service,
            health.boot,
            health.conn,
            health.seq if health.event != "lwt" else (known.seq if known else 0),
            not gone,
            health.ready and not gone,
            self._now() + SILENT_INTERVALS * health.interval_s,
        )
        return Change(health.service, health.instance, lost, up)

    @staticmethod
    def _is_old(known: _Known, health: Health) -> bool:
        if health.boot != known.boot:
            return health.boot < known.boot  # ids are ordered by time
        if health.event == "lwt":
            return health.conn < known.conn or not known.alive
        return health.seq <= known.seq

    def ready(self, service: str) -> list[str]:
        """The instances of a service that are ready and were heard of lately."""
        now = self._now()
        return [
            i for i, k in self._known.items() if k.service == service and k.ready and k.until > now
        ]
