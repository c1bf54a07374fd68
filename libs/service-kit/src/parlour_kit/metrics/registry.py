"""The process's registry: how a metric is declared, and what a scrape is answered with.

A module of this package declares what one part of a process measures. Importing it is what
makes a process serve it, so that no process shows the empty metrics of another one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, unread

REGISTRY: Final = CollectorRegistry(auto_describe=True)

BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Of everything that people wait for at a door (P035), in seconds."""

TURN_BUCKETS_S: Final = (
    0.01, 0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.8, 1.0, 1.2, 1.8, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Of the stages of a turn: those bounds, and the ones that are promised (SC101 to SC104)."""

FACTOR_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
"""Of computing time by the time of the sound; above 1 is slower than speech."""

FRESH_S: Final = 1.0
"""No value changes in less, so an answer is good for so long."""

OTHER: Final = "other"
"""The label of whatever came after the last label that there was room for."""


@dataclass(frozen=True)
class Declared:
    """A metric as a reader of the documents wants to know it.

    ``by`` says which processes serve it; ``buckets`` is empty unless it is a histogram.
    """

    name: str
    kind: str
    help: str
    by: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which its samples are stored."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


_declared: dict[str, Declared] = {}


def declared() -> tuple[Declared, ...]:
    """What the modules that were imported so far have declared, in that order."""
    return tuple(_declared.values())


class Group:
    """Declares the metrics of one module."""

    def __init__(self, by: str) -> None:
        self._by = by

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Something that only grows; the name ends in ``_total`` (X31)."""
        self.note(name, "counter", text, labels)
        return Counter(name, text, labels, registry=REGISTRY)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Something that goes up and down."""
        self.note(name, "gauge", text, labels)
        return Gauge(name, text, labels, registry=REGISTRY)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = BUCKETS_S,
    ) -> Histogram:
        """How often something was how large; ``buckets`` are upper bounds."""
        self.note(name, "histogram", text, labels, buckets)
        return Histogram(name, text, labels, buckets=buckets, registry=REGISTRY)

    def note(
        self,
        name: str,
        kind: str,
        text: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = (),
    ) -> None:
        """Enter a metric that another collector serves."""
        _declared[name] = Declared(name, kind, text, self._by, tuple(labels), tuple(buckets))


class Capped:
    """Labels that come from outside: so many different ones, then :data:`OTHER`.

    Each label is a time series that lives as long as the process. Whoever may choose labels must
    not be able to fill its memory. What is not of the form counts as :data:`OTHER`, too.
    """

    def __init__(self, limit: int, form: str = r"[A-Za-z0-9_./{}:-]{1,100}") -> None:
        self._limit = limit
        self._form = re.compile(form)
        self._known: set[str] = set()

    def __call__(self, label: str) -> str:
        """The label to count under."""
        if label in self._known:
            return label
        if len(self._known) >= self._limit or not self._form.fullmatch(label):
            return OTHER
        self._known.add(label)
        return label


def begin_at_zero(metric: Counter | Histogram, labels: Sequence[str]) -> None:
    """Show the series of labels that are known beforehand.

    Of a series that begins at 1, Prometheus never sees the first step.
    """
    for label in labels:
        metric.labels(label)


_gates: list[Callable[[], None]] = []


def before_render(gate: Callable[[], None]) -> None:
    """Have something judged before each scrape; what it raises takes the answer's place."""
    _gates.append(gate)


def render() -> tuple[bytes, str]:
    """The answer to a scrape: body and content type (H008).

    It is made from what is in memory. Nothing is measured here, so a scrape costs a process no
    more than the writing of some hundred lines (F35).

    Raises:
        UnreadableMachineError: nothing of the machine can be read, so its gauges would lie.
    """
    for gate in _gates:
        gate()
    return generate_latest(REGISTRY), CONTENT_TYPE_PLAIN_0_0_4


class Answer:
    """What scrapes are answered with, written anew at most once a second (H016).

    ``/metrics`` has no password, so whoever asks without a pause must not keep the process from
    its work.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._written: tuple[float, tuple[bytes, str]] | None = None

    def __call__(self) -> tuple[bytes, str]:
        """Body and content type; errors as :func:`render`'s, and none is kept."""
        now = self._now()
        if self._written is None or now - self._written[0] >= FRESH_S:
            self._written = None
            self._written = now, render()
        return self._written[1]
