"""The HTTP engine against a server on a local socket that behaves in every bad way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from llm_worker.engine import CancelToken, Generation, Prompt
from llm_worker.engines.openai_http import OpenAiHttpEngine
from llm_worker.errors import ServerError
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage
from parlour_testkit.virtual_time import VirtualTimeLoop, real_work

KEY = "sk-canary-0123456789"
PROMPT = Prompt((ChatMessage(role="user", content="canary-question"),), 20, 0.0, 1.0)


@pytest.fixture(autouse=True)
async def clock_stands_still() -> AsyncIterator[None]:
    """Sockets take real time: no time-out may fire meanwhile, unless a test lets it."""
    with real_work():
        yield


def event(text: str | None = None, reason: str | None = None) -> bytes:
    choice = {
        "index": 0,
        "delta": {} if text is None else {"content": text},
        "finish_reason": reason,
    }
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
)  # fmt: skip
GOOD = OK + event("Go") + event("od.") + event(None, "stop") + b"data: [DONE]\n\n"


def status(code: int) -> bytes:
    body = b'{"error": "canary-question was asked with sk-canary-0123456789"}'
    return b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body), body)


Behaviour = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Plays its behaviours in order, one per request; the last one repeats."""

    behaviours: list[Behaviour] = field(default_factory=lambda: [GOOD])
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
            body = await reader.readexactly(int(lines.get("content-length", 0)))
            behaviour = self.behaviours[min(len(self.requests), len(self.behaviours) - 1)]
            self.requests.append((head, body))
            if isinstance(behaviour, bytes):
                writer.write(behaviour)
                await writer.drain()
            else:
                await behaviour(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    played = Server()
    listening = await asyncio.start_server(played.handle, "127.0.0.1", 0)
    played.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    yield played
    listening.close()
    await listening.wait_closed()


class Waits:
    """A clock on which waiting takes no time and is written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Asking:
    """An engine, its clock and what it said."""

    def __init__(self, url: str, **fields) -> None:
        self.clock = Waits()
        config = LLMWorkerConfig(backend="openai", base_url=url, model="m", **fields)
        self.engine = OpenAiHttpEngine(config, self.clock)
        self.said: list[str] = []

    async def ask(self, prompt: Prompt = PROMPT, cancel: CancelToken | None = None) -> Generation:
        await self.engine.load()
        try:
            return await self.engine.generate(prompt, self.said.append, cancel or CancelToken())
        finally:
            await self.engine.close()

    async def fail(self) -> ServerError:
        with pytest.raises(ServerError) as caught:
            await self.ask()
        for text in (str(caught.value), caught.value.hint, repr(caught.value)):
            assert "canary" not in text
        assert caught.value.__cause__ is None
        return caught.value


async def test_an_answer_is_streamed(server: Server):
    asking = Asking(server.url)

    result = await asking.ask()

    assert asking.said == ["Go", "od."]
    assert (result.finish_reason, result.tokens.completion) == ("stop", 2)
    head, body = server.requests[0]
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert "authorization" not in head.lower()
    assert json.loads(body)["messages"] == [{"role": "user", "content": "canary-question"}]
    assert json.loads(body)["stream"] is True


async def test_each_piece_comes_when_the_server_sends_it(server: Server):
    seen = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + event("Go"))
        await writer.drain()
        await seen.wait()  # goes on only when the first piece has come through
        writer.write(event("od.") + event(None, "stop"))
        await writer.drain()

    server.behaviours = [slow]
    asking = Asking(server.url)
    said: list[str] = []
    await asking.engine.load()

    def on_text(text: str) -> None:
        said.append(text)
        seen.set()

    result = await asking.engine.generate(PROMPT, on_text, CancelToken())
    await asking.engine.close()

    assert said == ["Go", "od."]
    assert result.finish_reason == "stop"


async def test_nothing_is_said_after_a_cancel_though_more_has_arrived(server: Server):
    server.behaviours = [OK + b"".join(event(f"{i} ") for i in range(100))]
    asking, token = Asking(server.url), CancelToken()
    await asking.engine.load()
    said: list[str] = []

    def on_text(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            token.cancel("test")

    result = await asking.engine.generate(PROMPT, on_text, token)
    await asking.engine.close()

    assert result.finish_reason == "cancelled"
    assert said == ["0 ", "1 ", "2 "]


async def test_the_key_goes_into_the_header_and_nowhere_else(server: Server):
    asking = Asking(server.url, api_key=KEY)

    await asking.ask()

    head, body = server.requests[0]
    assert f"authorization: bearer {KEY}" in head.lower()
    assert KEY.encode() not in body
    assert KEY not in repr(asking.engine._config)


@pytest.mark.req("V052")
@pytest.mark.parametrize(
    ("code", "delays"), [(429, [5, 10, 20]), (503, [1, 3, 5]), (500, [0, 0.5, 1])]
)
async def test_a_busy_server_is_asked_again_after_the_given_waits(server, code, delays):
    server.behaviours = [status(code)] * 3 + [GOOD]
    asking = Asking(server.url)

    result = await asking.ask()

    assert result.finish_reason == "stop"
    assert asking.clock.slept == delays
    assert asking.said == ["Go", "od."]


@pytest.mark.req("V052")
async def test_after_three_retries_the_failure_is_told(server: Server):
    server.behaviours = [status(503)]
    asking = Asking(server.url)

    error = await asking.fail()

    assert (error.code, error.retryable) == ("LLM_SERVER_UNAVAILABLE", True)
    assert len(server.requests) == 4


@pytest.mark.req("V052")
@pytest.mark.parametrize("code", [401, 403, 404, 400, 302])
async def test_a_refusal_is_final(server: Server, code: int):
    server.behaviours = [status(code)]

    error = await Asking(server.url).fail()

    assert (error.code, error.retryable) == ("LLM_SERVER_REFUSED", False)
    assert len(server.requests) == 1


async def test_no_server_is_unreachable_and_tried_again():
    asking = Asking("http://127.0.0.1:9/v1")

    error = await asking.fail()

    assert (error.code, error.retryable) == ("LLM_SERVER_UNREACHABLE", True)
    assert asking.clock.slept == [0, 0.5, 1]


async def test_a_failure_in_mid_answer_is_not_tried_again(server: Server):
    """What was said cannot be unsaid; a second attempt would say it again."""
    server.behaviours = [OK + event("Go") + b'data: {"error": {"message": "canary"}}\n\n']
    asking = Asking(server.url)

    error = await asking.fail()

    assert error.code == "LLM_SERVER_ERROR"
    assert asking.said == ["Go"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "stream",
    [
        b"data: canary no json\n\n",
        b"data: " + b"x" * 100_000,
        b"data: " + b"x" * 1_000 + b"\n" + b"data: y\n" * 50_000,
        event("Go"),
        b"",
        b"\x1f\x8b\x08\x00" + b"\x00" * 1000,
        b"data: " + b"[" * 50_000 + b"\n\n",
    ],
    ids=["no-json", "huge-line", "huge-event", "cut-off", "empty", "gzip", "deep"],
)
async def test_a_stream_of_garbage_is_an_error_with_a_code(server: Server, stream: bytes):
    server.behaviours = [OK + stream]

    assert (await Asking(server.url).fail()).code == "LLM_SERVER_PROTOCOL"


@pytest.mark.parametrize(
    "answer", [b"\x00\xff" * 500, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000]
)
async def test_what_is_not_http_is_an_error_with_a_code(server: Server, answer: bytes):
    server.behaviours = [answer]

    assert (await Asking(server.url).fail()).code.startswith("LLM_SERVER_")


async def test_a_silent_server_is_an_error_with_a_code(server: Server):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.outside_work -= 1  # time goes on
        assert await reader.read() == b""
        loop.outside_work += 1

    server.behaviours = [silent]
    asking = Asking(server.url, timeout_s=30.0)

    assert (await asking.fail()).code == "LLM_SERVER_SILENT"


@pytest.mark.parametrize("begin", [b"", OK, OK + event("Go")], ids=["before", "prefill", "middle"])
async def test_a_cancel_closes_the_connection_at_once(server: Server, begin: bytes):
    reached, closed = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await writer.drain()
        reached.set()
        assert await reader.read() == b""
        closed.set()

    server.behaviours = [slow]
    asking, token = Asking(server.url), CancelToken()
    await asking.engine.load()
    asked = asyncio.create_task(asking.engine.generate(PROMPT, asking.said.append, token))
    await reached.wait()
    token.cancel("test")
    result = await asked
    await asyncio.wait_for(closed.wait(), 5)
    await asking.engine.close()

    assert result.finish_reason == "cancelled"


async def test_a_cancel_ends_the_wait_before_a_retry(server: Server):
    server.behaviours = [status(429)]
    asking, token = Asking(server.url), CancelToken()
    forever = asyncio.Event()

    async def wait(seconds: float) -> None:
        token.cancel("test")
        await forever.wait()

    asking.clock.sleep = wait

    assert (await asking.ask(cancel=token)).finish_reason == "cancelled"
    assert len(server.requests) == 1


async def test_old_turns_are_dropped_by_an_estimate(server: Server):
    talk = tuple(ChatMessage(role="user", content=f"{i} " + "word " * 60) for i in range(20))
    asking = Asking(server.url, context_window=512)

    result = await asking.ask(Prompt(talk, 100, 0.0, 1.0))

    sent = json.loads(server.requests[0][1])["messages"]
    assert sent[-1]["content"] == talk[-1].content
    assert result.tokens.dropped_messages == 20 - len(sent) > 10


async def test_model_tokens_do_not_reach_the_server(server: Server):
    prompt = Prompt((ChatMessage(role="user", content="a<|im_end|>b"),), 10, 0.0, 1.0)

    await Asking(server.url).ask(prompt)

    assert json.loads(server.requests[0][1])["messages"][0]["content"] == "a b"


async def test_check_says_whether_the_server_is_there(server: Server):
    server.behaviours = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        status(401),
        status(404),
    ]
    engine = Asking(server.url).engine
    gone = Asking("http://127.0.0.1:9/v1").engine
    await engine.load()
    await gone.load()

    await engine.check()
    with pytest.raises(ServerError, match="401"):
        await engine.check()
    await engine.check()  # a server may have no list of models
    with pytest.raises(ServerError):
        await gone.check()
    await engine.close()
    await gone.close()
