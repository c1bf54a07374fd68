"""Whether this config-manager leads: a state machine, times and leases in, its role out.

A manager collects what is retained, then claims the lead. Messages of one topic reach every
client in one order, so of two that claim at the same moment the one whose lease came first
leads and the other stands by. A lease that another instance left behind is watched for its
``ttl``: if it moves, its owner lives and this one stands by; if not, the owner is dead.

A leader that sees another lease move has a twin. It stops publishing and waits for the
operator. The lease only prevents accidents: MQTT has no compare-and-set, and the door that keeps
services safe is the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LEASE_INTERVAL_S = 10.0
LEASE_TTL_S = 30
CLAIM_PATIENCE_S = 2.0
"""How long a claim waits for its own lease to come back."""


class Role(Enum):
    """What this process may do."""

    STARTING = "starting"
    """Nothing of the broker is known yet: no lease, no config, no requests."""

    WAITING = "waiting"
    """Another instance left a lease; is it alive?"""

    CLAIMING = "claiming"
    """The own lease is out and not yet seen."""

    ACTIVE = "active"
    STANDBY = "standby"
    """Another one leads; only the operator's takeover changes that."""

    CONFLICT = "conflict"
    """Somebody else signs as we do; only the operator's takeover changes that."""


@dataclass(frozen=True)
class Heard:
    """A validly signed lease.

    Attributes:
        instance: who leads.
        boot: that process.
        seq: grows with every renewal; 0 is a claim.
        ttl_s: how long it lives without one.
        fresh: it came live and was not retained.
    """

    instance: str
    boot: str
    seq: int
    ttl_s: int
    fresh: bool


@dataclass
class _Watched:
    """Another one's lease: the last that was seen, and when it last moved."""

    heard: Heard
    since: float
    moved: float | None = None


class Leadership:
    """The role of one process.

    Attributes:
        role: what it may do now.
        why: the reason of a standby or conflict; empty else.
    """

    def __init__(self, instance: str, boot: str, *, conflict: str = "") -> None:
        """Begin to start; with ``conflict``, what an earlier run met and nobody has settled."""
        self.role = Role.CONFLICT if conflict else Role.STARTING
        self.why = conflict
        self._instance = instance
        self._boot = boot
        self._other: _Watched | None = None
        self._claimed_at = 0.0

    @property
    def leads(self) -> bool:
        """Whether it may publish configuration and renew its lease."""
        return self.role is Role.ACTIVE

    @property
    def answers(self) -> bool:
        """Whether it takes requests over MQTT."""
        return self.role in (Role.ACTIVE, Role.CONFLICT)

    def other_lives(self, now: float) -> bool:
        """Whether another one's lease moved within its ttl."""
        other = self._other
        return (
            other is not None and other.moved is not None and now - other.moved < other.heard.ttl_s
        )

    def heard(self, lease: Heard, now: float) -> None:
        """A validly signed lease was seen."""
        if lease.boot == self._boot:
            if self.role is Role.CLAIMING:
                self.role = Role.ACTIVE
            return
        self._watch(lease, now)
        if self.role is Role.CLAIMING:
            self._stand_by(lease.instance)  # it came before our own
        elif self.role is Role.WAITING and self.other_lives(now):
            self._stand_by(lease.instance)
        elif self.role is Role.ACTIVE and lease.seq > 0 and self.other_lives(now):
            self.conflict(f"{lease.instance} leads as well")

    def withdrawn(self) -> None:
        """The lease's topic was emptied: whoever led stopped cleanly."""
        self._other = None

    def collected(self, now: float) -> None:
        """What is retained on the broker is known."""
        if self.role is not Role.STARTING:
            return
        other = self._other
        if other is None or other.heard.instance == self._instance:
            self._claim(now)  # our own lease of an earlier run holds nobody up
        elif self.other_lives(now):
            self._stand_by(other.heard.instance)
        else:
            self.role = Role.WAITING

    def tick(self, now: float) -> None:
        """Time has passed."""
        other = self._other
        if self.role is Role.WAITING and (other is None or now - other.since >= other.heard.ttl_s):
            self._claim(now)
        elif self.role is Role.CLAIMING and now - self._claimed_at >= CLAIM_PATIENCE_S:
            self.role = Role.ACTIVE  # a broker that does not send our own messages back

    def conflict(self, why: str) -> None:
        """Somebody else signs as we do: publish nothing until the operator decides."""
        self.role, self.why = Role.CONFLICT, why

    def takeover(self) -> None:
        """The operator says that this one leads."""
        self.role, self.why = Role.ACTIVE, ""
        self._other = None

    def _watch(self, lease: Heard, now: float) -> None:
        other = self._other
        if other is None or other.heard.boot != lease.boot:
            self._other = _Watched(lease, now, now if lease.fresh else None)
        elif lease.seq > other.heard.seq:
            self._other = _Watched(lease, other.since, now)

    def _claim(self, now: float) -> None:
        self.role, self._claimed_at = Role.CLAIMING, now

    def _stand_by(self, instance: str) -> None:
        self.role, self.why = Role.STANDBY, f"{instance} leads"
