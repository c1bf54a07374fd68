"""Computes one job and streams what comes of it to the router that asked."""

from __future__ import annotations

import asyncio
from typing import Any

from parlour_contracts.messages.llm import LlmReply, LlmTimings, LlmTokens
from parlour_contracts.topics import LLM_REPLY
from parlour_kit.errors import BusError, NotConnectedError, ParlourError, TooHotError
from parlour_kit.messenger import Messenger
from parlour_kit.metrics import thinking

from llm_worker.engine import Engine, Generation, Prompt
from llm_worker.errors import AnswerTimeoutError, EngineFailedError, StoppingError
from llm_worker.jobs import Ending, Job
from llm_worker.outbox import Outbox
from llm_worker.replies import Replies

GRACE_S = 1.0
"""How long a cancelled engine may take before its requester is told without it."""

RESEND_S = (0.5, 1.0, 2.0, 4.0)
"""Waits before a reply that must arrive is sent again, while the broker is away."""


class Answering:
    """Runs jobs on an engine, one at a time.

    Attributes:
        stuck: the engine has not obeyed a cancel within the time of grace.
        said: the text of the last answer, as far as it came.
    """

    def __init__(self, messenger: Messenger, log: Any) -> None:
        self.stuck = False
        self.said = ""
        self._messenger = messenger
        self._clock = messenger.clock
        self._log = log
        self._claims: dict[Job, asyncio.Task[None]] = {}

    def claim(self, job: Job) -> None:
        """Tell the router who has its request."""
        reply = self._replies(job).claimed()
        self._claims[job] = self._messenger.spawn(self._send(job, reply), "llm-claimed")

    async def refuse(self, job: Job, error: ParlourError) -> None:
        """There will be no answer to a job that has not run."""
        await self._end(job, self._replies(job).failed(0, error.wire(), self._timings(job)))

    async def tell_ended(self, job: Job) -> None:
        """The last word on a job that was ended before it ran."""
        await self._end(job, self._last_word(job, 0, "", Generation("cancelled", LlmTokens())))

    async def run(self, job: Job, engine: Engine, prompt: Prompt) -> ParlourError | None:
        """Compute a job to its end and tell the router everything.

        Returns:
            The error, when the engine failed.
        """
        outbox = Outbox()
        loop = asyncio.get_running_loop()
        work = loop.create_task(engine.generate(prompt, outbox.put, job.cancel))
        work.add_done_callback(lambda _work: outbox.close())
        try:
            with job.cancel.watched(outbox.close):
                seq, first_ms = await self._deltas(job, outbox)
            await asyncio.wait({work}, timeout=GRACE_S)
            self.stuck = not work.done()
            self.said = outbox.text
            generation, error = _result_of(work)
            if error is not None and job.ending is None:
                last: LlmReply | None = self._replies(job).failed(
                    seq, error.wire(), self._timings(job, first_ms)
                )
            else:
                last = self._last_word(job, seq, outbox.text, generation, first_ms)
            await self._end(job, last)
            await asyncio.wait({work})
            return error
        finally:
            self.stuck = False
            if not work.done():
                work.cancel()

    async def _deltas(self, job: Job, outbox: Outbox) -> tuple[int, float]:
        """Send text as it comes; returns the number of deltas and the time of the first (ms)."""
        seq, first_ms = 0, 0.0
        async for text in outbox:
            if job.ending is not None:
                break
            if not seq:
                first_ms = self._since(job)
                await self._claimed(job)
            await self._send(job, self._replies(job).delta(seq, text))
            seq += 1
        return seq, first_ms

    async def _claimed(self, job: Job) -> None:
        if (claim := self._claims.pop(job, None)) is not None:
            await asyncio.wait({claim})

    def _last_word(
        self, job: Job, seq: int, text: str, generation: Generation, first_ms: float = 0.0
    ) -> LlmReply | None:
        timings = self._timings(job, first_ms, generation.prefill_ms)
        replies = self._replies(job)
        if job.ending is Ending.SUPERSEDED:
            return None  # the attempt that took its place speaks
        if job.ending is Ending.TIMED_OUT:
            error: ParlourError = AnswerTimeoutError("the answer was not complete in time")
            return replies.failed(seq, error.wire(), timings)
        if job.ending is Ending.TOO_HOT:
            error = TooHotError("this machine was too hot to begin the answer in time")
            return replies.failed(seq, error.wire(), timings)
        if job.ending is Ending.STOPPING:
            error = StoppingError("this llm-worker is stopping")
            return replies.failed(seq, error.wire(), timings)
        reason = "cancelled" if job.ending is Ending.CANCELLED else generation.finish_reason
        return replies.done(seq, text, reason, generation.tokens, timings)

    async def _end(self, job: Job, reply: LlmReply | None) -> None:
        await self._claimed(job)
        _measure(reply)
        if reply is not None:
            await self._send(job, reply)
        self._log.info(
            "request over",
            event_type="llm_request",
            request_id=job.request.request_id,
            session_id=job.request.session_id,
            turn_id=job.request.turn_id,
            revision=job.request.revision,
            kind=reply.kind if reply else "superseded",
            finish_reason=reply.finish_reason if reply else None,
            code=reply.error.code if reply and reply.error else None,
            **(reply.tokens.model_dump() | reply.timings.model_dump() if reply else {}),
        )

    async def _send(self, job: Job, reply: LlmReply) -> None:
        """Send a reply; what may be lost is not sent twice."""
        router = job.request.reply_topic.rpartition("/")[2]
        delays = iter(() if reply.kind == "delta" else RESEND_S)
        while True:
            try:
                await self._messenger.send(LLM_REPLY, reply, instance=router)
            except NotConnectedError:
                if (delay := next(delays, None)) is None:
                    return
                await self._clock.sleep(delay)
            except BusError as error:
                self._log.warning("reply was refused", kind=reply.kind, code=error.code)
                return
            else:
                return

    def _replies(self, job: Job) -> Replies:
        return Replies(job.request, self._messenger.instance)

    def _since(self, job: Job) -> float:
        return (self._clock.monotonic() - job.received) * 1000

    def _timings(self, job: Job, first_ms: float = 0.0, prefill_ms: float = 0.0) -> LlmTimings:
        started = self._clock.monotonic() if job.started is None else job.started
        return LlmTimings(
            queue_ms=(started - job.received) * 1000,
            prefill_ms=prefill_ms,
            first_token_ms=first_ms,
            total_ms=self._since(job),
        )


def _measure(reply: LlmReply | None) -> None:
    """How a request ended; what an answer took that came to its end."""
    thinking.reply_over(reply.kind if reply else "superseded")
    if reply is None or reply.kind != "done" or reply.finish_reason == "cancelled":
        return
    tokens, timings = reply.tokens, reply.timings
    thinking.computed(
        prompt=tokens.prompt,
        cached=tokens.cached,
        completion=tokens.completion,
        queue_s=timings.queue_ms / 1000,
        prefill_s=timings.prefill_ms / 1000,
        first_s=timings.first_token_ms / 1000,
        total_s=timings.total_ms / 1000,
    )


def _result_of(work: asyncio.Task[Generation]) -> tuple[Generation, ParlourError | None]:
    """What the engine returned or raised; nothing computed when it is not back yet."""
    nothing = Generation("cancelled", LlmTokens())
    if not work.done() or work.cancelled():
        return nothing, None
    error = work.exception()
    if error is None:
        return work.result(), None
    if isinstance(error, ParlourError):
        return nothing, error
    # Its text may hold a piece of the prompt: only its kind is told.
    return nothing, EngineFailedError(f"the engine failed with {type(error).__name__}")
