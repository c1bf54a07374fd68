"""What happens in this worker, by name and for Prometheus."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from parlour_kit.clock import Clock
from parlour_kit.metrics import hearing, work

from stt_worker.actions import Clip
from stt_worker.ordering import FrameCounts

_METRICS: dict[str, Callable[[], None]] = {
    "frames": hearing.chunks_received.inc,
    "frames_unknown": lambda: work.dropped("stray"),
    "open_repeated": lambda: work.dropped("duplicate"),
    "refused": lambda: work.dropped("refused"),
    "aborted": lambda: work.dropped("cancelled"),
}


class Happenings(Counter[str]):
    """How often something happened, by its name."""

    def note(self, what: str) -> None:
        """It happened."""
        self[what] += 1
        if (metric := _METRICS.get(what)) is not None:
            metric()

    def over(self, kind: Literal["final", "empty", "failed"], frames: FrameCounts) -> None:
        """A turn is over."""
        self.note(kind)
        hearing.turn_over(kind, frames.taken)
        work.dropped("late", frames.late)
        work.dropped("lost", frames.lost)
        work.dropped("duplicate", frames.duplicate)


@contextmanager
def recognising(clock: Clock, clip: Clip, *, quick: bool) -> Iterator[None]:
    """Around the recognition of a clip; ``quick`` when it is a part of a turn that goes on."""
    started = clock.monotonic()
    try:
        yield
    except asyncio.CancelledError:
        raise  # it was not wanted any more, which is no failure
    except BaseException:
        hearing.errors.inc()
        raise
    hearing.recognised(clock.monotonic() - started, clip.duration_ms / 1000, quick=quick)
