"""Signed settings on their whole way into llm-worker: another model, a wrong one, a sealed key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from llm_worker.backends import make_engine
from llm_worker.errors import ModelLoadError
from llm_worker.service import LlmWorker
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage, LlmReply, LlmRequest
from parlour_contracts.topics import HEALTH, LLM_REPLY, LLM_REQUEST
from parlour_kit.ids import new_id
from parlour_testkit import ConfigAuthority, MemoryBroker, Observer, memory_service, real_work
from parlour_testkit.fakes_llm import FakeLlm, LlmScript

NAME = "llm-worker"
KEY = "sk-canary-0123456789"


@pytest.fixture
async def authority(broker: MemoryBroker) -> ConfigAuthority:
    return await ConfigAuthority(broker.client("config-manager")).watch()


@pytest.fixture
async def router(broker: MemoryBroker) -> Observer:
    return await Observer(broker.client("router"), "router").watch(LLM_REPLY, HEALTH)


def engine_of(config: LLMWorkerConfig, data_dir: Path) -> Any:
    """Answers with the name of its model; ``broken`` cannot be loaded; a server is a real one."""
    if config.backend == "openai":
        return make_engine(config, data_dir)
    error = ModelLoadError("it is broken") if config.model == "broken" else None
    return FakeLlm([LlmScript((config.model,), prefill_s=1.0)], load_error=error)


async def ask(router: Observer) -> LlmReply:
    asked = LlmRequest(
        request_id=new_id(), turn_id=new_id(), session_id=new_id(),
        messages=[ChatMessage(role="user", content="Hello?")], reply_topic="llm/reply/router",
    )  # fmt: skip
    await router.messenger.send(LLM_REQUEST, asked)
    return await router.until(
        LLM_REPLY, lambda r: r.request_id == asked.request_id and r.kind in ("done", "failed")
    )


@pytest.mark.req("C031", "C085")
async def test_a_signed_change_of_model_is_applied_and_a_wrong_one_refused(
    broker: MemoryBroker, authority: ConfigAuthority, router: Observer, tmp_path: Path
) -> None:
    good = await authority.publish(NAME, LLMWorkerConfig(model="small"))
    feed = authority.feed(tmp_path)
    async with memory_service(LlmWorker, broker, feed=feed, engine_factory=engine_of):
        await authority.applied(good)
        assert (await ask(router)).text == "small"
        await authority.publish(NAME, LLMWorkerConfig(model="broken"))
        refused = await authority.until(lambda r: r.status == "rejected")
        assert refused.error == "HOOK_FAILED"
        assert (await ask(router)).text == "small"
        await authority.change(NAME, LLMWorkerConfig(model="large"))
        assert (await ask(router)).text == "large"


async def test_a_worker_whose_model_cannot_be_loaded_is_healed_by_a_signed_change(
    broker: MemoryBroker, authority: ConfigAuthority, router: Observer, tmp_path: Path
) -> None:
    await authority.publish(NAME, LLMWorkerConfig(model="broken"))
    feed = authority.feed(tmp_path)
    async with memory_service(LlmWorker, broker, feed=feed, engine_factory=engine_of):
        ill = await router.until(HEALTH, lambda h: h.instance == NAME and h.err is not None)
        assert ill.err is not None
        assert ill.err.code == "LLM_MODEL_LOAD"
        await authority.change(NAME, LLMWorkerConfig(model="small"))
        await router.until(HEALTH, lambda h: h.instance == NAME and h.ok and h.seq > ill.seq)
        assert (await ask(router)).text == "small"


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[str]]]:
    """An OpenAI-compatible server: its address, and the heads of the requests for answers."""
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        if head.startswith("POST"):
            heads.append(head)
            choice = {"delta": {"content": "Hello."}, "finish_reason": "stop"}
            data = json.dumps({"choices": [choice]}).encode()
            writer.write(b"data: " + data + b"\n\ndata: [DONE]\n\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", heads
    listening.close()
    await listening.wait_closed()


@pytest.mark.req("C031")
async def test_a_sealed_key_reaches_the_server_and_nobody_else(
    broker: MemoryBroker, authority: ConfigAuthority, router: Observer,
    server: tuple[str, list[str]], tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    url, heads = server
    settings = LLMWorkerConfig(backend="openai", base_url=url, model="m").model_dump()
    sealed = authority.seal(NAME, "api_key", KEY)
    feed = authority.feed(tmp_path)
    async with memory_service(LlmWorker, broker, feed=feed, engine_factory=engine_of):
        with real_work():  # sockets: the clock stands still meanwhile
            await authority.change(NAME, {**settings, "api_key": sealed})
            assert (await ask(router)).text == "Hello."
    assert f"authorization: bearer {KEY}" in heads[0].lower()
    assert not [m.topic for m in broker.log if KEY.encode() in m.payload]
    assert not files_with(tmp_path, KEY)
    assert caplog.text, "there are lines"
    assert KEY not in caplog.text


def files_with(folder: Path, text: str) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if text.encode() in file.read_bytes()]
