"""llm-worker with a real engine: the check says a token, and the next question costs no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from llm_worker.service import LlmWorker
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage, LlmReply, LlmRequest
from parlour_contracts.topics import LLM_REPLY, LLM_REQUEST
from parlour_kit.clock import LoopClock
from parlour_kit.ids import new_id
from parlour_kit.probes.checks import CheckBook
from parlour_testkit import MemoryBroker, Observer, memory_service

pytestmark = pytest.mark.model

CONFIG = LLMWorkerConfig(model="smollm2-135m-instruct", temperature=0.0, max_tokens=20)
HISTORY = [
    ChatMessage(role="system", content="You answer in a few short words."),
    ChatMessage(role="user", content="What is the capital of France?"),
]


async def ask(router: Observer, messages: list[ChatMessage]) -> LlmReply:
    request = LlmRequest(
        request_id=new_id(), turn_id=new_id(), session_id=new_id(), messages=messages,
        reply_topic="llm/reply/router",
    )  # fmt: skip
    await router.messenger.send(LLM_REQUEST, request)
    return await router.until(
        LLM_REPLY, lambda r: r.request_id == request.request_id and r.kind == "done", within=60
    )


@pytest.mark.req("H032", "F32")
async def test_a_check_between_two_turns_leaves_what_the_engine_knows_of_the_conversation(
    broker: MemoryBroker, data_dir: Path
) -> None:
    router = await Observer(broker.client("router"), "router").watch(LLM_REPLY)
    async with memory_service(LlmWorker, broker, config=CONFIG, data_dir=data_dir) as service:
        first = await ask(router, HISTORY)
        await asyncio.sleep(0.2)  # the worker is done a moment after its reply
        book = CheckBook(service.checks(), LoopClock())
        book.forget()
        (result,) = await book.fresh()
        answer = ChatMessage(role="assistant", content=first.text)
        more = ChatMessage(role="user", content="And of Spain?")
        second = await ask(router, [*HISTORY, answer, more])

    assert result.state == "healthy", result
    assert result.latency_ms > 0
    assert second.tokens.cached >= first.tokens.prompt + first.tokens.completion - 2
