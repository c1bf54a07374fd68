"""What the sensors say, and what counts when some of them do not. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

N = TypeVar("N", int, float)

NO_TEMPERATURE = -1.0
"""The machine has no thermometer that can be read (H005)."""

HELD_S = 60.0
"""So long a temperature is believed that could not be read again.

Not for ever: a thermometer that breaks on a hot machine would keep it from working until its
next start. The hardware protects itself.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the machine; None is what could not be read.

    ``firmware`` holds the bits of a Raspberry Pi's ``get_throttled``; 0 on other machines.
    """

    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    cpu_percent: float | None = None
    temperature_c: float | None = None
    firmware: int | None = 0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What counts as the state of the machine; None is what could never be read.

    ``held`` names what could not be read now and is the value of before.
    """

    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    cpu_percent: float | None = None
    temperature_c: float = NO_TEMPERATURE
    firmware: int = 0
    held: frozenset[str] = frozenset()
    impossible: frozenset[str] = frozenset()
    """What the machine said that cannot be, such as less memory than none (H038)."""

    @property
    def unreadable(self) -> bool:
        """Nothing could be read this time: what is here says nothing about now."""
        return {"memory_available_bytes", "swap_used_bytes", "cpu_percent"} <= self.held


class LastValues:
    """Keeps what was read last for when it cannot be read (H038)."""

    def __init__(self) -> None:
        self._vitals = Vitals()
        self._temperature_at_s = float("-inf")

    def update(self, reading: Reading, now_s: float) -> Vitals:
        """Take a reading of this moment (monotonic seconds) in."""
        held = {f.name for f in fields(Reading) if getattr(reading, f.name) is None}
        before = self._vitals
        memory = _or(reading.memory_available_bytes, before.memory_available_bytes)
        swap = _or(reading.swap_used_bytes, before.swap_used_bytes)
        load = _or(reading.cpu_percent, before.cpu_percent)
        named = {"memory_available_bytes": memory, "swap_used_bytes": swap, "cpu_percent": load}
        self._vitals = Vitals(
            memory_available_bytes=None if memory is None else max(0, memory),
            swap_used_bytes=None if swap is None else max(0, swap),
            cpu_percent=None if load is None else min(max(0.0, load), 100.0),
            temperature_c=self._temperature(reading.temperature_c, now_s),
            firmware=before.firmware if reading.firmware is None else reading.firmware,
            held=frozenset(held),
            impossible=frozenset(
                n for n, value in named.items() if value is not None and value < 0
            ),
        )
        return self._vitals

    def _temperature(self, read: float | None, now_s: float) -> float:
        if read is not None:
            self._temperature_at_s = now_s
            return read
        fresh = now_s - self._temperature_at_s < HELD_S
        return self._vitals.temperature_c if fresh else NO_TEMPERATURE


def _or(now: N | None, before: N | None) -> N | None:
    return before if now is None else now
