"""The recogniser in use, and the ones before it that still finish what they began.

A turn keeps the recogniser it was opened with to its end. A new one is loaded beside it and
takes the turns that follow; the old one is freed with the last turn that holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parlour_audio.frames import Samples
from parlour_contracts.config import STTWorkerConfig
from parlour_kit.errors import ParlourError
from parlour_kit.metrics import hearing

from stt_worker.engine import Options, Recognition, engine_key
from stt_worker.recogniser import Recogniser

Spawn = Callable[[Coroutine[Any, Any, None], str], object]
"""Runs a coroutine in the background; takes it and a name."""


@dataclass(eq=False)
class Ear:
    """A loaded recogniser and how many turns hold it."""

    recogniser: Recogniser
    turns: int = 0


class Ears:
    """Hands the recogniser of the moment to turns.

    Args:
        make: a new recogniser, not loaded.
        data_dir: where models lie.
        spawn: frees in the background what nobody holds any more.

    Attributes:
        told: called with what came of each clip for the recogniser in use: None, or the error.
    """

    def __init__(self, make: Callable[[], Recogniser], data_dir: Path, spawn: Spawn) -> None:
        self._make = make
        self._data_dir = data_dir
        self._spawn = spawn
        self._current: Ear | None = None
        self._kept: list[Ear] = []
        self._trouble: ParlourError | None = None
        self.told: Callable[[Exception | None], None] = lambda _error: None

    @property
    def current(self) -> Recogniser | None:
        """The recogniser of new turns."""
        return None if self._current is None else self._current.recogniser

    @property
    def trouble(self) -> ParlourError | None:
        """Why it does not work, where that is known."""
        return self._trouble

    @property
    def loaded(self) -> bool:
        """Whether there is a recogniser for new turns."""
        return self._current is not None

    @property
    def working(self) -> bool:
        """Whether there is one, and it understood the last clip that it was asked for."""
        return self.loaded and self._trouble is None

    async def load(self, config: STTWorkerConfig) -> None:
        """Load the first one.

        Raises:
            ParlourError: it cannot be loaded.
        """
        try:
            self.use(await self._prepared(config))
        except ParlourError as error:
            self._trouble = error
            raise

    async def stage(self, old: STTWorkerConfig, new: STTWorkerConfig) -> Recogniser | None:
        """Get ready for new settings beside the turns that run.

        Returns:
            A loaded recogniser to :meth:`use` or to close; None when the present one will do.

        Raises:
            ParlourError: it cannot be loaded, or does not know the language.
        """
        if self._current is not None and engine_key(new) == engine_key(old):
            if new.language != old.language:
                await self._current.recogniser.check(new)
            return None
        return await self._prepared(new)

    def use(self, recogniser: Recogniser) -> None:
        """New turns are heard with this one from now on."""
        old, self._current = self._current, Ear(recogniser)
        self._trouble = None
        self._kept.append(self._current)
        if old is not None:
            self._free(old)

    def take(self) -> Ear:
        """The recogniser for a turn; give it back when the turn is over.

        Raises:
            LookupError: there is none.
        """
        if self._current is None:
            raise LookupError("no recogniser")
        self._current.turns += 1
        return self._current

    def give_back(self, ear: Ear) -> None:
        """A turn is over."""
        ear.turns -= 1
        self._free(ear)

    async def recognise(self, ear: Ear, samples: Samples, options: Options) -> Recognition:
        """Have a turn's recogniser understand a clip; whether it can is remembered.

        Raises:
            ParlourError: see ``Recogniser.transcribe``.
        """
        try:
            heard = await ear.recogniser.transcribe(samples, options)
        except ParlourError as error:
            if ear is self._current and error.retryable:
                self._trouble = error
                self.told(error)
            raise
        except Exception as error:
            if ear is self._current:
                self.told(error)
            raise
        if ear is self._current:
            self._trouble = None
            self.told(None)
        return heard

    async def recheck(self, settings: Callable[[], STTWorkerConfig]) -> bool:
        """Try what is in trouble again; what only a person can heal is left alone.

        Returns:
            Whether it has come to work.
        """
        if self._trouble is None or not self._trouble.retryable:
            return False
        config, found = settings(), None
        try:
            if self._current is not None:
                await self._current.recogniser.check(config)
            else:
                found = await self._prepared(config)
        except ParlourError as error:
            if settings() is config:
                self._trouble = error
            return False
        if settings() is not config:  # others were chosen meanwhile, and have been tried
            if found is not None:
                await found.close()
            return False
        self._trouble = None
        hearing.reconnections.inc()
        if found is not None:
            self.use(found)
        return True

    async def close(self) -> None:
        """Free all of them, whoever holds them."""
        kept, self._kept, self._current = self._kept, [], None
        for ear in kept:
            await ear.recogniser.close()

    async def _prepared(self, config: STTWorkerConfig) -> Recogniser:
        recogniser = self._make()
        try:
            await recogniser.load(config, self._data_dir)
        except asyncio.CancelledError:
            # Whoever is in a hurry does not wait for a model to be loaded.
            self._spawn(recogniser.close(), "close-recogniser")
            raise
        except BaseException:
            await recogniser.close()
            raise
        return recogniser

    def _free(self, ear: Ear) -> None:
        if ear.turns == 0 and ear is not self._current and ear in self._kept:
            self._kept.remove(ear)
            self._spawn(ear.recogniser.close(), "close-recogniser")
