"""What is asked of the database (P019, P020)."""

from __future__ import annotations

from parlour_kit.metrics.registry import Group

QUERY_BUCKETS_S = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_group = Group("config-manager")

_LABELS = ["vendor", "alias"]
_duration = _group.histogram(
    "parlour_db_query_duration_seconds",
    "How long a statement took until its first row",
    _LABELS,
    buckets=QUERY_BUCKETS_S,
)
_execute = _group.counter(
    "parlour_db_execute_total", "Statements that the database was asked to do", _LABELS
)
_sqlite_duration = _duration.labels("sqlite", "default")
_sqlite_execute = _execute.labels("sqlite", "default")


def statement(seconds: float) -> None:
    """The database did a statement, or refused it; may be called from any thread."""
    _sqlite_execute.inc()
    _sqlite_duration.observe(seconds)
