"""What may be done now, and why not: pure, from the facts that the runtime gathers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from parlour_config.clock import ahead_s, parse_moment
from parlour_config.errors import ClockError
from parlour_kit.errors import ParlourError

from config_manager.commands import RefusedError
from config_manager.condition import Condition, held
from config_manager.runtime.clock import AHEAD_LIMIT_S
from config_manager.runtime.leader import Role
from config_manager.runtime.selftest import MISCONFIGURED_HINT, Acl

TAKEOVER_HINT = "find out who else signs, stop it, then run: parlour config takeover"
STANDBY_HINT = "change settings at the one that leads; after its end run: parlour config takeover"
CONFIRM_HINT = "if the date of this machine is right, run: parlour config confirm-floor"


class StandbyError(ParlourError):
    """Another config-manager leads."""

    code = "STANDBY"
    hint = STANDBY_HINT


class EpochConflictError(ParlourError):
    """Somebody else signs configuration as this process does."""

    code = "EPOCH_CONFLICT"
    hint = TAKEOVER_HINT


class FloorAheadError(ParlourError):
    """The logical clock is far ahead of the time."""

    code = "FLOOR_AHEAD"
    hint = CONFIRM_HINT


class NotReadyError(ParlourError):
    """Something that has to come first has not happened yet."""

    code = "STARTING"
    retryable = True


@dataclass(frozen=True)
class Situation:
    """The facts of a moment.

    Attributes:
        condition: of the database.
        role: of this process.
        why: of a standby or a conflict.
        reconciled: what was retained at the start has been dealt with.
        connected: the publishing connection stands.
        acl: what is known of the broker's access list.
        floor_ahead: the logical clock is too far ahead of the time.
        replica_bad: the copy of the database is late.
        listening: the connection for requests stands.
        refused: the broker refuses what is published.
        alone: no broker could be reached since the start, for so long that changes are taken.
    """

    condition: Condition
    role: Role
    why: str
    reconciled: bool
    connected: bool
    acl: Acl
    floor_ahead: bool
    replica_bad: bool = False
    listening: bool = True
    refused: bool = False
    alone: bool = False

    @property
    def barrier(self) -> ParlourError | None:
        """What only the operator ends."""
        if self.role is Role.CONFLICT:
            return EpochConflictError(self.why)
        if self.role is Role.STANDBY:
            return StandbyError(self.why)
        if self.floor_ahead:
            return FloorAheadError("the logical clock is more than a day ahead of the time")
        return None

    @property
    def shown(self) -> Condition:
        """Status and mode as health tells them."""
        return held(self.condition, self.barrier)

    @property
    def may_sign(self) -> bool:
        """Whether configuration may be signed and sent."""
        return self.role is Role.ACTIVE and not self.floor_ahead and self.condition.ok

    @property
    def problem(self) -> ParlourError | None:
        """Why this process is not what it should be, the weightiest first."""
        problems = (
            (not self.connected, "NOT_CONNECTED", "the broker is away", ""),
            (
                not self.reconciled or self.role is not Role.ACTIVE,
                "STARTING", "config-manager looks at what the broker has", "",
            ),
            (not self.listening, "STARTING", "the connection for requests is not there yet", ""),
            (
                self.acl not in (Acl.ENFORCED, Acl.NONE),
                "ACL_OPEN", "the broker does not enforce its access list", MISCONFIGURED_HINT,
            ),
            (
                self.refused,
                "PUBLISH_REFUSED", "the broker refuses configuration", MISCONFIGURED_HINT,
            ),
            (self.replica_bad, "REPLICA_LATE", "the copy of the database is late", ""),
        )  # fmt: skip
        if self.shown.error is not None:
            return self.shown.error
        return next(
            (
                NotReadyError(message, code=code, hint=hint)
                for holds, code, message, hint in problems
                if holds
            ),
            None,
        )

    @property
    def ok(self) -> bool:
        """Healthy, normal, connected, and its access list enforced."""
        return self.shown.ok and self.problem is None

    def gate(self) -> RefusedError | None:
        """Why nothing may be changed now, or None."""
        barrier = self.barrier
        if self.condition.mode != "normal":
            error = self.condition.error
            return RefusedError(
                "READ_ONLY",
                f"only reads are answered: {error}" if error else "only reads are answered",
                hint=error.hint if error else "wait until the database was made anew",
            )
        if barrier is not None:
            return RefusedError("READ_ONLY", f"only reads are answered: {barrier}",
                                hint=barrier.hint)  # fmt: skip
        if not self.reconciled and not self.alone:
            return RefusedError(
                "STARTING",
                "config-manager is starting and has not seen the broker yet"
                if not self.connected
                else "config-manager is starting",
                hint="try again in a moment",
                retry_after_s=2.0,
            )
        return None

    def mqtt_gate(self) -> RefusedError | None:
        """Why changes are not taken over MQTT in particular, or None."""
        if self.acl is Acl.ENFORCED:
            return None
        if self.acl is Acl.NONE:
            return RefusedError(
                "READ_ONLY",
                "this broker does not tell users apart, so nobody may change settings over MQTT",
                hint="use parlour config or REST, or run a Mosquitto with Parlour's access list",
            )
        return RefusedError(
            "READ_ONLY",
            "the broker does not enforce its access list, so nobody may change settings over MQTT",
            hint=f"{MISCONFIGURED_HINT}; until then use parlour config or REST",
        )


def floor_is_ahead(floor: str, now: datetime | None, confirmed: str) -> bool:
    """Whether the floor is more than a day ahead of a clock that may be believed.

    Args:
        floor: the logical clock.
        now: the time, or None when it may not be believed.
        confirmed: the floor that the operator said is right; a day above it is right as well.
    """
    try:
        if now is None or ahead_s(floor, now) <= AHEAD_LIMIT_S:
            return False
        if not confirmed:
            return True
        return _beyond(floor, confirmed)
    except ClockError:
        return True


def _beyond(floor: str, confirmed: str) -> bool:
    return ahead_s(floor, parse_moment(confirmed)) > AHEAD_LIMIT_S
