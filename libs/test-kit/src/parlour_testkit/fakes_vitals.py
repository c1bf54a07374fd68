"""A machine whose temperature and memory a test sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parlour_kit.vitals import Reading

AT_EASE = Reading(
    memory_available_bytes=4 * 1024**3, swap_used_bytes=0, cpu_percent=10.0, temperature_c=45.0
)


class FakeSensors:
    """Sensors that say what they were told; ``reading`` is what comes next."""

    def __init__(self, reading: Reading = AT_EASE) -> None:
        self.reading = reading
        self.broken: Exception | None = None

    def set(self, **values: Any) -> None:
        """Change some values of the machine; None is what cannot be read."""
        self.reading = replace(self.reading, **values)

    async def read(self) -> Reading:
        """What was set."""
        if self.broken is not None:
            raise self.broken
        return self.reading
