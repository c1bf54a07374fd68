"""How many threads a recogniser should have."""

from __future__ import annotations

import os
from pathlib import Path

MOST = 4
"""Whisper's small models gain nothing from more."""

_TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores(topology: Path = _TOPOLOGY) -> int:
    """Physical cores that this process may use; logical ones where the kernel does not tell."""
    allowed = os.sched_getaffinity(0)
    siblings = set()
    for cpu in allowed:
        try:
            path = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
            siblings.add(path.read_text().strip())
        except OSError:
            return len(allowed)
    return len(siblings)


def choose_threads(wanted: int) -> int:
    """The wanted number, or for 0 the physical cores up to four."""
    return wanted or max(1, min(physical_cores(), MOST))
