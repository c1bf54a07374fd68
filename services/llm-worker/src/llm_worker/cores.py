"""How many threads suit this machine: one per physical core that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/core_cpus_list"


def physical_cores() -> int:
    """Physical cores of this process's affinity; at least 1."""
    allowed = os.sched_getaffinity(0)
    return count_cores(_siblings(cpu) for cpu in sorted(allowed))


def count_cores(siblings: Iterable[str]) -> int:
    """Distinct cores, given for each CPU the list of CPUs on the same core, such as ``0,4``."""
    return max(1, len(set(siblings)))


def _siblings(cpu: int) -> str:
    try:
        return Path(_TOPOLOGY.format(cpu)).read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)  # no topology here (some virtual machines): each CPU is a core
