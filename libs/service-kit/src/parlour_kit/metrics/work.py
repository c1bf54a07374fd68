"""What becomes of work and settings in every process: loaded, applied, dropped."""

from __future__ import annotations

from typing import Literal, get_args

from parlour_contracts.messages.requests import RefusalCode

from parlour_kit.metrics.registry import BUCKETS_S, Capped, Group, begin_at_zero

Reason = Literal["stale", "duplicate", "full", "refused", "cancelled", "expired", "stopping",
                 "stray", "late", "lost", "unsent"]  # fmt: skip
Source = Literal["mqtt", "lkg", "default", "env"]

_group = Group("all")

model_load = _group.gauge(
    "parlour_model_load_seconds",
    "How long loading took the last time: the model, the voice or the recogniser at the start",
)
config_stage = _group.histogram(
    "parlour_config_stage_seconds",
    "How long it took to get ready for new settings, with the loading of what they need",
    buckets=(*BUCKETS_S, 10.0, 30.0, 60.0),
)
config_info = _group.gauge(
    "parlour_config_info", "Where the settings that run came from; always 1", ["source", "stale"]
)
config_applied = _group.gauge(
    "parlour_config_applied_time_seconds",
    "When the settings that run were taken up, Unix time; their age is time() less this",
)
config_changes = _group.counter(
    "parlour_config_changes_total", "Settings taken up since the start, the first ones included"
)
config_blocked = _group.gauge(
    "parlour_config_blocked", "1 while new settings cannot reach the process, else 0"
)
config_refused = _group.counter(
    "parlour_config_refused_total",
    "Signed messages that were not taken for settings, by the code of the check that failed",
    ["code"],
)
_dropped = _group.counter(
    "parlour_work_dropped_total",
    "Work that was asked for and not done: stale (of an older revision), duplicate, full (too "
    "much waits), refused, cancelled, expired, stopping, stray (nobody waits for it), late and "
    "lost (frames), unsent (the broker is away)",
    ["reason"],
)

_DROPPED = {reason: _dropped.labels(reason) for reason in get_args(Reason)}
_code = Capped(50, r"[A-Z][A-Z0-9_]{0,63}")
begin_at_zero(config_refused, get_args(RefusalCode))
_running: tuple[object, ...] = ()


def dropped(reason: Reason, count: int = 1) -> None:
    """So many pieces of work were not done."""
    _DROPPED[reason].inc(count)


def refused_settings(code: str) -> None:
    """Settings came that failed a check or could not be applied (C035)."""
    config_refused.labels(_code(code)).inc()


def settings(
    source: Source, checksum: str | None, *, stale: bool, blocked: bool, wall_s: float
) -> None:
    """Which settings run (no value of theirs); when they are others, they were taken up now.

    Args:
        source: where they came from.
        checksum: tells one from the next; it is not shown.
        stale: whether newer ones should have come.
        blocked: whether newer ones cannot come.
        wall_s: Unix time.
    """
    global _running  # noqa: PLW0603  # of the process, as the gauges are
    config_blocked.set(blocked)
    if _running[:2] != (source, checksum):
        config_applied.set(wall_s)
        config_changes.inc()
    if _running != (source, checksum, stale):
        config_info.clear()
        config_info.labels(source, str(stale).lower()).set(1)
        _running = (source, checksum, stale)
