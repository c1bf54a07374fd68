"""llm-worker with real engines: settings change while requests keep coming, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import llama_cpp as lib
import pytest
from llm_worker.errors import LlmError
from llm_worker.service import LlmWorker
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage, LlmParams, LlmReply, LlmRequest
from parlour_contracts.topics import LLM_REPLY, LLM_REQUEST
from parlour_kit.ids import new_id
from parlour_kit.models import ModelError, load_manifest
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.observer import Observer
from parlour_testkit.running import memory_service

STARTER = "smollm2-135m-instruct"
SECOND = "second"
BROKEN = "broken"
BUTLER = "You are the butler of a large house by the sea, and you answer in a few short words."

pytestmark = pytest.mark.model


@pytest.fixture
def house(data_dir: Path, tmp_path: Path) -> Path:
    """A data directory with the starter model under two names, and a third that is damaged."""
    file = load_manifest().models[STARTER].files[0]
    lines = []
    for name in (SECOND, BROKEN):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        if name == SECOND:
            (folder / file.path).symlink_to(data_dir / "models" / STARTER / file.path)
        else:
            (folder / file.path).write_bytes(b"GGUF")
        lines += [
            f"[models.{name}]", 'kind = "llm"', 'licence = "Apache-2.0"', 'description = "A copy"',
            f'files = [{{path = "{file.path}", size = {file.size}, sha256 = "{file.sha256}"}}]',
        ]  # fmt: skip
    (tmp_path / "models" / STARTER).symlink_to(data_dir / "models" / STARTER)
    (tmp_path / "models.toml").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
async def service(house: Path, broker: MemoryBroker) -> AsyncIterator[LlmWorker]:
    # However slow the machine is: what is lost is looked for here, not what is late.
    config = LLMWorkerConfig(model=STARTER, context_window=1024, batch=32, timeout_s=120.0)
    async with memory_service(LlmWorker, broker, config=config, data_dir=house) as running:
        assert isinstance(running, LlmWorker)
        yield running


class Router:
    """Asks and waits."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.observer = Observer(broker.client("router"), "router")
        self.asked = 0

    async def answer(self, max_tokens: int = 12) -> LlmReply:
        self.asked += 1
        asked = LlmRequest(
            request_id=new_id(), turn_id=new_id(), session_id=new_id(),
            messages=[
                ChatMessage(role="system", content=BUTLER),
                ChatMessage(role="user", content=f"Tell me about the number {self.asked}."),
            ],
            params=LlmParams(max_tokens=max_tokens, temperature=0.0),
            reply_topic="llm/reply/router",
        )  # fmt: skip
        await self.observer.messenger.send(LLM_REQUEST, asked)
        return await self.observer.until(
            LLM_REPLY,
            lambda r: r.request_id == asked.request_id and r.kind in ("done", "failed"),
            within=120,
        )


@pytest.fixture
async def router(broker: MemoryBroker) -> Router:
    made = Router(broker)
    await made.observer.watch(LLM_REPLY)
    return made


def changed(service: LlmWorker, **fields: object) -> LLMWorkerConfig:
    return LLMWorkerConfig.model_validate({**service.config.model_dump(), **fields}, strict=True)


async def change(service: LlmWorker, **fields: object) -> None:
    switch = await service.stage(changed(service, **fields))
    assert await switch.commit() == "applied"


@pytest.mark.req("C031")
async def test_the_model_changes_under_load_and_no_request_is_lost(
    service: LlmWorker, router: Router
) -> None:
    """Three rooms keep asking, each for its next answer, while the model changes four times."""
    going = True
    replies: list[LlmReply] = []

    async def room() -> None:
        while going:
            replies.append(await router.answer())

    rooms = [asyncio.ensure_future(room()) for _ in range(3)]
    engines = [service._engines.current]
    during = []
    for name in (SECOND, STARTER, SECOND, STARTER):
        before = len(replies)
        await change(service, model=name)
        during.append(len(replies) - before)
        engines.append(service._engines.current)
        await router.answer()
    going = False
    await asyncio.gather(*rooms)

    assert len({id(engine) for engine in engines}) == 5
    assert {r.kind for r in replies} == {"done"}
    assert all(r.text.strip() for r in replies)
    assert len(replies) >= 4
    assert sum(during) >= 1, "answers went on while a model was loaded"
    await asyncio.sleep(0.2)
    assert all(engine is not None and engine._native is None for engine in engines[:-1])


async def test_a_damaged_model_is_refused_and_the_old_one_goes_on(
    service: LlmWorker, router: Router
) -> None:
    before = service._engines.current
    for name, code in ((BROKEN, "MODEL_CORRUPT"), ("absent", "MODEL_UNKNOWN")):
        with pytest.raises((LlmError, ModelError)) as caught:
            await service.stage(changed(service, model=name))
        assert caught.value.code == code
    assert service._engines.current is before
    assert (await router.answer()).kind == "done"


async def test_window_threads_and_batch_are_those_of_the_new_engine(
    service: LlmWorker, router: Router
) -> None:
    await change(service, context_window=512, threads=1, batch=16)
    native = service._engines.current._native  # type: ignore[union-attr]
    assert lib.llama_n_ctx(native._context) == native.window == 512
    assert lib.llama_n_threads(native._context) == 1
    assert lib.llama_n_batch(native._context) == native._batch == 16
    assert (await router.answer()).kind == "done"


async def test_the_first_answer_after_a_change_finds_its_head_computed(
    service: LlmWorker, router: Router
) -> None:
    await router.answer()
    await change(service, model=SECOND)
    reply = await router.answer()
    assert reply.tokens.cached >= 0.6 * reply.tokens.prompt
