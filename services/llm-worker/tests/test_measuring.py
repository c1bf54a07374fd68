"""What llm-worker's metrics say of the requests that it had."""

from __future__ import annotations

import asyncio

import pytest
from llm_worker.service import LlmWorker
from parlour_contracts.messages.llm import ChatMessage, LlmCancel, LlmReply, LlmRequest
from parlour_contracts.topics import LLM_CANCEL, LLM_REPLY, LLM_REQUEST
from parlour_kit.ids import new_id
from parlour_kit.metrics import REGISTRY
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def request(**fields: object) -> LlmRequest:
    ids = {"request_id": new_id(), "turn_id": new_id(), "session_id": new_id()}
    question = ChatMessage(role="user", content="Is it sunny?")
    return LlmRequest(messages=[question], reply_topic="llm/reply/router", **(ids | fields))


async def over(observer: Observer, asked: LlmRequest) -> LlmReply:
    return await observer.until(
        LLM_REPLY,
        lambda r: r.request_id == asked.request_id and r.kind in ("done", "failed"),
        within=300,
    )


async def test_an_answer_leaves_its_tokens_their_speed_and_its_waits(broker: MemoryBroker) -> None:
    names = ("parlour_llm_tokens_per_second_count", "parlour_llm_first_token_seconds_sum",
             "parlour_llm_prefill_seconds_sum", "parlour_llm_tokens_per_second_sum")  # fmt: skip
    kinds = ("prompt", "cached", "completion")
    before = [sample(n) for n in names]
    tokens = [sample("parlour_llm_tokens_total", kind=k) for k in kinds]
    observer = await Observer(broker.client("router"), "router").watch(LLM_REPLY)
    async with memory_service(LlmWorker, broker, engine_factory=FakeLlm((LlmScript(),))):
        asked = request()
        await observer.messenger.send(LLM_REQUEST, asked)
        done = await over(observer, asked)

    count, first, prefill, speed = (sample(n) - then for n, then in zip(names, before, strict=True))
    times = done.timings
    assert count == 1
    assert first == pytest.approx(times.first_token_ms / 1000, abs=1e-6)
    assert prefill == pytest.approx(times.prefill_ms / 1000, abs=1e-6)
    rest_s = (times.total_ms - times.first_token_ms) / 1000
    assert speed == pytest.approx((done.tokens.completion - 1) / rest_s)
    now = [sample("parlour_llm_tokens_total", kind=k) for k in kinds]
    counted = [done.tokens.prompt, done.tokens.cached, done.tokens.completion]
    assert [n - t for n, t in zip(now, tokens, strict=True)] == counted


async def test_what_was_not_done_is_counted_by_its_reason(broker: MemoryBroker) -> None:
    reasons = ("cancelled", "duplicate", "stopping")
    before = [sample("parlour_work_dropped_total", reason=r) for r in reasons]
    computed = sample("parlour_llm_tokens_per_second_count")
    slow = LlmScript(("one ", "two "), prefill_s=30.0, piece_s=1.0)
    observer = await Observer(broker.client("router"), "router").watch(LLM_REPLY)
    send = observer.messenger.send
    async with memory_service(LlmWorker, broker, engine_factory=FakeLlm((slow,))):
        runs, waits = request(), request()
        for asked in (runs, waits, waits):
            await send(LLM_REQUEST, asked)
        await asyncio.sleep(1)
        cancel = LlmCancel(request_id=waits.request_id, reason="test")
        await send(LLM_CANCEL, cancel, instance="llm-worker")
        await over(observer, waits)

    now = [sample("parlour_work_dropped_total", reason=r) for r in reasons]
    assert [n - t for n, t in zip(now, before, strict=True)] == [1, 1, 1]
    assert sample("parlour_llm_tokens_per_second_count") == computed
