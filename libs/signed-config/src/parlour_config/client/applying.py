"""Steps 11 and 12: new settings are staged, switched to, stored, and only then reported."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

import structlog
from parlour_contracts.config import ServiceConfigModel
from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError
from parlour_kit.feed import Stage
from parlour_kit.metrics import work
from parlour_kit.switch import Outcome

from parlour_config.client.activation import Activation, Apply, hook_failed
from parlour_config.client.guard import Guard
from parlour_config.client.reporter import Reporter

C = TypeVar("C", bound=ServiceConfigModel)

STAGE_S = 600.0
"""What loads longer than this never will; the next change must not wait behind it."""


class Applier(Generic[C]):
    """Makes settings run, one change at a time.

    ``stage`` is the service's, known when it has started. ``trouble`` is what people should know
    until the next file is written.
    """

    def __init__(
        self, active: Activation[C], guard: Guard, reporter: Reporter, clock: Clock
    ) -> None:
        self.stage: Stage[C] | None = None
        self.trouble: ParlourError | None = None
        self._active = active
        self._guard = guard
        self._reporter = reporter
        self._clock = clock
        self._log = structlog.get_logger("parlour.config")

    async def apply(self, step: Apply[C]) -> None:
        """Stage beside what runs, then switch; what fails leaves everything as it was."""
        assert self.stage is not None
        await self._guard.trying(step.update)
        try:
            async with asyncio.timeout(STAGE_S):
                switch = await self.stage(step.settings)
            outcome = await switch.commit()
        except ParlourError as error:
            self._log.warning("settings cannot be used", code=error.code, reason=str(error),
                              hint=error.hint)  # fmt: skip
            failure = hook_failed(f"{error.code}: {error}")
        except Exception as error:  # noqa: BLE001  # an engine may raise anything
            self._log.error("settings cannot be used", kind=type(error).__name__)
            self._log.debug("settings cannot be used", exc_info=error)
            failure = hook_failed(type(error).__name__)
        else:
            await self.applied(step, outcome)
            return
        await self._guard.failed()
        self.refuse(failure)

    async def applied(self, step: Apply[C], outcome: Outcome) -> None:
        """They run."""
        self._active.applied(step.update, step.state, outcome)
        await self.save()
        self._reporter.tell()
        self._guard.applied(step.update)
        self._log.info("configuration applied", event_type="config_applied", outcome=outcome,
                       checksum=step.update.checksum, epoch=step.update.config_epoch)  # fmt: skip

    async def save(self) -> None:
        """Store what runs; when that fails, what runs goes on, and the report says so."""
        update = self._active.running
        assert update is not None
        if await self._guard.save(update, self._active.trusted.state):
            self._active.written(self._clock.monotonic())
            self.trouble = None
        else:
            self._active.unwritten()

    def refuse(self, error: ParlourError) -> None:
        """A message failed a check, or its settings could not be applied."""
        self._active.refused(error)
        work.refused_settings(error.code)
        self._reporter.tell(failure=True)
        self._log.warning("configuration refused", event_type="config_refused",
                          code=error.code, reason=str(error))  # fmt: skip
