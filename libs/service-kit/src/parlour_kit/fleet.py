"""What a listener may conclude from health messages: who lives, and how the whole is. Pure.

An instance is *dead* when its will came, *stopped* when it said goodbye, and *stale* when its
``seq`` stood still for three of its intervals; else it is what it says. A message of an earlier
run or connection says nothing. A first message may have been retained for long, so its time of
issue counts until the next one shows that the instance lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Component, Health, HealthCheckResult

from parlour_kit.clock import utc_text

INTERVALS = 3
"""Who is silent for so many of its intervals may be gone."""

KEEPER_INTERVAL_S = 10.0
"""config-manager's, where its message does not say."""

MAX_KNOWN = 1000

ROUTER: Final = "router"
"""The service that every turn goes through."""

COMPONENTS: Final[tuple[Component, ...]] = ("audio", "llm", "tts", "system")

Condition = Literal["healthy", "degraded", "unhealthy", "stale", "dead", "stopped"]
Status = Literal["healthy", "degraded", "unhealthy"]

_GONE: Final = ("stale", "dead", "stopped")
_ORDER: Final[tuple[Status, ...]] = ("healthy", "degraded", "unhealthy")


@dataclass(frozen=True)
class Sign:
    """A health message of any process, in one form.

    ``boot``, ``conn`` and ``seq`` order it; ``said`` is what the instance says of itself.
    """

    service: str
    instance: str
    said: Literal["healthy", "degraded", "unhealthy"]
    ready: bool
    event: str
    boot: str
    conn: int
    seq: int
    interval_s: float
    issued_at: str = ""
    components: Mapping[str, bool] = field(default_factory=dict)
    details: tuple[HealthCheckResult, ...] = ()
    throttle: str = "none"
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Heard:
    """An instance's last sign, and when its ``seq`` last moved (monotonic seconds)."""

    sign: Sign
    at: float

    def condition(self, now: float) -> Condition:
        """How the instance is at this moment."""
        if self.sign.event == "lwt":
            return "dead"
        if self.sign.event == "stopping":
            return "stopped"
        return "stale" if self.silent(now) else self.sign.said

    @property
    def gone(self) -> bool:
        """Whether it, or the broker for it, has said that it is no more."""
        return self.sign.event in ("lwt", "stopping")

    def silent(self, now: float) -> bool:
        """Whether it has missed its turns to speak."""
        return is_silent(self.at, now, self.sign.interval_s)


class Roll:
    """Every instance's last sign; one more than :data:`MAX_KNOWN` is not taken in."""

    def __init__(self) -> None:
        self.instances: dict[str, Heard] = {}

    def see(self, sign: Sign, now: float, wall: datetime | None = None) -> bool:
        """Take a sign in.

        Args:
            sign: what was heard.
            now: monotonic seconds.
            wall: aware UTC, to tell how old a first message is; None: it is taken for new.

        Returns:
            False where it says nothing, as of an earlier run or connection.
        """
        known = self.instances.get(sign.instance)
        if known is None:
            if len(self.instances) >= MAX_KNOWN:
                return False
            self.instances[sign.instance] = Heard(sign, now - _age_s(sign, wall))
            return True
        last = known.sign
        if (sign.boot, sign.conn) < (last.boot, last.conn):  # a boot is a UUIDv7: later is higher
            return False
        again = sign.boot == last.boot and sign.seq <= last.seq and sign.event != "lwt"
        self.instances[sign.instance] = Heard(sign, known.at if again else now)
        return True

    def forget(self, instance: str) -> None:
        """Its message was taken off the broker: it is no part of the fleet any more."""
        self.instances.pop(instance, None)

    def conditions(self, now: float) -> dict[str, Condition]:
        """Instance → how it is."""
        return {name: heard.condition(now) for name, heard in self.instances.items()}


@dataclass(frozen=True)
class FleetHealth:
    """The whole fleet in one answer (H002): exactly four components.

    ``details`` has what is wrong with components, ``summary`` who is not well; both for
    strangers: names of instances, and nothing else of the house.
    """

    status: Status
    components: Mapping[Component, bool]
    details: tuple[HealthCheckResult, ...] = ()
    summary: str | None = None


def aggregate(heard: Iterable[Heard], now: float, wall: datetime) -> FleetHealth:
    """The health of all instances together.

    A component works when one living instance says that its own does; the machine only when
    every living instance says so of its. H003 makes a status of that. Since a component says
    nothing about who carries the turns, a fleet without a router that works is unhealthy, and
    one in which anybody is not well is degraded. Who said goodbye is not missed.

    Args:
        heard: the last sign of each instance.
        now: monotonic seconds.
        wall: aware UTC, for the details.
    """
    conditions = [(one.sign, one.condition(now)) for one in heard]
    living = [sign for sign, condition in conditions if condition not in _GONE]
    components = {name: _works(name, living) for name in COMPONENTS}
    status = component_status(components)
    routed = any(s.service == ROUTER and s.ready and s.said != "unhealthy" for s in living)
    unwell = sorted((s.instance, c) for s, c in conditions if c not in ("healthy", "stopped"))
    if not routed:
        status = "unhealthy"
    elif unwell:
        status = worse(status, "degraded")
    wrong = [f"{instance} is {condition}" for instance, condition in unwell]
    if not routed and not any(sign.service == ROUTER for sign in living):
        wrong.insert(0, "there is no router")
    return FleetHealth(
        status,
        components,
        tuple(_detail(name, living, wall) for name in COMPONENTS if not components[name]),
        "; ".join(wrong)[:500] or None,
    )


def component_status(components: Mapping[Component, bool]) -> Status:
    """H003: without language model or ears nothing works; without the others, less does."""
    if all(components.values()):
        return "healthy"
    if components.get("llm", True) and components.get("audio", True):
        return "degraded"
    return "unhealthy"


def worse(one: Status, other: Status) -> Status:
    """The worse of the two."""
    return max(one, other, key=_ORDER.index)


def is_silent(heard_at: float, now: float, interval_s: float) -> bool:
    """Whether somebody who speaks every ``interval_s`` seconds has missed its turns."""
    return now - heard_at > INTERVALS * interval_s


def sign_of(health: Health) -> Sign:
    """The sign of any process but config-manager."""
    offline = health.status == "offline"
    return Sign(
        health.service, health.instance,
        "unhealthy" if health.status == "offline" else health.status, health.ready,
        "stopping" if offline and health.event != "lwt" else health.event,
        health.boot, health.conn, health.seq, health.interval_s, health.issued_at,
        dict(health.components), tuple(health.details), health.throttle,
        health.err.message if health.err else "", health.err.hint if health.err else "",
    )  # fmt: skip


def sign_of_keeper(health: ConfigHealthPayload, instance: str = "config-manager") -> Sign:
    """The sign of config-manager, whose ``event`` holds what its form has no field for."""
    word, _, rest = (health.event or "heartbeat").partition(" ")
    tokens = dict(token.partition("=")[::2] for token in rest.split())
    return Sign(
        "config-manager", instance, "healthy" if health.ok else "unhealthy",
        health.operational_mode == "normal" and health.database_status == "healthy",
        word, tokens.get("boot", ""), _number(tokens, "conn"), _number(tokens, "seq"),
        _interval(tokens), tokens.get("at", ""),
        problem=health.err or "",
    )  # fmt: skip


def _number(tokens: Mapping[str, str], name: str) -> int:
    text = tokens.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


def _interval(tokens: Mapping[str, str]) -> float:
    try:
        found = float(tokens.get("every", ""))
    except ValueError:
        return KEEPER_INTERVAL_S
    return found if 0 < found <= 3600 else KEEPER_INTERVAL_S


def _age_s(sign: Sign, wall: datetime | None) -> float:
    """How long ago it was issued, as far as the clocks agree; never less than nothing."""
    if wall is None or not sign.issued_at:
        return 0.0
    try:
        issued = datetime.fromisoformat(sign.issued_at)
    except ValueError:
        return 0.0
    return max(0.0, (wall - issued.astimezone(UTC)).total_seconds())


def _works(name: Component, living: list[Sign]) -> bool:
    told = [sign.components[name] for sign in living if name in sign.components]
    if name == "system":
        return bool(told) and all(told)
    return any(told)


def _detail(name: Component, living: list[Sign], wall: datetime) -> HealthCheckResult:
    found = (d for sign in living for d in sign.details if d.component_name == name)
    known = next((detail for detail in found if not detail.is_healthy), None)
    if known is not None:
        return known
    return HealthCheckResult(
        component_name=name,
        is_healthy=False,
        details="nobody says that it works",
        timestamp=utc_text(wall),
    )
