"""The voice that speaks now, and how another takes its place between two sentences."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from parlour_contracts.config.tts_worker import TTSWorkerConfig

from tts_worker.engine import Engine, EngineFactory

REMEMBERED = 16
"""Names of former voices."""


class Voices:
    """Holds one voice, for a while two.

    A new voice is loaded beside the one that speaks. From :meth:`take` on it is the one that
    :meth:`lent` gives; the old one is freed as soon as its sentence is over.
    """

    def __init__(self, factory: EngineFactory, data_dir: Path) -> None:
        self._factory = factory
        self._data_dir = data_dir
        self._current: Engine | None = None
        self._lent: Engine | None = None
        self._old: list[Engine] = []
        self._name = ""
        self._left: OrderedDict[str, float] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("parlour.tts-worker")

    @property
    def ready(self) -> bool:
        """Whether there is a voice."""
        return self._current is not None

    @property
    def current(self) -> Engine | None:
        """The voice of the next sentence."""
        return self._current

    async def load(self, config: TTSWorkerConfig) -> Engine:
        """Load the voice of the settings, without anybody noticing; hand it to :meth:`take`
        or to :meth:`free`.

        Raises:
            ParlourError: as :func:`tts_worker.backends.make_engine`.
        """
        loading = asyncio.ensure_future(asyncio.to_thread(self._factory, config, self._data_dir))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            # A thread cannot be stopped; what it makes after all belongs to nobody.
            loading.add_done_callback(self._free_late)
            raise

    def take(self, engine: Engine, name: str, now: float) -> None:
        """Let a loaded voice speak from the next sentence on.

        Args:
            engine: the voice.
            name: how requests may call it.
            now: seconds of the clock by which requests arrive.
        """
        old, self._current = self._current, engine
        if self._name and self._name != name:
            self._left[self._name] = now
            self._left.move_to_end(self._name)
            while len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
        self._left.pop(name, None)
        self._name = name
        if old is not None:
            self._old.append(old)
            self._free_old()

    def asked(self, voice: str | None, arrived: float) -> str | None:
        """The voice of a request, by the voices of now.

        One that was the loaded voice when the request came, and is no more, stands for the
        loaded one: what was taken is spoken.
        """
        left = self._left.get(voice or "")
        return None if left is not None and arrived <= left else voice

    @contextmanager
    def lent(self) -> Iterator[Engine]:
        """The voice for one sentence; it stays usable until the sentence is over."""
        assert self._current is not None
        self._lent = self._current
        try:
            yield self._lent
        finally:
            self._lent = None
            self._free_old()

    def free(self, engine: Engine) -> None:
        """Free a voice in the background."""
        task = asyncio.get_running_loop().create_task(self._close(engine))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Free every voice, and wait until that is done."""
        if self._current is not None:
            self._old.append(self._current)
        self._current = self._lent = None
        self._free_old()
        await asyncio.gather(*self._closing)

    def _free_old(self) -> None:
        for engine in [e for e in self._old if e is not self._lent]:
            self._old.remove(engine)
            self.free(engine)

    def _free_late(self, loading: asyncio.Future[Engine]) -> None:
        if not loading.cancelled() and loading.exception() is None:
            self.free(loading.result())

    async def _close(self, engine: Engine) -> None:
        try:
            await engine.close()
        except Exception as error:  # noqa: BLE001  # a voice that cannot be freed is only memory
            self._log.warning("voice not freed", kind=type(error).__name__)
