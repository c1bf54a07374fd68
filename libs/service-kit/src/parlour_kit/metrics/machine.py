"""The machine, as each of its processes sees it: the last values of the 1 Hz look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from parlour_kit.errors import ParlourError
from parlour_kit.metrics.registry import REGISTRY, Group, before_render

UNAVAILABLE = -1.0
"""No thermometer can be read (H005)."""


class UnreadableMachineError(ParlourError):
    """Nothing of the machine can be read; gauges of the past would be taken for those of now."""

    code = "METRICS_UNREADABLE"
    retryable = True
    hint = "the process must be able to read /proc"


class MachineValues(Protocol):
    """What the look of each second tells; None is what could never be read."""

    @property
    def memory_available_bytes(self) -> int | None:
        """Memory that programs can still have."""

    @property
    def swap_used_bytes(self) -> int | None:
        """What is swapped out."""

    @property
    def cpu_percent(self) -> float | None:
        """Load over all cores, 0 to 100."""

    @property
    def temperature_c(self) -> float:
        """Of the processor."""

    @property
    def unreadable(self) -> bool:
        """Nothing could be read this time."""


_TEXTS = {
    "system_memory_available_bytes": "Memory of the machine that programs can still have",
    "system_cpu_temperature_celsius": "Temperature of the processor; -1 where it cannot be read",
    "system_cpu_percent": "Load of the machine over all cores, 0 to 100",
    "system_swap_usage_bytes": "What the machine has swapped out",
}

_group = Group("all")
for _name, _text in _TEXTS.items():
    _group.note(_name, "gauge", _text)

throttle_level = _group.gauge(
    "parlour_throttle_level",
    "What the machine's heat lets this process do: 0 everything, 1 nothing on speculation, "
    "2 no new work",
)


class _Machine(Collector):
    """The four gauges of S0 (H004 to H007); without samples until there was a first look."""

    def __init__(self) -> None:
        self.values: MachineValues | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The values within their bounds (H038), whoever brought them."""
        seen = self.values
        found: dict[str, float | None] = {}
        if seen is not None:
            memory, swap, cpu = seen.memory_available_bytes, seen.swap_used_bytes, seen.cpu_percent
            found = {
                "system_memory_available_bytes": None if memory is None else max(0, memory),
                "system_cpu_temperature_celsius": max(UNAVAILABLE, seen.temperature_c),
                "system_cpu_percent": None if cpu is None else min(max(0.0, cpu), 100.0),
                "system_swap_usage_bytes": None if swap is None else max(0, swap),
            }
        for name, text in _TEXTS.items():
            yield GaugeMetricFamily(name, text, value=found.get(name))

    def judge(self) -> None:
        """Raise when the values say nothing about now."""
        if self.values is not None and self.values.unreadable:
            raise UnreadableMachineError("nothing of the machine can be read")


_machine = _Machine()
REGISTRY.register(_machine)
before_render(_machine.judge)


def system(values: MachineValues | None) -> None:
    """Take the values of this second; None forgets those of before."""
    _machine.values = values


def throttle(level: int) -> None:
    """How much the process holds back: 0 none, 1 warm, 2 hot."""
    throttle_level.set(level)
