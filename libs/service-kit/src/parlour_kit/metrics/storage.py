"""What is asked of the database, and of what is kept against its absence (P019 to P021)."""

from __future__ import annotations

from typing import Literal

from parlour_kit.metrics.registry import Group

Backend = Literal["lkg"]

QUERY_BUCKETS_S = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_database = Group("config-manager")
_cache = Group("all")

_LABELS = ["vendor", "alias"]
_query_duration = _database.histogram(
    "parlour_db_query_duration_seconds",
    "How long a statement took until its first row",
    _LABELS,
    buckets=QUERY_BUCKETS_S,
)
_execute = _database.counter(
    "parlour_db_execute_total", "Statements that the database was asked to do", _LABELS
)
_get = _cache.counter(
    "parlour_cache_get_total", "Reads of what is kept; lkg is the last known good configuration",
    ["backend"],
)  # fmt: skip
_hit = _cache.counter("parlour_cache_hit_total", "Reads that found something usable", ["backend"])

_sqlite_duration = _query_duration.labels("sqlite", "default")
_sqlite_execute = _execute.labels("sqlite", "default")


def statement(seconds: float) -> None:
    """The database did a statement, or refused it; may be called from any thread."""
    _sqlite_execute.inc()
    _sqlite_duration.observe(seconds)


def cache_read(backend: Backend, *, hit: bool) -> None:
    """Something kept was read; ``hit``: it was there and could be used."""
    _get.labels(backend).inc()
    _hit.labels(backend).inc(hit)
