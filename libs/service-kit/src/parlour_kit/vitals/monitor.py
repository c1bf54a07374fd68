"""Looks at the machine once a second, tells what changed, and keeps the last values for others."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError
from parlour_kit.vitals.judging import Finding, Judge, Judgement, Severity
from parlour_kit.vitals.readings import NO_TEMPERATURE, LastValues, Vitals
from parlour_kit.vitals.sensors import Sensors
from parlour_kit.vitals.throttling import Temperatures, Throttle, ThrottleLevel

POLL_S = 1.0

OnLevel = Callable[[ThrottleLevel], None]
OnVitals = Callable[[Vitals], None]


class UnreadableError(ParlourError):
    """Nothing of the machine can be read: neither memory nor swap nor load."""

    code = "VITALS_UNREADABLE"
    retryable = True
    hint = "the process must be able to read /proc"


class VitalsMonitor:
    """The state of the machine, from memory: whoever asks costs no reading.

    Attributes:
        vitals: the last values.
        judgement: what is wrong with them.
        level: what the process may do.
        looked: whether there has been a first look.
    """

    def __init__(
        self, sensors: Sensors, clock: Clock, temperatures: Temperatures | None = None
    ) -> None:
        self.vitals = Vitals()
        self.judgement = Judgement()
        self.level = ThrottleLevel.NONE
        self.looked = False
        self._sensors = sensors
        self._clock = clock
        self._last = LastValues()
        self._judge = Judge()
        self._throttle = Throttle(temperatures or Temperatures())
        self._level_callbacks: list[OnLevel] = []
        self._vitals_callbacks: list[OnVitals] = []
        self._log = structlog.get_logger("parlour.vitals")

    @property
    def error(self) -> UnreadableError | None:
        """Why the values say nothing about now (H038)."""
        return UnreadableError("nothing of the machine can be read") if self._blind else None

    @property
    def well(self) -> bool:
        """Whether the component ``system`` is; before the first look it counts as such."""
        return self.judgement.well and not self._blind

    @property
    def strain(self) -> str:
        """What is wrong with the machine, in words; empty when nothing is."""
        if self._blind:
            return str(self.error)
        return "; ".join(finding.text for finding in self.judgement.findings)

    @property
    def _blind(self) -> bool:
        return self.looked and self.vitals.unreadable

    def on_level(self, callback: OnLevel) -> None:
        """Call this whenever the level has changed, and only then."""
        self._level_callbacks.append(callback)

    def on_vitals(self, callback: OnVitals) -> None:
        """Call this after each look."""
        self._vitals_callbacks.append(callback)

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            await self.look()
            await self._clock.sleep(POLL_S)

    async def look(self) -> None:
        """Read the machine and tell what changed; a reader's or listener's failure is logged."""
        try:
            reading = await self._sensors.read()
        except Exception as error:  # noqa: BLE001  # the next look may work
            self._log.warning("cannot look at the machine", kind=type(error).__name__)
            return
        now = self._clock.monotonic()
        self._see(self._last.update(reading, now))
        judgement = self._judge.update(self.vitals, now)
        self._tell_findings(judgement)
        self.judgement = judgement
        level = self._throttle.update(self.vitals, now)
        if level is not self.level:
            before, self.level = self.level, level
            self._tell_level(before)
            self._call(self._level_callbacks, level)
        self._call(self._vitals_callbacks, self.vitals)

    def _see(self, new: Vitals) -> None:
        old, first = self.vitals, not self.looked
        self.vitals, self.looked = new, True
        if first and new.temperature_c == NO_TEMPERATURE:
            self._log.info("this machine shows no temperature")
        expected = {"temperature_c"} if first else set()
        for name in sorted(new.held - old.held - expected):
            self._log.warning("cannot be read, the last value counts", quantity=name)
        for name in sorted(old.held - new.held):
            self._log.info("can be read again", quantity=name)
        for name in sorted(new.impossible - old.impossible):
            self._log.error("a value that cannot be", quantity=name)
        if self._blind and not old.unreadable:
            self._log.error("nothing of the machine can be read", code=UnreadableError.code)

    def _tell_findings(self, new: Judgement) -> None:
        before = {finding.quantity: finding for finding in self.judgement.findings}
        after = {finding.quantity: finding for finding in new.findings}
        for quantity, finding in after.items():
            old = before.get(quantity)
            if old is None or old.severity is not finding.severity:
                self._tell(finding)
        for quantity in before.keys() - after.keys():
            self._log.info("the machine is at ease again", quantity=quantity)

    def _tell(self, finding: Finding) -> None:
        tell = self._log.warning if finding.severity is Severity.WARNING else self._log.critical
        tell(
            "the machine is under strain",
            quantity=finding.quantity,
            severity=finding.severity.name.lower(),
            state=finding.text,
        )

    def _tell_level(self, before: ThrottleLevel) -> None:
        degrees = round(self.vitals.temperature_c, 1)
        if self.level is ThrottleLevel.HOT:
            self._log.critical("too hot: new work waits", temperature_c=degrees)
        elif before is ThrottleLevel.HOT:
            self._log.info("cool enough: work goes on", temperature_c=degrees)
        elif self.level is ThrottleLevel.WARM:
            self._log.warning("warm: nothing is computed on speculation", temperature_c=degrees)
        else:
            self._log.info("no longer warm", temperature_c=degrees)

    def _call(self, callbacks: list[Callable[..., None]], value: object) -> None:
        for callback in callbacks:
            try:
                callback(value)
            except Exception as error:  # noqa: BLE001  # others must hear of it, too
                self._log.error("a listener of the vitals failed", kind=type(error).__name__)
