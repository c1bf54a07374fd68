"""The check of llm-worker: the engine says a token, and no answer waits for it."""

from __future__ import annotations

import asyncio

import pytest
from llm_worker.checking import QUESTION
from llm_worker.errors import EngineFailedError
from llm_worker.service import LlmWorker
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.llm import ChatMessage, LlmReply, LlmRequest
from parlour_contracts.topics import LLM_REPLY, LLM_REQUEST
from parlour_kit.clock import LoopClock
from parlour_kit.errors import ParlourError
from parlour_kit.ids import new_id
from parlour_kit.probes.checks import COMPONENT_S, TTL_S, CheckBook, CheckResult
from parlour_testkit import MemoryBroker, Observer, memory_service
from parlour_testkit.fakes_llm import FakeCapabilities, FakeLlm, LlmScript

QUICK = LlmScript(("Yes.",), prefill_s=0.1)
SYSTEM = ChatMessage(role="system", content=RouterConfig().system_prompt)


class Asking:
    """A router with questions."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    @classmethod
    async def at(cls, broker: MemoryBroker) -> Asking:
        return cls(await Observer(broker.client("router"), "router").watch(LLM_REPLY))

    async def ask(self, text: str = "Is it sunny?") -> LlmRequest:
        user = ChatMessage(role="user", content=text)
        request = LlmRequest(
            request_id=new_id(), turn_id=new_id(), session_id=new_id(), messages=[SYSTEM, user],
            reply_topic="llm/reply/router",
        )  # fmt: skip
        await self.observer.messenger.send(LLM_REQUEST, request)
        return request

    async def answer(self, request: LlmRequest) -> LlmReply:
        return await self.observer.until(
            LLM_REPLY,
            lambda r: r.request_id == request.request_id and r.kind in ("done", "failed"),
            within=60,
        )


def worker(broker: MemoryBroker, *scripts: LlmScript, **more):
    engine = FakeLlm(scripts or (QUICK,), **more)
    return memory_service(LlmWorker, broker, engine_factory=engine), engine


async def checked(service: LlmWorker) -> CheckResult:
    (result,) = await CheckBook(service.checks(), LoopClock()).fresh()
    return result


@pytest.mark.req("H032", "F32")
async def test_an_engine_that_says_a_token_is_healthy(broker: MemoryBroker) -> None:
    running, engine = worker(broker)
    async with running as service:
        result = await checked(service)

    assert (result.name, result.component, result.state) == ("model", "llm", "healthy")
    assert result.latency_ms == pytest.approx(100)
    (prompt,) = engine.prompts
    assert prompt.messages == (SYSTEM, QUESTION)
    assert prompt.max_tokens == 1


@pytest.mark.req("H032", "F32")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (LlmScript((), error=EngineFailedError("at /models/x.gguf")), "LLM_FAILED"),
        (LlmScript((), error=RuntimeError("what somebody said")), "CHECK_FAILED"),
        (LlmScript(prefill_s=1e6), "CHECK_TIMEOUT"),
        (LlmScript(prefill_s=COMPONENT_S), "CHECK_TIMEOUT"),
        (LlmScript(prefill_s=1e6, deaf=True), "CHECK_TIMEOUT"),
    ],
)
async def test_an_engine_that_fails_or_says_nothing_within_5_s_is_unhealthy(
    broker: MemoryBroker, script: LlmScript, message: str
) -> None:
    running, _ = worker(broker, script)
    async with running as service:
        began = asyncio.get_running_loop().time()
        result = await checked(service)

        assert asyncio.get_running_loop().time() - began <= COMPONENT_S

    assert result.state == "unhealthy"
    assert result.message.partition(":")[0] == message


@pytest.mark.req("F32")
async def test_a_worker_without_a_model_is_unhealthy_with_the_cause(broker: MemoryBroker) -> None:
    running, engine = worker(broker, load_error=ParlourError("x", code="MODEL_MISSING"))
    async with running as service:
        result = await checked(service)

    assert (result.state, result.message) == ("unhealthy", "MODEL_MISSING")
    assert engine.prompts == []


@pytest.mark.req("H032")
async def test_an_answer_of_the_last_30_s_counts_as_the_check(broker: MemoryBroker) -> None:
    running, engine = worker(broker)
    asking = await Asking.at(broker)
    async with running as service:
        await asking.answer(await asking.ask())
        book = CheckBook(service.checks(), LoopClock())
        await asyncio.sleep(TTL_S - 1)
        (counts,) = await book.fresh()
        before = len(engine.prompts)
        await asyncio.sleep(2)
        (found,) = await book.fresh()

    assert (counts.state, before) == ("healthy", 1)
    assert (found.state, len(engine.prompts)) == ("healthy", 2)


async def test_the_check_goes_on_where_the_last_conversation_ended(broker: MemoryBroker) -> None:
    """What the engine keeps of it stays as it is, so the next question is as fast as before."""
    running, engine = worker(broker)
    asking = await Asking.at(broker)
    async with running as service:
        request = await asking.ask()
        await asking.answer(request)
        await asyncio.sleep(TTL_S + 1)
        await checked(service)

    answer = ChatMessage(role="assistant", content="Yes.")
    assert engine.prompts[1].messages == (*request.messages, answer, QUESTION)


async def test_an_engine_elsewhere_is_told_nothing_of_the_conversation(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = FakeCapabilities(reuses_prefix=False)
    monkeypatch.setattr(FakeLlm, "capabilities", property(lambda _: elsewhere))
    running, engine = worker(broker)
    asking = await Asking.at(broker)
    async with running as service:
        await asking.answer(await asking.ask("my secret"))
        await asyncio.sleep(TTL_S + 1)
        await CheckBook(service.checks(), LoopClock()).fresh(sparing=True)
        unasked = len(engine.prompts)
        await checked(service)

    assert unasked == 1, "nor is it asked unless somebody asks here"
    assert engine.prompts[1].messages == (QUESTION,)


async def test_a_request_that_comes_while_the_check_runs_does_not_wait_for_it(
    broker: MemoryBroker,
) -> None:
    running, engine = worker(broker, LlmScript(("Yes.",), prefill_s=4.0), QUICK)
    asking = await Asking.at(broker)
    async with running as service:
        book = CheckBook(service.checks(), LoopClock())
        checking = asyncio.create_task(book.fresh())
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        done = await asking.answer(await asking.ask())
        took = asyncio.get_running_loop().time() - began
        (result,) = await checking

    assert done.text == "Yes."
    assert took == pytest.approx(0.1, abs=0.01)
    assert result.state in ("unknown", "healthy")
    assert engine.most_at_once == 1


async def test_a_check_that_cannot_be_stopped_holds_a_request_up_for_half_a_second_at_most(
    broker: MemoryBroker,
) -> None:
    running, _ = worker(broker, LlmScript(prefill_s=1e6, deaf=True), QUICK)
    asking = await Asking.at(broker)
    async with running as service:
        checking = asyncio.create_task(CheckBook(service.checks(), LoopClock()).fresh())
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await asking.answer(await asking.ask())
        took = asyncio.get_running_loop().time() - began
        await checking

    assert took == pytest.approx(0.6, abs=0.01)


async def test_nothing_is_checked_while_an_answer_runs(broker: MemoryBroker) -> None:
    running, engine = worker(broker, LlmScript(("one ", "two"), piece_s=5.0))
    asking = await Asking.at(broker)
    async with running as service:
        request = await asking.ask()
        await asyncio.sleep(1)
        result = await checked(service)
        assert (result.works, len(engine.prompts)) == (True, 1)
        await asking.answer(request)
