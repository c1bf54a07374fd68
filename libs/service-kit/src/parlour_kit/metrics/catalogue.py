"""All metrics of all processes, for documents and tests."""

from __future__ import annotations

from typing import Final

from parlour_kit.metrics import (
    cache,
    database,
    hearing,
    http,
    machine,
    process,
    rooms,
    speaking,
    thinking,
    traffic,
    turns,
    work,
)
from parlour_kit.metrics.registry import Declared, declared

MODULES: Final = (
    cache, database, hearing, http, machine, process, rooms, speaking, thinking, traffic,
    turns, work,
)  # fmt: skip
"""Whatever declares metrics; importing it is what declares them."""


def catalogue() -> tuple[Declared, ...]:
    """Every metric that some process serves, by its name."""
    return tuple(sorted(declared(), key=lambda metric: metric.name))
