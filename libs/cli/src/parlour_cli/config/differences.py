"""What differs between two configurations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parlour_cli.config.values import shown

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One key whose value differs, both values as text."""

    key: str
    before: str
    after: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The keys that differ, in order."""
    found = []
    for key in sorted({*before, *after}):
        old = shown(before[key]) if key in before else ABSENT
        new = shown(after[key]) if key in after else ABSENT
        if old != new:
            found.append(Difference(key, old, new))
    return found
