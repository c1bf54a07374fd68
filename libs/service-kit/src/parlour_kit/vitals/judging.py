"""Whether the machine is well: the limits of memory, swap, temperature and load. Pure.

Each limit has a band in which it stays as it is, so that a value that trembles at a limit is one
finding, not one each second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from parlour_kit.vitals.readings import Vitals
from parlour_kit.vitals.thresholds import Hysteresis, Sustained

GB = 1024**3
MB = 1024**2


class Severity(IntEnum):
    """How bad it is."""

    WARNING = 1
    CRITICAL = 2
    EMERGENCY = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one quantity. ``bad``: the component ``system`` is not well."""

    quantity: str
    severity: Severity
    bad: bool
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that is wrong; nothing when the machine is well."""

    findings: tuple[Finding, ...] = ()

    @property
    def well(self) -> bool:
        """Whether the component ``system`` is (H034 to H037)."""
        return not any(finding.bad for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Rung:
    severity: Severity
    bad: bool
    limit: Hysteresis | Sustained


class _Ladder:
    """One quantity and its limits, from the mildest on."""

    def __init__(
        self,
        quantity: str,
        value: Callable[[Vitals], float | None],
        text: Callable[[float], str],
        rungs: tuple[_Rung, ...],
    ) -> None:
        self._quantity = quantity
        self._value = value
        self._text = text
        self._rungs = rungs

    def update(self, vitals: Vitals, now_s: float) -> Finding | None:
        value = self._value(vitals)
        if value is None:
            return None
        reached = [rung for rung in self._rungs if rung.limit.update(value, now_s)]
        if not reached:
            return None
        worst = max(reached, key=lambda rung: rung.severity)
        bad = any(rung.bad for rung in reached)
        return Finding(self._quantity, worst.severity, bad, self._text(value))


class Judge:
    """Compares the vitals with the limits; remembers what each limit said last."""

    def __init__(self) -> None:
        self._ladders = (_memory(), _swap(), _temperature(), _load())

    def update(self, vitals: Vitals, now_s: float) -> Judgement:
        """Judge the vitals of this moment (monotonic seconds)."""
        found = (ladder.update(vitals, now_s) for ladder in self._ladders)
        return Judgement(tuple(finding for finding in found if finding is not None))


def _memory() -> _Ladder:
    """H034: 1 GB and 500 MB with the limit itself, 100 MB without it."""

    def at(limit: int, *, above: bool = False) -> Hysteresis:
        return Hysteresis(-limit, -limit * 1.1, above=above)

    return _Ladder(
        "memory",
        lambda v: None if v.memory_available_bytes is None else -v.memory_available_bytes,
        lambda value: f"{-value / MB:.0f} MB of memory are available",
        (
            _Rung(Severity.WARNING, True, at(GB)),
            _Rung(Severity.CRITICAL, True, at(500 * MB)),
            _Rung(Severity.EMERGENCY, True, at(100 * MB, above=True)),
        ),
    )


def _swap() -> _Ladder:
    """H035: 2 GB and 4 GB with the limit itself, 6 GB without it."""

    def at(limit: int, *, above: bool = False) -> Hysteresis:
        return Hysteresis(limit, limit * 0.95, above=above)

    return _Ladder(
        "swap",
        lambda v: v.swap_used_bytes,
        lambda value: f"{value / MB:.0f} MB are swapped out",
        (
            _Rung(Severity.WARNING, True, at(2 * GB)),
            _Rung(Severity.CRITICAL, True, at(4 * GB)),
            _Rung(Severity.EMERGENCY, True, at(6 * GB, above=True)),
        ),
    )


def _temperature() -> _Ladder:
    """H036: a warning from 75 °C, bad from 80 °C, an emergency above 85 °C."""
    return _Ladder(
        "temperature",
        lambda v: v.temperature_c,
        lambda value: f"the processor has {value:.1f} °C",
        (
            _Rung(Severity.WARNING, False, Hysteresis(75.0, 73.0)),
            _Rung(Severity.CRITICAL, True, Hysteresis(80.0, 78.0)),
            _Rung(Severity.EMERGENCY, True, Hysteresis(85.0, 83.0, above=True)),
        ),
    )


def _load() -> _Ladder:
    """H037: 80 % for five minutes, 95 % for one."""
    return _Ladder(
        "load",
        lambda v: v.cpu_percent,
        lambda value: f"the processor has been busy for minutes, now {value:.0f} %",
        (
            _Rung(Severity.WARNING, False, Sustained(80.0, 75.0, for_s=300, calm_s=10)),
            _Rung(Severity.CRITICAL, True, Sustained(95.0, 90.0, for_s=60, calm_s=10)),
        ),
    )
