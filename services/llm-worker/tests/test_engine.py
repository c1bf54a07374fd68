"""Engines are chosen without being imported, and a cancel reaches them from any thread."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_worker.backends import make_engine
from llm_worker.cores import count_cores, physical_cores
from llm_worker.engine import CancelToken
from llm_worker.engine_thread import EngineThread
from llm_worker.errors import EngineMissingError
from llm_worker.outbox import Outbox
from parlour_contracts.config import LLMWorkerConfig


def test_an_absent_library_is_an_error_that_says_what_to_do(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("llm_worker.backends.find_spec", lambda name: None)

    with pytest.raises(EngineMissingError) as caught:
        make_engine(LLMWorkerConfig(), tmp_path)

    assert "llama_cpp" in str(caught.value)
    assert "make setup" in caught.value.wire().hint


def test_a_server_needs_no_local_library(monkeypatch, tmp_path: Path):
    def only_httpx(name: str) -> object:
        return None if name == "llama_cpp" else importlib.util.find_spec(name)

    monkeypatch.setattr("llm_worker.backends.find_spec", only_httpx)
    config = LLMWorkerConfig(backend="openai", base_url="http://127.0.0.1:1/v1", model="m")

    assert make_engine(config, tmp_path).capabilities.engine == "openai"


def test_the_first_reason_of_a_cancel_stands_and_watchers_hear_it_once():
    token, heard = CancelToken(), []
    with token.watched(lambda: heard.append(token.reason)):
        token.cancel("first")
        token.cancel("second")

    assert heard == ["first"]


def test_a_watcher_that_comes_late_is_called_at_once_and_one_that_left_never():
    token, heard = CancelToken(), []
    with token.watched(lambda: heard.append("early")):
        pass
    token.cancel("now")
    with token.watched(lambda: heard.append("late")):
        pass

    assert heard == ["late"]


async def test_text_from_the_thread_arrives_in_order_and_before_the_result():
    thread, got = EngineThread("test"), []
    emit = thread.to_loop(got.append)

    def work() -> str:
        for i in range(100):
            emit(str(i))
        return threading.current_thread().name

    name = await thread.run(work)
    thread.close()

    assert got == [str(i) for i in range(100)]
    assert name.startswith("test")


async def test_work_is_always_done_in_the_same_thread():
    thread = EngineThread("test")

    idents = {await thread.run(threading.get_ident) for _ in range(5)}
    thread.close()

    assert len(idents) == 1
    assert threading.get_ident() not in idents


async def test_a_cancelled_wait_cancels_the_work_and_waits_for_the_thread():
    """Whoever comes next finds the thread free."""
    thread, token = EngineThread("test"), CancelToken()
    begun, freed = threading.Event(), threading.Event()

    def work() -> None:
        with token.watched(freed.set):
            begun.set()
            freed.wait(10)

    waiting = asyncio.create_task(thread.run(work, token))
    await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    thread.close()

    assert token.cancelled
    assert freed.is_set()


def test_threads_are_counted_by_core_and_there_is_always_one():
    assert count_cores(["0,4", "1,5", "0,4", "1,5"]) == 2
    assert count_cores([]) == 1
    assert physical_cores() >= 1


async def test_the_first_piece_comes_out_at_once_and_what_gathers_comes_out_as_one():
    outbox, out = Outbox(), []

    async def consume() -> None:
        async for text in outbox:
            out.append(text)
            await asyncio.sleep(1)

    consumer = asyncio.create_task(consume())
    outbox.put("a")
    await asyncio.sleep(0.1)
    assert out == ["a"]
    for piece in "bcd":
        outbox.put(piece)
    outbox.close()
    outbox.put("too late")
    await consumer

    assert out == ["a", "bcd"]
    assert outbox.text == "abcd"


async def test_an_outbox_that_is_closed_empty_gives_nothing():
    outbox = Outbox()
    outbox.close()

    assert [text async for text in outbox] == []


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 3))), st.integers(0, 5))
def test_nothing_is_lost_or_doubled_whatever_the_timing(steps, slowness):
    async def story() -> tuple[str, str]:
        outbox, out = Outbox(), []

        async def produce() -> None:
            for text, pause in steps:
                outbox.put(text)
                for _ in range(pause):
                    await asyncio.sleep(0)
            outbox.close()

        producer = asyncio.create_task(produce())
        async for text in outbox:
            out.append(text)
            for _ in range(slowness):
                await asyncio.sleep(0)
        await producer
        return "".join(out), outbox.text

    out, whole = asyncio.run(story())

    assert out == whole == "".join(text for text, _ in steps)


def test_the_service_runs_without_the_native_library():
    """Heavy libraries are imported by engines alone."""
    code = "import llm_worker.service, sys; sys.exit('llama_cpp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
