"""What services should run with, and what their instances say they do. Pure bookkeeping.

An instance counts as living while its health moves: its ``seq`` changed within three of its
intervals. One that is gone does not lag, it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from parlour_contracts.messages.requests import ConfigApplied

REPUBLISH_AFTER_S = 30.0
ALARM_AFTER_S = 60.0
MISSED_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Desired:
    """What a service should run with, and since when (monotonic seconds)."""

    checksum: str
    since: float


@dataclass(frozen=True, slots=True)
class Reported:
    """What an instance last said; ``said`` is the whole of it."""

    service: str
    instance: str
    checksum: str | None
    status: str
    error: str | None
    issued_at: str | None
    keyset_version: int = 0
    said: ConfigApplied | None = None


@dataclass(slots=True)
class _Life:
    """The signs of life of an instance."""

    service: str
    boot: str
    seq: int
    interval_s: float
    moved: float
    since: float
    gone: bool = False


@dataclass(frozen=True)
class Due:
    """What must be done now: services to publish again, and instances that lag too long."""

    republish: tuple[str, ...] = ()
    alarms: tuple[tuple[str, str], ...] = ()
    recovered: tuple[tuple[str, str], ...] = ()


class SyncBook:
    """Desired against reported, for every service and instance.

    Attributes:
        desired: service → what it should run with.
        reported: service and instance → what it last said.
        issued: service → ``issued_at`` of the newest message that the broker was sent.
    """

    def __init__(self) -> None:
        self.desired: dict[str, Desired] = {}
        self.reported: dict[tuple[str, str], Reported] = {}
        self.issued: dict[str, str] = {}
        self._lives: dict[str, _Life] = {}
        self._republished: dict[str, float] = {}
        self._alarmed: set[tuple[str, str]] = set()

    def want(self, service: str, checksum: str, now: float) -> None:
        """A service should run with this from now on."""
        known = self.desired.get(service)
        if known is None or known.checksum != checksum:
            self.desired[service] = Desired(checksum, now)
            self._republished.pop(service, None)

    def want_all(self, checksums: Iterable[tuple[str, str]], now: float) -> None:
        """The whole fleet's; services that are not among them are no longer known."""
        found = dict(checksums)
        for service in self.desired.keys() - found.keys():
            del self.desired[service]
            self.issued.pop(service, None)
        for service, checksum in found.items():
            self.want(service, checksum, now)

    def sent(self, service: str, issued_at: str) -> None:
        """The broker has, or is about to get, a message for a service."""
        self.issued[service] = max(issued_at, self.issued.get(service, ""))

    def note(self, report: Reported) -> None:
        """An instance says what it runs with."""
        self.reported[report.service, report.instance] = report

    def forget(self, service: str, instance: str) -> None:
        """An instance's report was taken off the broker."""
        self.reported.pop((service, instance), None)

    def beat(
        self, service: str, instance: str, boot: str, seq: int, interval_s: float, now: float,
        *, gone: bool, retained: bool,
    ) -> None:  # fmt: skip
        """An instance's health was seen; a retained one is no sign of life by itself."""
        life = self._lives.get(instance)
        if life is None or life.boot != boot:
            if gone and life is not None:
                return  # the will of an earlier run
            moved = now if not retained else now - MISSED_INTERVALS * interval_s
            self._lives[instance] = _Life(service, boot, seq, interval_s, moved, now, gone)
        elif gone:
            life.gone = True
        elif seq > life.seq:
            if life.gone:
                life.since = now
            life.seq, life.interval_s, life.moved, life.gone = seq, interval_s, now, False

    def living(self, now: float) -> Iterator[tuple[str, str]]:
        """Service and instance of everybody who is alive."""
        for instance, life in list(self._lives.items()):  # other threads read this
            if not life.gone and now - life.moved < MISSED_INTERVALS * life.interval_s:
                yield life.service, instance

    def instances(self) -> dict[str, dict[str, float]]:
        """Service → instance → seconds between two of its health messages, of all ever heard."""
        found: dict[str, dict[str, float]] = {}
        for instance, life in list(self._lives.items()):
            found.setdefault(life.service, {})[instance] = life.interval_s
        return found

    def runs(self, service: str, now: float) -> dict[str, str]:
        """Instance → the run of its process, of all living instances of a service."""
        return {i: self._lives[i].boot for s, i in self.living(now) if s == service}

    def lagging(self, service: str, now: float) -> list[str]:
        """Living instances that do not run with what they should."""
        return sorted(i for s, i in self.living(now) if s == service and self._lags(s, i))

    def in_sync(self, service: str, now: float) -> bool:
        """Whether every living instance of a service runs with what it should."""
        return not self.lagging(service, now)

    def has_reports(self, service: str) -> bool:
        """Whether any instance of a service ever said what it runs with."""
        return any(known == service for known, _ in list(self.reported))

    def due(self, now: float) -> Due:
        """What must be published again, and who is newly late or newly back."""
        republish: set[str] = set()
        late: set[tuple[str, str]] = set()
        alarms = []
        for service, instance in self.living(now):
            if not self._lags(service, instance):
                continue
            waited = now - max(self.desired[service].since, self._lives[instance].since)
            last = self._republished.get(service)
            if waited >= REPUBLISH_AFTER_S and (last is None or now - last >= REPUBLISH_AFTER_S):
                republish.add(service)
            if waited >= ALARM_AFTER_S:
                late.add((service, instance))
                if (service, instance) not in self._alarmed:
                    alarms.append((service, instance))
        for service in republish:
            # One that refused the very message gains nothing from hearing it again at once;
            # the next try comes after ten times as long.
            slow = all(self._refused(s, i) for s, i in self.living(now) if s == service
                       and self._lags(s, i))  # fmt: skip
            self._republished[service] = now + (9 * REPUBLISH_AFTER_S if slow else 0)
        recovered = tuple(sorted(self._alarmed - late))
        self._alarmed = late
        return Due(tuple(sorted(republish)), tuple(sorted(alarms)), recovered)

    def _lags(self, service: str, instance: str) -> bool:
        wanted = self.desired.get(service)
        if wanted is None:
            return False
        report = self.reported.get((service, instance))
        return report is None or report.checksum != wanted.checksum

    def _refused(self, service: str, instance: str) -> bool:
        report = self.reported.get((service, instance))
        return report is not None and report.status != "applied"
