"""Which retained topics were written for Home Assistant, so that they can be emptied again.

Whoever switches the feature off, or chooses another prefix, leaves messages at the broker that
nobody else would take away. The file is written before the first of them is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from parlour_config.canonical import load
from parlour_config.errors import RefusedJsonError, StorageError
from parlour_config.files import read_limited, remove_file, replace_file
from parlour_contracts.acl import PREFIX_PATTERN
from parlour_contracts.base import NAME_PATTERN
from parlour_contracts.topics import CONFIG_STATE

MAX_BYTES = 262_144
_DEVICE = re.compile(rf"{PREFIX_PATTERN}/device/parlour-{NAME_PATTERN}/config")


def written(path: Path) -> frozenset[str]:
    """The topics that a file names; nothing but what this feature writes is believed."""
    try:
        found = load(read_limited(path, MAX_BYTES), MAX_BYTES)
    except (OSError, StorageError, RefusedJsonError):
        return frozenset()
    topics = found.get("topics") if isinstance(found, dict) else None
    if not isinstance(topics, list):
        return frozenset()
    return frozenset(topic for topic in topics if isinstance(topic, str) and _is_ours(topic))


def remember(path: Path, topics: Iterable[str]) -> None:
    """Keep the topics; without any there is no file. Raises StorageError."""
    kept = sorted(topics)
    if kept:
        replace_file(path, json.dumps({"topics": kept}, indent=1).encode() + b"\n")
    else:
        remove_file(path)


def _is_ours(topic: str) -> bool:
    return _DEVICE.fullmatch(topic) is not None or CONFIG_STATE.parse(topic) is not None
