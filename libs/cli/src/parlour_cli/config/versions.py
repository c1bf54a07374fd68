"""What a service's settings were at an earlier version, by undoing what changed since. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from parlour_cli.talk.errors import InputError


def undone(
    current: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], version: int
) -> dict[str, Any]:
    """The settings that a version held.

    A secret is its masked form. Where it changed since, that has a tag, which tells two values
    apart; where not, it has none.

    Args:
        current: the newest settings.
        rows: of the history, newest first; they are taken until the version is reached.
        version: a row version that was.

    Raises:
        InputError: the history does not reach back so far.
    """
    config = dict(current)
    for row in rows:
        led_to = row.get("version")
        if led_to is not None and led_to <= version:
            return config
        if row.get("old_value_json") is None:
            config.pop(row["key"], None)
        else:
            config[row["key"]] = json.loads(row["old_value_json"])
    raise InputError(
        f"there is no version {version} in the history",
        hint="parlour config history shows which there are",
    )
