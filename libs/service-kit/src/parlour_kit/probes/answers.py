"""What is answered, from what is known: bodies and status codes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from parlour_contracts.base import Part
from parlour_contracts.messages.health import Component, HealthCheckResult
from parlour_contracts.messages.probes import (
    CheckState,
    HealthCheckFailure,
    HealthCheckResponse,
    Liveness,
    Readiness,
)

from parlour_kit.clock import utc_text
from parlour_kit.ids import new_id
from parlour_kit.probes.checks import CheckResult
from parlour_kit.version import VERSION

Status = Literal["healthy", "degraded", "unhealthy"]
Database = Literal["connected", "disconnected"]

STUCK_S = 10.0
"""A main loop that has not turned for so long does not turn."""

OVERALL_S = 10.0
"""What all checks together may take (H027)."""

MAX_AGE_S = 30
"""How long a good answer may be kept (H028): as long as a check counts."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NO_CACHE = {"Cache-Control": "no-cache"}


@dataclass(frozen=True)
class Answer:
    """A status code, a body and its headers."""

    code: int
    body: Part
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_NO_CACHE))

    def encode(self) -> bytes:
        """JSON; what is None is left out."""
        return self.body.model_dump_json(exclude_none=True).encode()


@dataclass(frozen=True)
class Facts:
    """How a process, or what it knows of the fleet, is.

    Attributes:
        status: in a word.
        components: those that are known.
        bad: what is wrong with components.
        database: whether it answers; None where there is none.
        error: why it is not healthy, for strangers.
    """

    status: Status
    components: Mapping[Component, bool]
    bad: Sequence[HealthCheckResult] = ()
    database: Database | None = None
    error: str | None = None


def liveness(beat_age_s: float, now: datetime) -> Answer:
    """``/healthz``: nothing but whether the main loop turns (P012).

    Args:
        beat_age_s: seconds since it last did.
        now: aware UTC.
    """
    turns = beat_age_s < STUCK_S
    body = Liveness(
        status="healthy" if turns else "unhealthy", timestamp=utc_text(now), version=VERSION
    )
    return Answer(200 if turns else 503, body)


def readiness(results: Sequence[CheckResult], now: datetime, obstacle: str | None = None) -> Answer:
    """``/ready``: not ready before the start is over, or while a check fails (X23).

    Args:
        results: of the checks.
        now: aware UTC.
        obstacle: why no work is taken whatever the checks say, such as the start that is not
            over; for strangers.
    """
    checks = {result.name: _state_of(result) for result in results}
    if obstacle is not None:
        checks["start"] = CheckState(status="unhealthy", latency_ms=0.0, message=obstacle)
    ready = all(state.status != "unhealthy" for state in checks.values())
    body = Readiness(
        status="ready" if ready else "not_ready",
        timestamp=utc_text(now),
        version=VERSION,
        checks=checks,
    )
    return Answer(200 if ready else 503, body)


def health(facts: Facts, now: datetime) -> Answer:
    """``/health``: S0's and S4's answer (H002, H027, H028, D002)."""
    healthy = facts.status == "healthy"
    bad = [result for result in facts.bad if not result.is_healthy]
    body = HealthCheckResponse(
        status=facts.status,
        components=dict(facts.components),
        database=facts.database,
        details=bad or None,
        error=None if healthy else facts.error or _summary(facts),
        timestamp=utc_text(now),
    )
    headers = {"Cache-Control": f"max-age={MAX_AGE_S}"} if healthy else dict(_NO_CACHE)
    return Answer(200 if healthy else 503, body, headers)


def unable(reason: str, now: datetime) -> Answer:
    """``/health`` when checking itself failed (H027); ``reason`` is for strangers."""
    return Answer(500, HealthCheckFailure(error=reason, timestamp=utc_text(now)))


def request_id(given: str | None) -> str:
    """The caller's id where it is one, else a new one (P035)."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return new_id()


def _state_of(result: CheckResult) -> CheckState:
    # What is not known keeps nobody from working.
    status = "degraded" if result.state == "unknown" else result.state
    return CheckState(status=status, latency_ms=result.latency_ms, message=result.message)


def _summary(facts: Facts) -> str:
    down: list[str] = sorted(name for name, works in facts.components.items() if not works)
    if facts.database == "disconnected":
        down.append("database")
    return f"does not work: {', '.join(down)}" if down else "it does not work as it should"
