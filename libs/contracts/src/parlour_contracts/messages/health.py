"""How a process is (retained, with a last will)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parlour_contracts.base import Ms, Name, Part, UtcTime, Uuid7, WireModel
from parlour_contracts.messages.llm import WireError

Status = Literal["healthy", "degraded", "unhealthy", "offline"]
Component = Literal["audio", "llm", "tts", "system"]
"""What the health of an assistant is made of (H001)."""

Throttle = Literal["none", "warm", "hot"]
"""What a machine lets its processes do: everything, nothing on speculation, nothing new."""


class HealthCheckResult(Part):
    """The health of one component (H001)."""

    component_name: Component
    is_healthy: bool
    details: Annotated[str, Field(max_length=500)] | None = None
    latency_ms: Ms | None = None
    timestamp: UtcTime


class ConfigState(Part):
    """Which configuration a process runs with."""

    config_epoch: Annotated[str, Field(max_length=36)] | None = None
    checksum: Annotated[str, Field(pattern=r"^[a-f0-9]{64}$")] | None = None
    source: Literal["mqtt", "lkg", "default", "env"] = "default"
    stale: bool = False


class Load(Part):
    """What a process uses. ``queue``: requests that wait."""

    rss_bytes: Annotated[int, Field(ge=0)] = 0
    cpu_percent: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    queue: Annotated[int, Field(ge=0)] = 0


class Health(WireModel):
    """The state of one process.

    ``boot`` names the run of the process, ``conn`` counts its connections, ``seq`` its messages.
    A reader treats a state whose ``seq`` stood still for three intervals as unknown, and
    ignores a will of an earlier ``boot`` or ``conn``.
    """

    service: Name
    instance: Name
    status: Status
    ok: bool
    ready: bool
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    boot: Uuid7
    conn: Annotated[int, Field(ge=0)]
    seq: Annotated[int, Field(ge=0)]
    interval_s: Annotated[float, Field(gt=0, le=3600)]
    issued_at: UtcTime
    event: Literal["birth", "heartbeat", "change", "stopping", "lwt"]
    components: dict[str, bool] = {}
    details: Annotated[list[HealthCheckResult], Field(max_length=32)] = []
    config: ConfigState = ConfigState()
    load: Load = Load()
    throttle: Throttle = "none"
    err: WireError | None = None


class SelfTest(WireModel):
    """A watchdog's ping to itself."""

    boot: Uuid7
    seq: Annotated[int, Field(ge=0)]
