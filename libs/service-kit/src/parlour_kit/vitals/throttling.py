"""How much a hot machine may do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from parlour_contracts.messages.health import Throttle as Word

from parlour_kit.vitals.readings import Vitals
from parlour_kit.vitals.thresholds import Hysteresis

SLOWED_BITS = 0b1110
"""Of ``get_throttled``: frequency capped, throttled, soft temperature limit. Now, not once."""

SLOWED_S = 15.0
"""So long a machine counts as slowed after its firmware said so: the bits come and go."""


class ThrottleLevel(IntEnum):
    """What a process may do; the higher, the less.

    ``WARM``: nothing that nobody has asked for. ``HOT``: nothing new is computed, what runs ends.
    """

    NONE = 0
    WARM = 1
    HOT = 2

    @property
    def word(self) -> Word:
        """As it is told in health messages."""
        return _WORDS[self]


_WORDS: dict[ThrottleLevel, Word] = {
    ThrottleLevel.NONE: "none",
    ThrottleLevel.WARM: "warm",
    ThrottleLevel.HOT: "hot",
}


@dataclass(frozen=True, slots=True)
class Temperatures:
    """Where the levels begin and end, in °C.

    Raises:
        ValueError: a level would not end below where it begins, or heat came before warmth.
    """

    hot: float = 85.0
    resume: float = 80.0
    warm: float = 75.0
    cool: float = 72.0

    def __post_init__(self) -> None:
        if not (self.resume < self.hot and self.cool < self.warm <= self.hot):
            raise ValueError("resume must be below hot, cool below warm, warm not above hot")


class Throttle:
    """The level of a machine (H056)."""

    def __init__(self, temperatures: Temperatures) -> None:
        self._hot = Hysteresis(temperatures.hot, temperatures.resume)
        self._warm = Hysteresis(temperatures.warm, temperatures.cool)
        self._slowed_at_s = float("-inf")

    def update(self, vitals: Vitals, now_s: float) -> ThrottleLevel:
        """Take the vitals of this moment (monotonic seconds) in."""
        hot = self._hot.update(vitals.temperature_c)
        warm = self._warm.update(vitals.temperature_c)
        if vitals.firmware & SLOWED_BITS:
            self._slowed_at_s = now_s
        if hot:
            return ThrottleLevel.HOT
        slowed = now_s - self._slowed_at_s < SLOWED_S
        return ThrottleLevel.WARM if warm or slowed else ThrottleLevel.NONE
