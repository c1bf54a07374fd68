"""Which request is computed next, and which is no longer wanted. Pure: no time, no I/O.

The rules:

* one request computes at a time, the others wait in order of arrival;
* a session may have ``MAX_PER_SESSION`` requests waiting, all together ``MAX_WAITING``;
* a request that was seen already (same id, same or lower attempt) is ignored; a higher
  attempt takes the place of the lower one, which then ends without a word;
* a request of a newer revision of a turn ends the older revisions' at once, and an abort
  ends its revision and those before it, also when it arrives before the request does;
* what waits and is ended was never computed; what runs is told through its cancel token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Literal, TypeVar

from parlour_contracts.messages.llm import LlmRequest

from llm_worker.engine import CancelToken

MAX_PER_SESSION = 10
MAX_WAITING = 50
REMEMBERED = 1024
"""Requests, turns and cancels that are remembered after they are over."""

V = TypeVar("V")


class Ending(Enum):
    """Why a job must end before it is done."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    TIMED_OUT = "timed out"
    TOO_HOT = "too hot"
    STOPPING = "stopping"


@dataclass(eq=False)
class Job:
    """A request on its way. Times are seconds of a monotonic clock."""

    request: LlmRequest
    received: float
    started: float | None = None
    ending: Ending | None = None
    cancel: CancelToken = field(default_factory=CancelToken)


@dataclass(frozen=True)
class Admission:
    """What became of a request, and the jobs that it ended."""

    verdict: Literal["queued", "duplicate", "stale", "full"]
    ended: tuple[Job, ...] = ()


class _Memory(Generic[V]):
    """The newest entries of a mapping."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, V] = OrderedDict()

    def get(self, key: str, default: V) -> V:
        return self._entries.get(key, default)

    def put(self, key: str, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > REMEMBERED:
            self._entries.popitem(last=False)


class JobQueue:
    """The jobs of a worker; see the module for the rules."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._attempts: _Memory[int] = _Memory()
        self._oldest_wanted: _Memory[int] = _Memory()
        self._unwanted: _Memory[bool] = _Memory()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        return self._running is not None or bool(self._waiting)

    @property
    def running(self) -> Job | None:
        """The job that computes."""
        return self._running

    def admit(self, job: Job) -> Admission:
        """Take a request in, or say why not."""
        request = job.request
        if request.attempt <= self._attempts.get(request.request_id, 0):
            return Admission("duplicate")
        self._attempts.put(request.request_id, request.attempt)
        superseded = self._end(
            (j for j in self._all() if j.request.request_id == request.request_id),
            Ending.SUPERSEDED,
        )
        oldest = self._oldest_wanted.get(request.turn_id, 1)
        if request.revision < oldest or self._unwanted.get(request.request_id, default=False):
            return Admission("stale", superseded)
        ended = superseded + self._drop_before(request.turn_id, request.revision)
        same = sum(j.request.session_id == request.session_id for j in self._waiting)
        if same >= MAX_PER_SESSION or len(self._waiting) >= MAX_WAITING:
            return Admission("full", ended)
        self._waiting.append(job)
        return Admission("queued", ended)

    def take(self, now: float) -> Job | None:
        """The next job to compute; None while one computes or none waits."""
        if self._running is not None or not self._waiting:
            return None
        self._running = self._waiting.pop(0)
        self._running.started = now
        return self._running

    def finish(self, job: Job) -> None:
        """The running job is over."""
        if self._running is job:
            self._running = None

    def cancel(self, request_id: str) -> tuple[Job, ...]:
        """End one request, also one that has not come yet; returns the jobs ended."""
        self._unwanted.put(request_id, True)
        return self._end(
            (j for j in self._all() if j.request.request_id == request_id), Ending.CANCELLED
        )

    def abort(self, turn_id: str, revision: int) -> tuple[Job, ...]:
        """End a revision of a turn and those before it; returns the jobs ended."""
        return self._drop_before(turn_id, revision + 1)

    def end(self, job: Job, ending: Ending) -> tuple[Job, ...]:
        """End this job, if it is still on its way."""
        return self._end((j for j in self._all() if j is job), ending)

    def end_all(self, ending: Ending) -> tuple[Job, ...]:
        """End everything."""
        return self._end(self._all(), ending)

    def _all(self) -> list[Job]:
        return [*([self._running] if self._running else []), *self._waiting]

    def _drop_before(self, turn_id: str, revision: int) -> tuple[Job, ...]:
        if revision > self._oldest_wanted.get(turn_id, 1):
            self._oldest_wanted.put(turn_id, revision)
        return self._end(
            (
                j
                for j in self._all()
                if j.request.turn_id == turn_id and j.request.revision < revision
            ),
            Ending.CANCELLED,
        )

    def _end(self, jobs: Iterable[Job], ending: Ending) -> tuple[Job, ...]:
        ended = tuple(job for job in jobs if job.ending is None)
        for job in ended:
            job.ending = ending
            if job in self._waiting:
                self._waiting.remove(job)
            job.cancel.cancel(ending.value)
        return ended
