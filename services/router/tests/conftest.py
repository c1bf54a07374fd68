from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Ask, Say, TurnTrace
from parlour_contracts.messages.turn import TurnOpen
from parlour_contracts.topics import (
    ASK,
    CANCEL,
    ROOM_STATE,
    SAY,
    SPEECH,
    TURN_ABORT,
    TURN_COMMIT,
    TURN_OPEN,
    TURN_TRACE,
)
from parlour_kit.clock import LoopClock, utc_text
from parlour_kit.ids import new_id
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from parlour_testkit.scripted_workers import (
    ScriptedLlmWorker,
    ScriptedSttWorker,
    ScriptedTtsWorker,
    ScriptedWorker,
)
from router.service import Router


@dataclass
class House:
    """A router, fake workers, and somebody who watches and speaks."""

    broker: MemoryBroker
    router: Router
    observer: Observer
    stt: ScriptedSttWorker
    llm: ScriptedLlmWorker
    tts: ScriptedTtsWorker

    async def open_turn(self, site: str = "kitchen", attempt: int = 1, turn_id: str = "") -> str:
        turn_id = turn_id or new_id()
        opened = TurnOpen(turn_id=turn_id, attempt=attempt, opened_at=utc_text(LoopClock().wall()))
        await self.observer.messenger.send(TURN_OPEN, opened, site=site)
        return turn_id

    async def ask(self, text: str, site: str = "kitchen") -> str:
        turn_id = new_id()
        await self.observer.messenger.send(ASK, Ask(text=text, turn_id=turn_id), site=site)
        return turn_id

    async def say(self, text: str, site: str = "kitchen") -> None:
        await self.observer.messenger.send(SAY, Say(text=text), site=site)

    async def cancel(self, site: str = "kitchen") -> None:
        await self.observer.bus.publish(CANCEL.topic(site=site), b"", qos=1)

    async def trace(self, turn_id: str, within: float = 120.0) -> TurnTrace:
        return await self.observer.until(TURN_TRACE, lambda t: t.turn_id == turn_id, within)

    def traces(self, turn_id: str) -> list[TurnTrace]:
        return [t for t in self.observer.of(TURN_TRACE) if t.turn_id == turn_id]

    def states(self, site: str = "kitchen") -> list[str]:
        seen = [
            s.message
            for s in self.observer.seen
            if s.topic is ROOM_STATE and s.params["site"] == site
        ]
        states = [s.state for s in seen]
        return [s for n, s in enumerate(states) if n == 0 or states[n - 1] != s]

    def said(self, site: str = "kitchen") -> list[str]:
        spoken = self.tts.spoken.get(site)
        return spoken.texts if spoken else []


MakeHouse = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def make_house(broker: MemoryBroker) -> MakeHouse:
    @asynccontextmanager
    async def make(
        *,
        stt: ScriptedSttWorker | None = None,
        llm: ScriptedLlmWorker | None = None,
        tts: ScriptedTtsWorker | None = None,
        config: RouterConfig | None = None,
    ) -> AsyncIterator[House]:
        stt = stt or ScriptedSttWorker(broker)
        llm = llm or ScriptedLlmWorker(broker, "It is nine.")
        tts = tts or ScriptedTtsWorker(broker)
        workers: list[ScriptedWorker] = [stt, llm, tts]
        observer = Observer(broker.client("observer"))
        await observer.watch(TURN_TRACE, ROOM_STATE, SPEECH, TURN_COMMIT, TURN_ABORT)
        for worker in workers:
            await worker.start()
        async with memory_service(Router, broker, config=config) as router:
            assert isinstance(router, Router)
            try:
                yield House(broker, router, observer, stt, llm, tts)
            finally:
                assert router.messenger.counts["handler_failed"] == 0
                for worker in workers:
                    await worker.messenger.close()

    return make
