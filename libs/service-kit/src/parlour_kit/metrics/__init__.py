"""What a process measures of itself, for Prometheus.

Every process serves what this module imports; the other modules are imported by the service
whose work they measure. Values are noted where they arise and only written out by a scrape.
"""

from parlour_kit.metrics import process, traffic, work
from parlour_kit.metrics.machine import UnreadableMachineError, system, throttle
from parlour_kit.metrics.process import health_check
from parlour_kit.metrics.registry import REGISTRY, Answer, Declared, declared, render

__all__ = [
    "REGISTRY",
    "Answer",
    "Declared",
    "UnreadableMachineError",
    "declared",
    "health_check",
    "process",
    "render",
    "system",
    "throttle",
    "traffic",
    "work",
]
