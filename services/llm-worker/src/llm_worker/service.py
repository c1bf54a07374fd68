"""llm-worker: takes conversations, streams answers.

Reads ``llm/request`` (shared between all workers), its own ``llm/<instance>/cancel`` and
every room's ``turn/abort``; answers on the topic that the request names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import ClassVar

from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import LlmCancel, LlmRequest
from parlour_contracts.messages.turn import TurnAbort
from parlour_contracts.topics import LLM_CANCEL, LLM_REQUEST, TURN_ABORT
from parlour_kit.errors import BusError, ParlourError
from parlour_kit.metrics import work
from parlour_kit.probes.checks import Check
from parlour_kit.service import Context, Service
from parlour_kit.switch import Switch, switch_of
from parlour_kit.vitals import ThrottleLevel

from llm_worker.answering import Answering
from llm_worker.backends import make_engine
from llm_worker.checking import EngineCheck
from llm_worker.engine import Prompt
from llm_worker.engines_in_use import EngineFactory, Engines
from llm_worker.errors import (
    EngineFailedError,
    QueueFullError,
    StoppingError,
)
from llm_worker.foreign_orders import attempt_in
from llm_worker.jobs import Ending, Job, JobQueue

RECHECK_S = 10.0
DRAIN_S = 2.0

_DROPPED_AS: dict[Ending, work.Reason] = {
    Ending.CANCELLED: "cancelled",
    Ending.SUPERSEDED: "stale",
    Ending.TIMED_OUT: "expired",
    Ending.TOO_HOT: "expired",
    Ending.STOPPING: "stopping",
}


class LlmWorker(Service[LLMWorkerConfig]):
    """One language model, one answer at a time.

    Args:
        ctx: what every service gets.
        config: ``max_tokens``, ``temperature``, ``top_p`` and ``timeout_s`` are read anew for
            each request; the others make an engine, which another one may follow.
        engine_factory: makes the engine; may raise a ParlourError.
    """

    name: ClassVar[str] = "llm-worker"
    config_model: ClassVar[type[LLMWorkerConfig]] = LLMWorkerConfig

    def __init__(
        self, ctx: Context, config: LLMWorkerConfig, engine_factory: EngineFactory = make_engine
    ) -> None:
        super().__init__(ctx, config)
        self._engines = Engines(engine_factory, ctx.data_dir, self.messenger.spawn, self.log)
        self._answering = Answering(self.messenger, self.log)
        self._jobs = JobQueue()
        self._check = EngineCheck(
            self._engines,
            self.clock,
            busy=lambda: self._jobs.busy or self._draining or not self.cool.is_set(),
            computing=lambda: self._jobs.running is not None,
            stuck=lambda: self._answering.stuck,
        )
        self._timers: dict[Job, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._draining = False

    async def load(self) -> None:
        """Load the engine and compute the head of the standard prompt."""
        await self._engines.load(self.config)

    async def serve(self) -> None:
        """Listen and work."""
        self.messenger.spawn(self._work(), "llm-work")
        self.messenger.spawn(self._recheck(), "llm-recheck")
        await self.messenger.on(TURN_ABORT, self._on_abort)
        await self.messenger.on(LLM_CANCEL, self._on_cancel, instance=self.ctx.instance)
        await self.messenger.on(LLM_REQUEST, self._on_request)

    async def stage(self, new: LLMWorkerConfig) -> Switch:
        """Load another engine beside the one in use, where the settings need one.

        Raises:
            ParlourError: it cannot be loaded, or its server cannot answer.
        """
        engine = await self._engines.stage(self.config, new)
        if engine is None:
            return await super().stage(new)

        def commit() -> None:
            self.config = new
            self._engines.use(engine)

        return switch_of(commit, engine.close)

    async def drain(self) -> None:
        """Give everything back: another worker may answer."""
        self._draining = True
        stopped = self._jobs.end_all(Ending.STOPPING)
        work.dropped("stopping", len(stopped))
        ended = [j for j in stopped if j.started is None]
        with suppress(BusError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*map(self._answering.tell_ended, ended))
                while self._jobs.running is not None:
                    await self.clock.sleep(0.01)
                await self.messenger.off(LLM_REQUEST)

    async def close(self) -> None:
        """Free the model."""
        for timer in self._timers.values():
            timer.cancel()
        await self._engines.close()

    def throttled(self, level: ThrottleLevel) -> None:
        """On a hot machine what waits stays where it is; what runs ends."""
        super().throttled(level)
        self._wake.set()

    def components(self) -> dict[str, bool]:
        """``llm``: an answer would be possible."""
        return {"llm": self._engines.usable and not self._answering.stuck}

    def queue(self) -> int:
        """Requests that wait."""
        return self._jobs.waiting

    def checks(self) -> list[Check]:
        """The engine says a token."""
        return [self._check.check]

    # What comes in. These run in the receive loop and return at once.

    def _on_request(self, request: LlmRequest, _params: dict[str, str]) -> None:
        job = Job(request, self.clock.monotonic())
        if (error := self._unable()) is not None:
            work.dropped("refused")
            self.messenger.spawn(self._answering.refuse(job, error), "llm-refuse")
            return
        self._engines.expect(request.messages)
        admission = self._jobs.admit(job)
        self._forget(admission.ended)
        if admission.verdict != "queued":
            work.dropped(admission.verdict)
        match admission.verdict:
            case "queued":
                self._note_orders(request)
                loop = asyncio.get_running_loop()
                self._timers[job] = loop.call_later(self.config.timeout_s, self._expire, job)
                self._answering.claim(job)
                self._wake.set()
            case "stale":
                job.ending = Ending.CANCELLED
                self.messenger.spawn(self._answering.tell_ended(job), "llm-stale")
            case "full":
                full = QueueFullError("too many requests wait for this llm-worker")
                self.messenger.spawn(self._answering.refuse(job, full), "llm-full")
            case "duplicate":
                self.log.debug("duplicate request", request_id=request.request_id)

    def _on_cancel(self, cancel: LlmCancel, _params: dict[str, str]) -> None:
        self._forget(self._jobs.cancel(cancel.request_id))

    def _on_abort(self, abort: TurnAbort, _params: dict[str, str]) -> None:
        self._forget(self._jobs.abort(abort.turn_id, abort.revision))

    def _expire(self, job: Job) -> None:
        paused = job.started is None and not self.cool.is_set()
        self._forget(self._jobs.end(job, Ending.TOO_HOT if paused else Ending.TIMED_OUT))

    def _unable(self) -> ParlourError | None:
        """Why no request can be taken now."""
        if self._draining:
            return StoppingError("this llm-worker is stopping")
        if self._engines.current is None:
            return self._engines.trouble or EngineFailedError("no model is loaded")
        return None

    def _forget(self, ended: Iterable[Job]) -> None:
        """Answer for jobs that ended before they ran; the running one answers for itself."""
        for job in ended:
            if job.ending is not None:
                work.dropped(_DROPPED_AS[job.ending])
            if job.started is None:
                self._stop_timer(job)
                self.messenger.spawn(self._answering.tell_ended(job), "llm-ended")

    def _stop_timer(self, job: Job) -> None:
        if (timer := self._timers.pop(job, None)) is not None:
            timer.cancel()

    def _note_orders(self, request: LlmRequest) -> None:
        """Tell the operator that somebody tries to instruct the model; no word of what was said."""
        if (attempt := attempt_in(request.messages)) is not None:
            self.log.warning(
                "a question tries to give the model orders", attempt=attempt,
                request_id=request.request_id, session_id=request.session_id,
            )  # fmt: skip

    # What is computed.

    async def _work(self) -> None:
        """Compute job after job; what goes wrong with one is that one's end alone."""
        while True:
            able = self._engines.current is not None and self.cool.is_set()
            job = self._jobs.take(self.clock.monotonic()) if able else None
            if job is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await self._check.give_way()
                with self._engines.answering() as engine:
                    error = await self._answering.run(job, engine, self._prompt_of(job))
                    self._engines.note(engine, error)
                    self._check.answered(engine, tuple(job.request.messages), self._answering.said)
            except Exception as error:  # noqa: BLE001  # the next request must still be served
                self.messenger.failed("llm-work", error)
            finally:
                self._stop_timer(job)
                self._jobs.finish(job)

    def _prompt_of(self, job: Job) -> Prompt:
        """The request with what it leaves open filled from the settings of this moment."""
        params, config = job.request.params, self.config
        return Prompt(
            messages=tuple(job.request.messages),
            max_tokens=params.max_tokens or config.max_tokens,
            temperature=config.temperature if params.temperature is None else params.temperature,
            top_p=params.top_p or config.top_p,
            seed=params.seed,
        )

    async def _recheck(self) -> None:
        """Find out when an engine in trouble works again."""
        while True:
            await self.clock.sleep(RECHECK_S)
            await self._engines.recheck()
