"""Brokers, fakes with timelines and a virtual clock for tests; never a part of what ships."""

from parlour_testkit.authority import ConfigAuthority
from parlour_testkit.memory_bus import MemoryBroker, MemoryBus
from parlour_testkit.observer import Observer, Seen
from parlour_testkit.running import memory_service
from parlour_testkit.virtual_time import VirtualTimeLoop, real_work

__all__ = [
    "ConfigAuthority",
    "MemoryBroker",
    "MemoryBus",
    "Observer",
    "Seen",
    "VirtualTimeLoop",
    "memory_service",
    "real_work",
]
