"""What llm-worker does on a hot machine: nothing new is computed, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from llm_worker.service import LlmWorker
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage, LlmReply, LlmRequest
from parlour_contracts.topics import LLM_REPLY, LLM_REQUEST
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.fakes_vitals import FakeSensors

ANSWER_S = 5.0
SLOW = LlmScript(("one ", "two ", "three ", "four"), prefill_s=1.0, piece_s=1.0)


class Router:
    """Asks, and reads what came back."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.observer = Observer(broker.client("router"), "router")

    async def ask(self) -> str:
        await self.observer.watch(LLM_REPLY)
        request = LlmRequest(
            request_id=new_id(), turn_id=new_id(), session_id=new_id(),
            messages=[ChatMessage(role="user", content="Is it sunny?")],
            reply_topic="llm/reply/router",
        )  # fmt: skip
        await self.observer.messenger.send(LLM_REQUEST, request)
        return request.request_id

    def kinds(self, request_id: str) -> list[str]:
        replies = (r for r in self.observer.of(LLM_REPLY) if r.request_id == request_id)
        return [r.kind for r in replies if r.kind != "delta"]

    async def last(self, request_id: str) -> LlmReply:
        return await self.observer.until(
            LLM_REPLY,
            lambda r: r.request_id == request_id and r.kind in ("done", "failed"),
            within=300,
        )


@pytest.fixture
def sensors() -> FakeSensors:
    return FakeSensors()


def worker(broker: MemoryBroker, sensors: FakeSensors, **config: object):
    return memory_service(
        LlmWorker, broker, sensors=sensors,
        config=LLMWorkerConfig(**config), engine_factory=FakeLlm((SLOW,)),
    )  # fmt: skip


@pytest.mark.req("H056")
async def test_what_runs_ends_what_comes_waits_and_is_answered_when_it_is_cool(
    broker: MemoryBroker, sensors: FakeSensors
) -> None:
    router = Router(broker)
    async with worker(broker, sensors) as service:
        running = await router.ask()
        await asyncio.sleep(1.5)
        sensors.set(temperature_c=86.0)
        await asyncio.sleep(1.5)
        waiting = await router.ask()
        await asyncio.sleep(20)
        meanwhile = (router.kinds(running), router.kinds(waiting), service.queue())
        sensors.set(temperature_c=70.0)
        began = asyncio.get_running_loop().time()
        answer = await router.last(waiting)

    assert meanwhile == (["claimed", "done"], ["claimed"], 1)
    assert answer.text == "one two three four"
    assert asyncio.get_running_loop().time() - began <= ANSWER_S + 1.5


@pytest.mark.req("H056")
async def test_who_waits_for_longer_than_the_time_out_is_told_that_it_is_too_hot(
    broker: MemoryBroker, sensors: FakeSensors
) -> None:
    sensors.set(temperature_c=90.0)
    router = Router(broker)
    async with worker(broker, sensors, timeout_s=12.0) as service:
        asked = await router.ask()
        failed = await router.last(asked)
        left = service.queue()

    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable, left) == ("TOO_HOT", True, 0)
    assert failed.timings.total_ms == pytest.approx(12_000, abs=1)


async def test_a_warm_machine_answers(broker: MemoryBroker, sensors: FakeSensors) -> None:
    sensors.set(temperature_c=78.0)
    router = Router(broker)
    async with worker(broker, sensors):
        answer = await router.last(await router.ask())

    assert answer.kind == "done"
