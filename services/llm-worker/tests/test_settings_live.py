"""Every setting changes what llm-worker does while it runs, and no request is lost meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from llm_worker.backends import make_engine
from llm_worker.engine import Engine
from llm_worker.errors import EngineFailedError, ModelLoadError, ServerUnreachableError
from llm_worker.service import LlmWorker
from parlour_contracts.config import LLMWorkerConfig, RouterConfig
from parlour_contracts.messages.llm import ChatMessage, LlmReply, LlmRequest
from parlour_contracts.topics import HEALTH, LLM_REPLY, LLM_REQUEST
from parlour_kit.ids import new_id
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service
from parlour_testkit.virtual_time import real_work
from pydantic import ValidationError

SLOW = LlmScript(("one ", "two ", "three"), prefill_s=1.0, piece_s=1.0)


@dataclass
class Workshop:
    """Makes a fake engine for each settings, which answers with the name of its model.

    Attributes:
        made: settings and engine, in order.
        broken: settings with this model cannot be loaded.
        slow: settings with this model take ten seconds to load.
    """

    made: list[tuple[LLMWorkerConfig, FakeLlm]] = field(default_factory=list)
    broken: str = "broken"
    slow: str = "slow"
    check_error: Exception | None = None

    def __call__(self, config: LLMWorkerConfig, data_dir: Path) -> Any:
        del data_dir
        engine = FakeLlm([LlmScript((config.model, " says ", "yes"), prefill_s=1.0, piece_s=1.0)])
        engine.check_error = self.check_error
        if config.model == self.broken:
            engine.load_error = ModelLoadError("it is broken", hint="parlour models verify")
        if config.model == self.slow:
            engine.load = self._late  # type: ignore[method-assign]
        self.made.append((config, engine))
        return engine

    async def _late(self) -> None:
        await asyncio.sleep(10)

    @property
    def now(self) -> tuple[LLMWorkerConfig, FakeLlm]:
        return self.made[-1]


def request(text: str = "Is it sunny?", system: str | None = None) -> LlmRequest:
    messages = [ChatMessage(role="user", content=text)]
    if system is not None:
        messages.insert(0, ChatMessage(role="system", content=system))
    return LlmRequest(
        request_id=new_id(), turn_id=new_id(), session_id=new_id(),
        messages=messages, reply_topic="llm/reply/router",
    )  # fmt: skip


class Router:
    """Asks and waits for the last word."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.observer = Observer(broker.client("router"), "router")

    async def ask(self, asked: LlmRequest | None = None) -> LlmRequest:
        asked = asked or request()
        await self.observer.messenger.send(LLM_REQUEST, asked)
        return asked

    async def last(self, asked: LlmRequest) -> LlmReply:
        return await self.observer.until(
            LLM_REPLY,
            lambda r: r.request_id == asked.request_id and r.kind in ("done", "failed"),
            within=300,
        )

    async def answer(self, asked: LlmRequest | None = None) -> LlmReply:
        return await self.last(await self.ask(asked))


@pytest.fixture
async def router(broker: MemoryBroker) -> Router:
    made = Router(broker)
    await made.observer.watch(LLM_REPLY, HEALTH)
    return made


def changed(config: LLMWorkerConfig, **fields: object) -> LLMWorkerConfig:
    return LLMWorkerConfig.model_validate({**config.model_dump(), **fields}, strict=True)


async def change(service: LlmWorker, **fields: object) -> None:
    """Both phases of a change, as the process does them."""
    switch = await service.stage(changed(service.config, **fields))
    assert await switch.commit() == "applied"


@asynccontextmanager
async def worker(
    broker: MemoryBroker, factory: Callable[[LLMWorkerConfig, Path], Engine], **config: object
) -> AsyncIterator[LlmWorker]:
    settings = changed(LLMWorkerConfig(), **config)
    async with memory_service(
        LlmWorker, broker, config=settings, engine_factory=factory
    ) as service:
        assert isinstance(service, LlmWorker)
        yield service


# One by one

LIVE = {"max_tokens": 7, "temperature": 0.0, "top_p": 0.5}


@pytest.mark.req("C031")
@pytest.mark.parametrize("name", LIVE)
async def test_setting_max_tokens_temperature_or_top_p_counts_for_the_next_answer(
    broker: MemoryBroker, router: Router, name: str
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        await router.answer()
        await change(service, **{name: LIVE[name]})
        await router.answer()
    assert len(workshop.made) == 1
    before, after = workshop.made[0][1].prompts
    assert getattr(before, name) == getattr(LLMWorkerConfig(), name)
    assert getattr(after, name) == LIVE[name]


@pytest.mark.req("C031")
async def test_setting_timeout_s_ends_a_slow_answer_sooner(
    broker: MemoryBroker, router: Router
) -> None:
    engine = FakeLlm([LlmScript(prefill_s=20.0)])
    async with worker(broker, engine) as service:
        assert (await router.answer()).kind == "done"
        await change(service, timeout_s=5.0)
        failed = await router.answer()
    assert failed.kind == "failed"
    assert failed.error is not None
    assert failed.error.code == "LLM_TIMEOUT"
    assert failed.timings.total_ms == pytest.approx(5000, abs=50)


@pytest.mark.req("C031")
async def test_setting_model_changes_who_answers(broker: MemoryBroker, router: Router) -> None:
    workshop = Workshop()
    async with worker(broker, workshop, model="small") as service:
        assert (await router.answer()).text == "small says yes"
        await change(service, model="large")
        assert (await router.answer()).text == "large says yes"
        assert workshop.made[0][1].closed
        assert service.components() == {"llm": True}
    assert workshop.made[1][1].closed


@pytest.mark.req("C031")
@pytest.mark.parametrize(
    ("name", "value"), [("context_window", 512), ("threads", 2), ("batch", 64)]
)
async def test_setting_context_window_threads_or_batch_makes_another_engine_answer(
    broker: MemoryBroker, router: Router, name: str, value: int
) -> None:
    """What they do to llama.cpp itself is shown with the real one."""
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        await router.answer()
        await change(service, **{name: value})
        await router.answer()
    old, new = workshop.made
    assert getattr(new[0], name) == value
    assert len(old[1].prompts) == len(new[1].prompts) == 1


@dataclass
class Server:
    """An OpenAI-compatible server that answers with its name."""

    name: str
    url: str = ""
    keys: list[str | None] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
        fields = {key.lower(): value for key, value in fields.items()}
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        if body:
            self.keys.append(fields.get("authorization"))
            self.models.append(json.loads(body)["model"])
            choice = {"delta": {"content": self.name}, "finish_reason": "stop"}
            data = json.dumps({"choices": [choice]}).encode()
            writer.write(b"data: " + data + b"\n\ndata: [DONE]\n\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def servers(*names: str) -> AsyncIterator[list[Server]]:
    found, listening = [], []
    for name in names:
        server = Server(name)
        listening.append(await asyncio.start_server(server.handle, "127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{listening[-1].sockets[0].getsockname()[1]}/v1"
        found.append(server)
    with real_work():
        yield found
    for one in listening:
        one.close()
        await one.wait_closed()


def fake_or_server(config: LLMWorkerConfig, data_dir: Path) -> Any:
    """A fake in place of the local model; the real engine for a server."""
    if config.backend == "openai":
        return make_engine(config, data_dir)
    return FakeLlm([LlmScript(("here",), prefill_s=0)])


@pytest.mark.req("C031")
async def test_setting_backend_and_base_url_moves_the_answers_to_a_server_and_back(
    broker: MemoryBroker, router: Router
) -> None:
    async with servers("one", "two") as (one, two), worker(broker, fake_or_server) as service:
        said = [(await router.answer()).text]
        await change(service, backend="openai", base_url=one.url, model="m1")
        said.append((await router.answer()).text)
        await change(service, base_url=two.url)
        said.append((await router.answer()).text)
        await change(service, backend="llama")
        said.append((await router.answer()).text)
    assert said == ["here", "one", "two", "here"]
    assert (one.models, two.models) == (["m1"], ["m1"])


@pytest.mark.req("C031")
async def test_setting_api_key_is_what_the_server_is_shown_next(
    broker: MemoryBroker, router: Router
) -> None:
    async with servers("one") as (one,):
        begin = {"backend": "openai", "base_url": one.url, "model": "m"}
        async with worker(broker, make_engine, **begin) as service:
            await router.answer()
            for key in ("sk-first-0123456789", "sk-second-0123456789", None):
                await change(service, api_key=key)
                await router.answer()
    assert one.keys == [None, "Bearer sk-first-0123456789", "Bearer sk-second-0123456789", None]


@pytest.mark.parametrize(
    "key", ["tiny", "with a blank in it", "tab\there-0123456", "ключ-0123456789"]
)
def test_what_is_no_key_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        changed(LLMWorkerConfig(), api_key=key)
    assert key not in str(caught.value)


# Changes under load


async def test_an_answer_that_runs_is_finished_by_the_engine_that_began_it(
    broker: MemoryBroker, router: Router
) -> None:
    """What waits is answered by the new one; nothing is lost and nothing runs twice."""
    workshop = Workshop()
    async with worker(broker, workshop, model="small") as service:
        first, second = await router.ask(), await router.ask()
        await asyncio.sleep(1.5)
        await change(service, model="large")
        old = workshop.made[0][1]
        assert not old.closed
        assert [(await router.last(a)).text for a in (first, second)] == [
            "small says yes", "large says yes"
        ]  # fmt: skip
        assert old.closed
        replies = [r for r in router.observer.of(LLM_REPLY) if r.request_id == first.request_id]
        assert "".join(r.delta for r in replies if r.kind == "delta") == "small says yes"


async def test_answers_go_on_while_another_engine_is_loaded(
    broker: MemoryBroker, router: Router
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop, model="small") as service:
        changing = asyncio.ensure_future(change(service, model="slow"))
        said = [(await router.answer()).text for _ in range(5)]
        await changing
        assert said[:3] == ["small says yes"] * 3
        assert (await router.answer()).text == "slow says yes"


@pytest.mark.parametrize("error", ["load", "check"])
async def test_an_engine_that_does_not_work_changes_nothing(
    broker: MemoryBroker, router: Router, error: str
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop, model="small") as service:
        running = await router.ask()
        await asyncio.sleep(0.5)
        if error == "check":
            workshop.check_error = ServerUnreachableError("nobody there")
        model = "broken" if error == "load" else "large"
        with pytest.raises((ModelLoadError, ServerUnreachableError)):
            await service.stage(changed(service.config, model=model, max_tokens=9))
        assert workshop.now[1].closed
        assert service.config.model == "small"
        assert service.components() == {"llm": True}
        assert (await router.last(running)).text == "small says yes"
        assert (await router.answer()).text == "small says yes"
        assert workshop.made[0][1].prompts[-1].max_tokens == LLMWorkerConfig().max_tokens


async def test_a_change_that_is_not_wanted_any_more_frees_what_was_loaded(
    broker: MemoryBroker, router: Router
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop, model="small") as service:
        switch = await service.stage(changed(service.config, model="large"))
        await switch.discard()
        assert workshop.now[1].closed
        assert (await router.answer()).text == "small says yes"


async def test_whoever_breaks_off_a_change_does_not_wait_for_the_model(
    broker: MemoryBroker, router: Router
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop, model="small") as service:
        changing = asyncio.ensure_future(service.stage(changed(service.config, model="slow")))
        await asyncio.sleep(1)
        changing.cancel()
        async with asyncio.timeout(0.1):
            await asyncio.gather(changing, return_exceptions=True)
        assert (await router.answer()).text == "small says yes"
        await asyncio.sleep(10)
        assert workshop.now[1].closed


async def test_a_worker_that_came_up_without_a_model_takes_a_good_one(
    broker: MemoryBroker, router: Router
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop, model="broken") as service:
        refused = await router.answer()
        assert refused.error is not None
        assert refused.error.code == "LLM_MODEL_LOAD"
        with pytest.raises(ModelLoadError):  # another setting does not heal it
            await service.stage(changed(service.config, max_tokens=9))
        await change(service, model="small")
        assert service.components() == {"llm": True}
        assert (await router.answer()).text == "small says yes"


async def test_a_failure_of_the_old_engine_is_not_held_against_the_new_one(
    broker: MemoryBroker, router: Router
) -> None:
    scripts = [LlmScript(prefill_s=5.0, error=EngineFailedError("it broke"))]
    engines = [FakeLlm(scripts), FakeLlm()]
    async with worker(broker, lambda _config, _dir: engines.pop(0)) as service:  # type: ignore[arg-type, return-value]
        running = await router.ask()
        await asyncio.sleep(1)
        await change(service, model="large")
        assert (await router.last(running)).kind == "failed"
        await asyncio.sleep(1)
        assert service.components() == {"llm": True}


async def test_a_new_engine_is_warmed_with_the_prompt_that_is_in_use(
    broker: MemoryBroker, router: Router
) -> None:
    workshop = Workshop()
    async with worker(broker, workshop) as service:
        await router.answer(request(system="You are a butler."))
        await change(service, model="large")
    old, new = (engine.primed for _, engine in workshop.made)
    assert [m.content for (m,) in old] == [RouterConfig().system_prompt]
    assert [m.content for (m,) in new] == ["You are a butler."]


@pytest.mark.req("F7")
def test_every_setting_has_a_test_here() -> None:
    names = [name for name in globals() if name.startswith("test_setting_")]
    untold = [k for k in LLMWorkerConfig.model_fields if not any(k in name for name in names)]
    assert untold == []
