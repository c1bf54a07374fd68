"""The HTTP engine against a real OpenAI-compatible server with the real model."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from llm_worker.engine import CancelToken, Prompt
from llm_worker.engines.openai_http import OpenAiHttpEngine
from llm_worker.errors import ServerError
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage

pytestmark = pytest.mark.model

KEY = "sk-local-0123456789"
NEEDED = ("llama_cpp", "fastapi", "uvicorn", "sse_starlette", "starlette_context")


@pytest.fixture
async def url(models_dir: Path) -> AsyncIterator[str]:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"llama_cpp.server needs {', '.join(missing)}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = models_dir / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    arguments = {
        "model": str(model), "model_alias": "smollm2", "host": "127.0.0.1", "port": str(port),
        "n_ctx": "1024", "api_key": KEY, "verbose": "false", "n_gpu_layers": "0",
    }  # fmt: skip
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "llama_cpp.server",
        *(part for name, value in arguments.items() for part in (f"--{name}", value)),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert server.returncode is None, "the server ended at once"
                    await asyncio.sleep(0.2)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        await server.wait()


async def engine_for(url: str, key: str = KEY) -> OpenAiHttpEngine:
    config = LLMWorkerConfig(
        backend="openai", base_url=url, model="smollm2", api_key=key, timeout_s=60.0
    )
    engine = OpenAiHttpEngine(config)
    await engine.load()
    return engine


def prompt(max_tokens: int) -> Prompt:
    talk = (ChatMessage(role="user", content="Tell me a long story about a dog."),)
    return Prompt(talk, max_tokens, 0.0, 1.0)


async def test_a_real_server_answers_stops_at_a_cancel_and_refuses_a_wrong_key(url: str):
    engine = await engine_for(url)
    await engine.check()
    said: list[str] = []
    result = await engine.generate(prompt(12), said.append, CancelToken())
    assert result.finish_reason == "length"
    assert len(said) > 3
    assert "".join(said).strip()
    assert result.tokens.completion > 3

    token = CancelToken()
    begun: list[str] = []

    def cancel_soon(text: str) -> None:
        begun.append(text)
        if len(begun) == 3:
            token.cancel("test")

    cancelled = await engine.generate(prompt(500), cancel_soon, token)
    assert cancelled.finish_reason == "cancelled"
    assert len(begun) == 3
    again: list[str] = []
    result = await engine.generate(prompt(4), again.append, CancelToken())
    assert result.finish_reason == "length"
    assert "".join(said).startswith("".join(again))
    await engine.close()

    stranger = await engine_for(url, key="sk-wrong-0123456789")
    with pytest.raises(ServerError) as caught:
        await stranger.generate(prompt(4), said.append, CancelToken())
    assert caught.value.code == "LLM_SERVER_REFUSED"
    await stranger.close()
