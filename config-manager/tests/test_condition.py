"""The two coupled machines: status of the database and mode of operation."""

from __future__ import annotations

import pytest
from config_manager.condition import PAIRS, Condition


@pytest.mark.req("X5")
def test_every_pair_of_status_and_mode_outside_the_table_is_refused() -> None:
    statuses = ("healthy", "locked", "corrupted", "schema-mismatch")
    modes = ("normal", "read-only-fallback", "rebuilding")
    possible = set()
    for status in statuses:
        for mode in modes:
            try:
                Condition(status, mode)  # type: ignore[arg-type]  # one of the literals
            except ValueError:
                continue
            possible.add((status, mode))

    assert possible == PAIRS == {
        ("healthy", "normal"), ("healthy", "read-only-fallback"), ("healthy", "rebuilding"),
        ("locked", "normal"), ("locked", "read-only-fallback"),
        ("corrupted", "read-only-fallback"), ("corrupted", "rebuilding"),
        ("schema-mismatch", "read-only-fallback"), ("schema-mismatch", "rebuilding"),
    }  # fmt: skip
