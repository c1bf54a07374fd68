"""When each process of a fleet starts, starts again or is given up: values in, values out.

Time is handed in (seconds of any monotonic clock); what is to be done comes back as actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

BACKOFF_FIRST_S = 0.5
BACKOFF_CAP_S = 30.0
HEALTHY_S = 60.0
"""Ready for so long, and earlier crashes are forgotten."""

PATIENCE_S = 120.0
"""After so long those who wait for a process no longer do."""

CRASHES_SETTLE = 3
"""After so many crashes in a row those who wait for a process no longer do."""

PROGRESS_S = 3.0
BAD_CONFIGURATION = 78
"""The exit code of a process that cannot start as it is configured (EX_CONFIG)."""


@dataclass(frozen=True)
class Member:
    """A process of the fleet.

    Attributes:
        name: its instance.
        doing: what it is busy with until it is ready, for people.
        after: those that it waits for.
        essential: without it there is no fleet: it must start at the first try.
    """

    name: str
    doing: str
    after: tuple[str, ...] = ()
    essential: bool = False


@dataclass(frozen=True)
class Report:
    """What a process said of itself. ``boot`` names its run, ``will`` that the broker said it."""

    ready: bool
    problem: str = ""
    hint: str = ""
    code: str = ""
    boot: str | None = None
    will: bool = False


@dataclass(frozen=True)
class Start:
    """Start this process now."""

    name: str


@dataclass(frozen=True)
class Say:
    """Tell the person at the terminal. ``level``: info, warning or error."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class FleetReady:
    """Every process is ready, for the first time, ``seconds`` after the beginning."""

    seconds: float


@dataclass(frozen=True)
class NotReady:
    """Everything that can be ready is; this is what is not, and why: name → report."""

    problems: tuple[tuple[str, Report], ...]


@dataclass(frozen=True)
class End:
    """Stop the fleet and exit with this code."""

    code: int


Action = Start | Say | FleetReady | NotReady | End


class _Phase(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    BACKOFF = "backoff"


@dataclass
class _State:
    member: Member
    phase: _Phase = _Phase.WAITING
    since: float = 0.0
    ready_since: float | None = None
    was_ready: bool = False
    report: Report = field(default_factory=lambda: Report(ready=False))
    crashes: int = 0
    due: float = 0.0
    last_exit: str = ""

    @property
    def ready(self) -> bool:
        return self.ready_since is not None

    def settled(self, now: float) -> bool:
        """Whether it is ready, or there is no point in waiting for it."""
        if self.ready:
            return True
        if self.crashes >= CRASHES_SETTLE:
            return True
        return self.phase is _Phase.RUNNING and (
            bool(self.report.problem) or now - self.since >= PATIENCE_S
        )


class Fleet:
    """The state of every process, and what follows from what happens."""

    def __init__(self, members: Sequence[Member], now: float) -> None:
        names = [member.name for member in members]
        assert all(before in names for member in members for before in member.after)
        self._states = {member.name: _State(member) for member in members}
        self._begin = now
        self._next_progress = now + PROGRESS_S
        self._announced: tuple[tuple[str, Report], ...] | None = None
        self._was_ready = False

    @property
    def busy(self) -> bool:
        """Whether something is due soon, so that :meth:`tick` should be called often."""
        return any(not s.ready for s in self._states.values())

    def tick(self, now: float) -> list[Action]:
        """What is due; call it after everything that happened, and from time to time."""
        actions: list[Action] = []
        for state in self._states.values():
            if state.ready_since is not None and now - state.ready_since >= HEALTHY_S:
                state.crashes = 0
            if self._may_start(state, now):
                state.phase = _Phase.RUNNING
                state.since = now
                state.report = Report(ready=False)
                actions.append(Start(state.member.name))
        actions += self._announce(now)
        actions += self._progress(now)
        return actions

    def heard(self, name: str, report: Report, now: float) -> list[Action]:
        """A process told its health, or the broker its will."""
        state = self._states.get(name)
        if state is None or state.phase is not _Phase.RUNNING:
            return []
        if report.will and report.boot != state.report.boot:
            return []  # of an earlier run
        actions: list[Action] = []
        if report.ready and not state.ready:
            state.ready_since = now
            if state.was_ready:
                actions.append(Say(f"{name} is ready again"))
            state.was_ready = True
        elif not report.ready and state.ready:
            state.ready_since = None
            if report.problem:
                actions.append(Say(f"{name}: {report.problem}", "warning"))
        state.report = report
        return actions

    def exited(self, name: str, code: int, now: float) -> list[Action]:
        """A process ended by itself. ``code``: as of :mod:`subprocess`, negative is a signal."""
        state = self._states[name]
        how = _how(code)
        if code == BAD_CONFIGURATION:
            text = f"{name} cannot start as it is configured (its message is above)"
            return [Say(text, "error"), End(BAD_CONFIGURATION)]
        if state.member.essential and not state.was_ready:
            return [Say(f"{name} {how} before it was ready (see above)", "error"), End(1)]
        delay = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2.0**state.crashes)
        state.crashes = min(state.crashes + 1, 16)
        state.phase = _Phase.BACKOFF
        state.due = now + delay
        state.ready_since = None
        state.last_exit = how
        return [Say(f"{name} {how}; starting it again in {delay:g} s", "warning")]

    def _may_start(self, state: _State, now: float) -> bool:
        if state.phase is _Phase.BACKOFF:
            return now >= state.due
        return state.phase is _Phase.WAITING and all(
            self._passes(self._states[name], now) for name in state.member.after
        )

    def _passes(self, before: _State, now: float) -> bool:
        return before.ready if before.member.essential else before.settled(now)

    def _announce(self, now: float) -> list[Action]:
        states = self._states.values()
        if not all(state.settled(now) for state in states):
            return []
        problems = tuple((s.member.name, self._why(s)) for s in states if not s.ready)
        if problems == self._announced:
            return []
        self._announced = problems
        if problems:
            return [NotReady(problems)]
        if self._was_ready:
            return []
        self._was_ready = True
        return [FleetReady(now - self._begin)]

    def _why(self, state: _State) -> Report:
        if state.report.problem:
            return Report(
                ready=False,
                problem=state.report.problem,
                hint=state.report.hint,
                code=state.report.code,
            )
        if state.last_exit and state.crashes >= CRASHES_SETTLE:
            return Report(ready=False, problem=f"{state.last_exit} again and again")
        return Report(ready=False, problem=f"still {state.member.doing}")

    def _progress(self, now: float) -> list[Action]:
        if now < self._next_progress:
            return []
        self._next_progress = now + PROGRESS_S
        if self._was_ready or self._announced:
            return []
        waiting = [
            f"{s.member.name} {s.member.doing} ({now - s.since:.0f} s)"
            for s in self._states.values()
            if s.phase is _Phase.RUNNING and not s.ready
        ]
        return [Say("waiting: " + ", ".join(waiting))] if waiting else []


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
