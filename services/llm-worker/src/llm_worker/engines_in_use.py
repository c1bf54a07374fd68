"""The engine that answers, and the change to another one between two answers.

A new engine is loaded and warmed beside the one in use. From the switch on it gets every request
that has not begun; an answer that runs is finished by the engine that began it, which is freed
afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parlour_contracts.config import LLMWorkerConfig, RouterConfig
from parlour_contracts.messages.llm import ChatMessage
from parlour_kit.errors import ParlourError

from llm_worker.engine import CancelToken, Engine, engine_key
from llm_worker.errors import ContextTooLongError, LlmError

EngineFactory = Callable[[LLMWorkerConfig, Path], Engine]
Spawn = Callable[[Coroutine[Any, Any, None], str], object]
"""Runs a coroutine in the background; takes it and a name."""


class Engines:
    """Holds the engine of the moment.

    Args:
        make: an engine for settings, not loaded; may raise a ParlourError.
        data_dir: where models lie.
        spawn: frees in the background what nobody needs any more.
        log: takes warnings.

    Attributes:
        current: what answers; None when nothing could be loaded.
        trouble: why no answer can be expected now, or None.
    """

    def __init__(self, make: EngineFactory, data_dir: Path, spawn: Spawn, log: Any) -> None:
        self.current: Engine | None = None
        self.trouble: ParlourError | None = None
        self._make = make
        self._data_dir = data_dir
        self._spawn = spawn
        self._log = log
        self._answering: Engine | None = None
        standard = ChatMessage(role="system", content=RouterConfig().system_prompt)
        self._head: tuple[ChatMessage, ...] = (standard,)

    @property
    def usable(self) -> bool:
        """Whether an answer would be possible."""
        return self.current is not None and self.trouble is None

    @property
    def head(self) -> tuple[ChatMessage, ...]:
        """What conversations begin with."""
        return self._head

    def expect(self, messages: Sequence[ChatMessage]) -> None:
        """Conversations begin like this one now; the next engine is warmed with its head."""
        head = tuple(message for message in messages if message.role == "system")
        if head:
            self._head = head

    async def load(self, config: LLMWorkerConfig) -> None:
        """Load the first one.

        Raises:
            ParlourError: it cannot be loaded.
        """
        try:
            self.use(await self._prepared(config))
        except ParlourError as error:
            self.trouble = error
            raise

    async def stage(self, old: LLMWorkerConfig, new: LLMWorkerConfig) -> Engine | None:
        """Get ready for new settings beside the answers that run.

        Returns:
            A loaded engine to :meth:`use` or to close; None when the present one will do.

        Raises:
            ParlourError: it cannot be loaded, or its server cannot answer.
        """
        if self.current is not None and engine_key(new) == engine_key(old):
            return None
        return await self._prepared(new, check=True)

    def use(self, engine: Engine) -> None:
        """What has not begun is answered by this one from now on."""
        old, self.current, self.trouble = self.current, engine, None
        if old is not None and old is not self._answering:
            self._spawn(old.close(), "llm-close")

    @contextmanager
    def answering(self) -> Iterator[Engine]:
        """The engine for one answer, which it is kept for."""
        engine = self.current
        if engine is None:
            raise LookupError("no engine")
        self._answering = engine
        try:
            yield engine
        finally:
            self._answering = None
            if engine is not self.current:
                self._spawn(engine.close(), "llm-close")

    def note(self, engine: Engine, error: ParlourError | None) -> None:
        """An answer shows that the engine works; a failure that is not the prompt's, that not."""
        if engine is self.current and not isinstance(error, ContextTooLongError):
            self.trouble = error

    async def recheck(self) -> None:
        """Find out whether an engine in trouble works again."""
        engine = self.current
        if self.trouble is None or engine is None:
            return
        try:
            await engine.check()
        except ParlourError as error:
            self.note(engine, error)
        else:
            self.note(engine, None)

    async def close(self) -> None:
        """Free the engine, and the one that still answers."""
        engines = {id(e): e for e in (self.current, self._answering) if e is not None}
        self.current = None
        for engine in engines.values():
            await engine.close()

    async def _prepared(self, config: LLMWorkerConfig, *, check: bool = False) -> Engine:
        # In a thread: an engine's library may take seconds to import, and answers go on meanwhile.
        engine = await asyncio.to_thread(self._make, config, self._data_dir)
        loading = asyncio.ensure_future(engine.load())
        try:
            await asyncio.shield(loading)
            if check:
                await engine.check()
            await self._warm(engine)
        except asyncio.CancelledError:
            # Whoever is in a hurry does not wait for a model to be loaded.
            self._spawn(_abandon(engine, loading), "llm-abandon")
            raise
        except BaseException:
            await engine.close()
            raise
        return engine

    async def _warm(self, engine: Engine) -> None:
        """The first answer then costs its question only, and the model's pages are in memory."""
        try:
            await engine.prime(self._head, CancelToken())
        except LlmError as error:
            self._log.warning("could not prime", code=error.code, reason=str(error))


async def _abandon(engine: Engine, loading: asyncio.Future[None]) -> None:
    """Free an engine that nobody waits for, as soon as it is loaded."""
    await asyncio.gather(loading, return_exceptions=True)
    await engine.close()
