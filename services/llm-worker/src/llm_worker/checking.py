"""Shows that the engine answers, by having it say one token (H032).

The check's prompt begins with the conversation that the engine computed last, so that what it
keeps of it stays as it is: only the few tokens of the check are computed, and forgotten again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from parlour_contracts.messages.llm import ChatMessage
from parlour_kit.clock import Clock
from parlour_kit.errors import ParlourError
from parlour_kit.probes.checks import Check, GaveWayError, HangingError, Look, WorkLog

from llm_worker.engine import CancelToken, Engine, Prompt
from llm_worker.engines_in_use import Engines
from llm_worker.errors import EngineFailedError

QUESTION = ChatMessage(role="user", content="Say yes.")
GIVE_WAY_S = 0.5
"""How long work waits for a check to stop; the engine's own order rules after that."""


class EngineCheck:
    """The check of llm-worker's engine.

    Args:
        engines: whose current engine is checked.
        clock: of the process.
        busy: whether a request waits or runs, or none may be begun.
        computing: whether a request runs.
        stuck: whether the engine has not obeyed a cancel.
    """

    def __init__(
        self,
        engines: Engines,
        clock: Clock,
        busy: Callable[[], bool],
        computing: Callable[[], bool],
        stuck: Callable[[], bool],
    ) -> None:
        self._engines = engines
        self._busy = busy
        self._computing = computing
        self._stuck = stuck
        self._work = WorkLog(clock)
        self._last: tuple[Engine, tuple[ChatMessage, ...]] | None = None
        self._cancel: CancelToken | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def check(self) -> Check:
        """As the process runs it."""
        return Check("model", self._run, component="llm", look=self._look)

    def answered(self, engine: Engine, asked: tuple[ChatMessage, ...], text: str) -> None:
        """An engine has answered a conversation; no text is no sign that it works."""
        if text:
            self._work.note()
            self._last = (engine, (*asked, ChatMessage(role="assistant", content=text)))

    async def give_way(self) -> None:
        """Stop a check that runs: there is work."""
        if self._cancel is not None:
            self._cancel.cancel("there is work")
            try:
                async with asyncio.timeout(GIVE_WAY_S):
                    await self._idle.wait()
            except TimeoutError:
                return

    def _look(self) -> Look:
        trouble: ParlourError | None = self._engines.trouble
        if self._stuck():
            trouble = HangingError("the engine has not obeyed a cancel")
        elif self._engines.current is None and trouble is None:
            trouble = EngineFailedError("no model is loaded")
        engine = self._engines.current
        elsewhere = engine is not None and not engine.capabilities.reuses_prefix
        return Look(trouble, self._busy(), self._computing(), self._work.last, elsewhere)

    async def _run(self) -> None:
        engine = self._engines.current
        if engine is None or self._busy():
            raise GaveWayError("there is work")
        cancel = self._cancel = CancelToken()
        self._idle.clear()
        try:
            found = await engine.generate(self._prompt(engine), lambda _text: None, cancel)
        finally:
            self._cancel = None
            self._idle.set()
        if found.finish_reason == "cancelled" or engine is not self._engines.current:
            raise GaveWayError("there is work")

    def _prompt(self, engine: Engine) -> Prompt:
        messages: tuple[ChatMessage, ...] = ()
        # What another engine or a server computed is of no use here, and nobody else's business.
        if engine.capabilities.reuses_prefix:
            known = self._last is not None and self._last[0] is engine
            messages = self._last[1] if known and self._last else self._engines.head
        return Prompt((*messages, QUESTION), max_tokens=1, temperature=0.0, top_p=1.0)
