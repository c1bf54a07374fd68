"""What differs between two configurations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parlour_config.canonical import canonical

from parlour_cli.config.values import shown

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One key whose value differs, both values as text."""

    key: str
    before: str
    after: str


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The keys that differ, in order. Two secrets differ when their tags say so."""
    found = []
    for key in sorted({*before, *after}):
        if key in before and key in after and _same(before[key], after[key]):
            continue
        old = shown(before[key]) if key in before else ABSENT
        new = shown(after[key]) if key in after else ABSENT
        found.append(Difference(key, old, new))
    return found


def _same(old: Any, new: Any) -> bool:
    """Whether two values are one on the wire: ``true`` is not 1, however deep, but 2.0 is 2."""
    return canonical(old) == canonical(new)
