"""What a process answers over HTTP when it is asked how it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parlour_contracts.base import Ms, Part, UtcTime
from parlour_contracts.messages.health import Component, HealthCheckResult

SemVer = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]


class Liveness(Part):
    """``/healthz``: whether the main loop turns (P012)."""

    status: Literal["healthy", "unhealthy"]
    timestamp: UtcTime
    version: SemVer


class CheckState(Part):
    """What a check found; ``message`` names no host, path or person (P034)."""

    status: Literal["healthy", "unhealthy", "degraded"]
    latency_ms: Ms
    message: Annotated[str, Field(min_length=1, max_length=200)]


class Readiness(Part):
    """``/ready``: whether work can come (P013, X23)."""

    status: Literal["ready", "not_ready"]
    timestamp: UtcTime
    version: SemVer
    checks: dict[str, CheckState]


class HealthCheckResponse(Part):
    """``/health``: S0's and S4's answer in one (X11).

    ``components`` has those that the process knows: all four where it knows the fleet (H002),
    else its own. ``database`` is there where the process has one; ``details`` only has bad
    components, and ``error`` is there unless the status is healthy.
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    components: dict[Component, bool]
    database: Literal["connected", "disconnected"] | None = None
    details: Annotated[list[HealthCheckResult], Field(max_length=32)] | None = None
    error: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    timestamp: UtcTime


class HealthCheckFailure(Part):
    """``/health`` when checking itself failed (H027)."""

    status: Literal["error"] = "error"
    error: Annotated[str, Field(min_length=1, max_length=500)]
    timestamp: UtcTime
