"""Reads of what is kept for when its origin is away (P021)."""

from __future__ import annotations

from typing import Literal

from parlour_kit.metrics.registry import Group, begin_at_zero

Backend = Literal["lkg"]

_group = Group("all")

_get = _group.counter(
    "parlour_cache_get_total",
    "Reads of what is kept; lkg is the last known good configuration",
    ["backend"],
)
_hit = _group.counter("parlour_cache_hit_total", "Reads that found something usable", ["backend"])

begin_at_zero(_get, ("lkg",))
begin_at_zero(_hit, ("lkg",))


def read(backend: Backend, *, hit: bool) -> None:
    """Something kept was read; ``hit``: it was there and could be used."""
    _get.labels(backend).inc()
    _hit.labels(backend).inc(hit)
