"""Checks that do real work, and the book that says when one is due.

The rules:

1. A result counts for :data:`TTL_S`. What real work has shown within that time is a result as
   well, so a process that works is never checked beside its work.
2. Checks run in parallel, each within its own time; exactly the limit is too late. One that
   hangs or fails keeps no other from its result, and is not begun again while it hangs.
3. A check never gets in the way of work: while its engine is busy the last result counts, and
   one that gives way to work has no result. An engine that computes for :data:`BUSY_S` and has
   nothing to show for it hangs.
4. What is known to be wrong needs no check, and no result of before speaks against it.
5. :meth:`CheckBook.forget` drops all results, also those that are still being found.
6. A check that nobody asked for takes no more than a hundredth of the time, and is not made
   where another machine would do the work.
7. While somebody asks regularly, a result is renewed before it is out of date: who asks does not
   wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import structlog
from parlour_contracts.messages.health import Component

from parlour_kit.clock import Clock, utc_text
from parlour_kit.errors import ParlourError

TTL_S = 30.0
BUSY_S = 120.0
"""An engine that computes for so long and has shown nothing hangs."""

COMPONENT_S = 5.0
TTS_S = 3.0
SYSTEM_S = 2.0

SPARING = 100.0
"""A check in the background waits so many times as long as it took."""

State = Literal["unknown", "healthy", "degraded", "unhealthy"]


class DegradedError(ParlourError):
    """It works, but not as it should (X23)."""

    code = "DEGRADED"


class CheckTimeoutError(ParlourError):
    """A check had no result in time."""

    code = "CHECK_TIMEOUT"
    retryable = True
    hint = "The machine may be overloaded, or the engine hangs."


class GaveWayError(ParlourError):
    """A check made room for work, or its engine was replaced meanwhile: there is no result."""

    code = "GAVE_WAY"
    retryable = True


class HangingError(ParlourError):
    """An engine is at work, but nothing comes of it."""

    code = "ENGINE_HANGS"
    retryable = True
    hint = "Restart the process if it does not recover."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What real work has shown: when (monotonic seconds), and what was wrong, if anything."""

    at: float
    error: ParlourError | None = None


class WorkLog:
    """Notes what real work shows, so that no check has to."""

    def __init__(self, clock: Clock) -> None:
        self.last: Evidence | None = None
        self._clock = clock

    def note(self, error: ParlourError | None = None) -> None:
        """A piece of work was done, or failed through the engine's fault."""
        self.last = Evidence(self._clock.monotonic(), error)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known without a check.

    Attributes:
        trouble: why it cannot work now; None when nothing is known.
        busy: a check would disturb: it is at work, will be soon, or must not be.
        computing: it is at work, so something must come of it.
        worked: the last real work.
        elsewhere: another machine does the work, which may cost somebody something.
    """

    trouble: ParlourError | None = None
    busy: bool = False
    computing: bool = False
    worked: Evidence | None = None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A named check.

    Attributes:
        name: as ``/ready`` shows it.
        run: does the work; a ParlourError says what is wrong, a DegradedError that it works
            nevertheless, a GaveWayError that nothing was found. It may be cancelled.
        component: what its result is told of; None for what is no component.
        limit_s: what it may take; the limit itself is too long.
        look: what is known without it; must return at once.
        ttl_s: how long a result counts; 0 for what costs nothing to ask.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    component: Component | None = None
    limit_s: float = COMPONENT_S
    look: Callable[[], Look] = Look
    ttl_s: float = TTL_S


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    ``message`` is for strangers: no host, path, name or text of an exception (P034).
    ``at`` is in monotonic seconds, ``timestamp`` for people.
    """

    name: str
    component: Component | None
    state: State
    latency_ms: float
    message: str
    at: float
    timestamp: str

    @property
    def works(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state != "unhealthy"


class CheckBook:
    """Holds the checks of a process and their last results.

    Args:
        checks: each name once.
        clock: measures time-outs and ages.
        told: called with each new result of a check that ran.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        clock: Clock,
        told: Callable[[CheckResult], None] = lambda _result: None,
    ) -> None:
        self.checks = tuple(checks)
        self._clock = clock
        self._told = told
        self._results: dict[str, CheckResult] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._hanging: dict[str, asyncio.Task[None]] = {}
        self._busy_since: dict[str, float] = {}
        self._forgot_at = float("-inf")
        self._log = structlog.get_logger("parlour.checks")

    def known(self) -> list[CheckResult]:
        """What is known now; nothing is run."""
        return [self._known(check) for check in self.checks]

    async def fresh(self, *, sparing: bool = False, ahead_s: float = 0.0) -> list[CheckResult]:
        """Run what is due, all at once, and return what is known then.

        Args:
            sparing: nobody asks for it: what was costly is not run again so soon.
            ahead_s: what would be due within this time is due already.
        """
        due = [c for c in self.checks if self._is_due(c, sparing=sparing, ahead_s=ahead_s)]
        for check in due:
            if check.name not in self._running:
                self._begin(check)
        tasks = [self._running[check.name] for check in due if check.name in self._running]
        if tasks:
            await asyncio.wait(tasks)
        return self.known()

    def forget(self) -> None:
        """Nothing that was found counts any more."""
        self._results.clear()
        self._busy_since.clear()
        self._forgot_at = self._clock.monotonic()
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    async def close(self) -> None:
        """Stop what runs; what does not obey is left alone."""
        tasks = [*self._running.values(), *self._hanging.values()]
        self._running.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.1)

    def _known(self, check: Check) -> CheckResult:
        look, now = check.look(), self._clock.monotonic()
        if look.trouble is not None:
            return self._result(check, "unhealthy", now, look.trouble)
        last, worked = self._results.get(check.name), look.worked
        if worked is not None and worked.at >= (last.at if last else self._forgot_at):
            state: State = "healthy" if worked.error is None else "unhealthy"
            last = self._result(check, state, worked.at, worked.error)
        if self._hangs(check.name, now, last, computing=look.computing):
            return self._result(check, "unhealthy", now, HangingError("nothing comes of its work"))
        if last is None:
            waits = "it is at work and was not checked yet" if look.busy else "not checked yet"
            return replace(self._result(check, "unknown", now, None), message=waits)
        return last

    def _hangs(self, name: str, now: float, last: CheckResult | None, *, computing: bool) -> bool:
        """Whether it has been at work for too long without showing anything."""
        if not computing:
            self._busy_since.pop(name, None)
            return False
        since = self._busy_since.setdefault(name, now)
        return now - max(since, last.at if last else since) > BUSY_S

    def _is_due(self, check: Check, *, sparing: bool, ahead_s: float) -> bool:
        look = check.look()
        if look.trouble is not None or look.busy or (sparing and look.elsewhere):
            return False
        known = self._known(check)
        if known.state == "unknown":
            return True
        rest_s = max(0.0, check.ttl_s - ahead_s)
        if sparing:
            rest_s = max(rest_s, SPARING * known.latency_ms / 1000)
        return self._clock.monotonic() - known.at >= rest_s

    def _begin(self, check: Check) -> None:
        task = asyncio.get_running_loop().create_task(self._run(check), name=f"check:{check.name}")
        self._running[check.name] = task

    async def _run(self, check: Check) -> None:
        started = self._clock.monotonic()
        error = await self._outcome(check)
        # Whoever forgets takes the task off the list: what it finds is of before.
        if self._running.get(check.name) is not asyncio.current_task():
            return
        del self._running[check.name]
        if isinstance(error, GaveWayError):
            return
        now = self._clock.monotonic()
        elapsed = now - started
        if elapsed >= check.limit_s and error is None:
            error = CheckTimeoutError("it took too long")
        state: State = "healthy" if error is None else "unhealthy"
        if isinstance(error, DegradedError):
            state = "degraded"
        self._keep(self._result(check, state, now, error, elapsed * 1000))

    async def _outcome(self, check: Check) -> ParlourError | None:
        if check.name in self._hanging:
            return CheckTimeoutError("the check of before still runs")
        work = asyncio.ensure_future(check.run())
        try:
            done, _ = await asyncio.wait({work}, timeout=check.limit_s)
        except asyncio.CancelledError:
            self._abandon(check.name, work)
            raise
        if not done:
            self._abandon(check.name, work)
            return CheckTimeoutError("it took too long")
        if work.cancelled():
            return CheckTimeoutError("it was cut off")
        error = work.exception()
        if error is None or isinstance(error, ParlourError):
            return error
        self._log.debug("a check failed", check=check.name, exc_info=error)
        return ParlourError("the check failed", code="CHECK_FAILED")

    def _abandon(self, name: str, work: asyncio.Future[None]) -> None:
        """Ask it to stop, and do not wait: an engine in a thread may not be able to."""
        work.cancel()
        hanging = asyncio.get_running_loop().create_task(_ended(work), name=f"hanging:{name}")
        self._hanging[name] = hanging
        hanging.add_done_callback(lambda _: self._hanging.pop(name, None))

    def _keep(self, result: CheckResult) -> None:
        before = self._results.get(result.name)
        self._results[result.name] = result
        if not result.works:
            if before is None or before.works:
                self._log.warning(
                    "health_check_failure", check=result.name, found=result.message,
                    latency_ms=round(result.latency_ms, 1),
                )  # fmt: skip
        elif before is not None and not before.works:
            self._log.info("health_check", check=result.name, state=result.state)
        self._told(result)

    def _result(
        self,
        check: Check,
        state: State,
        at: float,
        error: ParlourError | None,
        latency_ms: float = 0.0,
    ) -> CheckResult:
        moment = self._clock.wall() - timedelta(seconds=max(0.0, self._clock.monotonic() - at))
        text, stamp = public_text(error), utc_text(moment)
        return CheckResult(check.name, check.component, state, latency_ms, text, at, stamp)


def public_text(error: ParlourError | None) -> str:
    """What strangers may read of an error: its code, and the advice that its class gives."""
    if error is None:
        return "it works"
    advice = type(error).hint
    return f"{error.code}: {advice}"[:200] if advice else error.code


async def _ended(work: asyncio.Future[None]) -> None:
    await asyncio.wait({work})
    if not work.cancelled():
        work.exception()  # looked at: nobody waits for it any more
