"""F13: a canary goes into the house over REST, and only the engine and a reveal show it again.

A real config-manager and a real llm-worker, on the real keys that the first start made. What fails
on the way is part of the story: errors are where secrets get out.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from llm_worker.service import LlmWorker
from parlour_config.keyfolder import service_path
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.topics import CONFIG_APPLIED
from parlour_kit.bus import Message
from parlour_testkit import MemoryBroker, Observer, memory_service, real_work
from parlour_testkit.fakes_llm import FakeLlm
from secret_hunt import everything_logged, files_below, places_with, private_keys, seen_on
from story_manager import Person, manager, signed_worker

NAME = "llm-worker"
LLM = f"/v1/config/{NAME}"
SECRET = f"/v1/secrets/{NAME}/api_key"
CANARY = "sk-canary-that-sings-0123456789"
SECOND = "sk-canary-that-is-mute-987654321"
REFUSED = "sk canary with blanks in between"
MISSENT = "sk-canary-that-took-the-wrong-way"
WRONG_TOKEN = "prl_canary-token-of-nobody-0123456789"
KEY_FILE = re.compile(r"keys/(.*\.env|root\.key|retired-master\.keys)(, at the end)?$")
SERVER = "http://127.0.0.1:9/v1"
ALL = tuple(text.encode() for text in (CANARY, SECOND, REFUSED, MISSENT, WRONG_TOKEN))

WANTED_FILES = {
    f"config-manager/{name}"
    for name in ("config.db", "config.db-wal", "config-manager.lkg.json", "users.json",
                 "health+epoch.json", "backup/config.db")
} | {"keys/rotation.json", "worker/config/llm-worker.lkg.json", "worker/config/llm-worker.lkg.json.prev"}  # fmt: skip


@dataclass
class Mind:
    """What engines were made with; the last key may make them fail as a library would."""

    keys: list[str | None] = field(default_factory=list)
    fails_on: str | None = None

    def __call__(self, config: LLMWorkerConfig, _data_dir: Path) -> FakeLlm:
        self.keys.append(config.api_key)
        if config.api_key is not None and config.api_key == self.fails_on:
            raise RuntimeError("the server did not like it")
        return FakeLlm()


@dataclass
class Story:
    """A house, whoever asks in it, and what was answered."""

    broker: MemoryBroker
    folder: Path
    port: int
    reports: Observer
    admin: str
    mind: Mind
    answers: dict[str, bytes] = field(default_factory=dict)
    keys: set[bytes] = field(default_factory=set)
    tokens: list[bytes] = field(default_factory=list)

    async def ask(
        self, method: str, path: str, body: Any = None, *, status: int = 200, token: str = "",
        shows: bool = False,
    ) -> Any:  # fmt: skip
        """An answer of REST; it is searched later, unless it is the one that shows a secret."""
        with real_work():  # a socket: the clock stands still meanwhile
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.request(
                    method,
                    f"http://127.0.0.1:{self.port}{path}",
                    content=None if body is None else json.dumps(body).encode(),
                    headers={"Authorization": f"Bearer {token or self.admin}"},
                )
        assert answer.status_code == status, answer.text
        if not shows:
            head = repr(answer.headers.raw).encode()
            self.answers[f"answer {len(self.answers)} of {method} {path}"] = head + answer.content
        return answer.json()

    async def version(self) -> int:
        return int((await self.ask("GET", LLM))["metadata"]["version"])

    async def keep(self, value: str, **how: Any) -> Any:
        return await self.ask(
            "PUT", SECRET, {"value": value, "version": await self.version()}, **how
        )

    async def applied(self) -> None:
        """Wait until the worker runs what config-manager wants."""
        for _ in range(400):
            if (await self.ask("GET", LLM))["metadata"]["in_sync"]:
                return
            await asyncio.sleep(0.5)
        raise AssertionError("llm-worker does not follow")

    async def refused(self, code: str) -> None:
        await self.reports.until(CONFIG_APPLIED, lambda r: r.instance == NAME and r.error == code)

    def note_keys(self) -> None:
        """Remember the private keys that there are now."""
        self.keys |= private_keys(self.folder / "keys")


@asynccontextmanager
async def house(broker: MemoryBroker, folder: Path) -> AsyncIterator[Story]:
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(
            manager(broker, folder, rest_port=0, config_requests_per_s=10_000)
        )
        mind = Mind()
        reports = await Observer(broker.client("observer"), "observer").watch(CONFIG_APPLIED)
        await stack.enter_async_context(
            memory_service(LlmWorker, broker, feed=signed_worker(folder, NAME), engine_factory=mind)
        )
        token = keeper.manager.users.issue_token("admin")
        assert keeper.rest_port
        yield Story(broker, folder, keeper.rest_port, reports, token, mind)


@pytest.mark.req("F13", "C068", "F12")
async def test_a_secret_shows_nowhere_but_where_it_is_asked_for(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    with everything_logged() as lines:
        async with house(broker, tmp_path) as story:
            await it_is_set_and_refused(story)
            await it_cannot_be_opened(story)
            await it_is_rolled_back_and_revealed(story)
            await it_is_sealed_under_other_keys(story)
            await asyncio.sleep(90)  # for the daily copy
            running = files_below(tmp_path)
            keys = story.keys | private_keys(tmp_path / "keys")
    later = {
        name: text for name, text in files_below(tmp_path).items() if running.get(name) != text
    }
    files = running | {f"{name}, at the end": text for name, text in later.items()}
    messages = seen_on(m for m in broker.log if not is_missent(m))
    logged = {f"line {number}": line.encode() for number, line in enumerate(lines)}
    no_key_files = {name: text for name, text in files.items() if not KEY_FILE.match(name)}

    assert CANARY in story.mind.keys
    assert SECOND in story.mind.keys
    assert {name.removesuffix(", at the end") for name in files} >= WANTED_FILES, sorted(files)
    for places in (files, messages, story.answers, logged):
        assert places
        assert places_with([*ALL, *story.tokens], places) == []
    for places in (no_key_files, messages, story.answers, logged):
        assert places_with(keys, places) == []
    assert places_with(keys, files), "the hunter finds what is there"
    assert len(keys) >= 8


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
def test_the_hunter_finds_a_secret_within_something_that_was_encoded(before: bytes) -> None:
    whole = before + CANARY.encode() + b"\x00 and more"
    places = {
        "plain": whole,
        "base64": base64.b64encode(whole),
        "for URLs": base64.urlsafe_b64encode(whole),
        "hexadecimal": whole.hex().encode(),
        "another": base64.b64encode(SECOND.encode()),
    }
    assert places_with([CANARY.encode()], places) == list(places)[:-1]


async def it_is_set_and_refused(story: Story) -> None:
    """Set, set wrongly in each way, and looked at through everything that shows settings."""
    await story.ask("PATCH", LLM, {"config": {"backend": "openai", "base_url": SERVER}})
    await story.keep(CANARY)
    await story.applied()
    assert story.mind.keys[-1] == CANARY

    await story.keep(REFUSED, status=422)
    await story.ask("PUT", SECRET, {"value": SECOND, "version": 1}, status=409)
    await story.ask("PATCH", LLM, {"config": {"api_key": SECOND}}, status=422)
    await story.ask("PATCH", LLM, {"config": {"api_key": {SECOND: 1}}}, status=422)
    await story.ask("GET", LLM, token=WRONG_TOKEN, status=401)
    await story.ask("GET", f"{LLM}?token={WRONG_TOKEN}", token="x", status=401)
    person = await Person(story.broker).listen()
    answer = await person.ask("patch", NAME, {"config": {"api_key": MISSENT}})
    assert answer["status"] == "rejected", answer

    await somebody_comes_and_goes(story)
    await story.ask("PUT", "/v1/profiles/now", {"description": "as it is"})
    await story.ask("POST", "/v1/profiles/now/activate", {"reason": "to see"})
    for path in (LLM, f"{LLM}/history", f"{LLM}/fields", "/v1/config", "/v1/profiles/now",
                 "/v1/health", "/v1/state", "/v1/keys", "/v1/users", "/v1/audit/verify"):  # fmt: skip
        await story.ask("GET", path)
    await story.ask("POST", "/v1/search", {"query": "api_key"})


async def somebody_comes_and_goes(story: Story) -> None:
    """A person with a token of their own, which is used, refused and ended."""
    await story.ask("PUT", "/v1/users/alice", {"role": "read"})
    alice = (await story.ask("POST", "/v1/users/alice/token", shows=True))["token"]
    story.tokens.append(alice.encode())
    await story.ask("GET", LLM, token=alice)
    await story.ask("PATCH", LLM, {"config": {"top_p": 0.5}}, token=alice, status=403)
    await story.ask("POST", f"{SECRET}/reveal", {"reason": "?"}, token=alice, status=403)
    await story.ask("DELETE", "/v1/users/alice/token")
    await story.ask("GET", LLM, token=alice, status=401)


async def it_cannot_be_opened(story: Story) -> None:
    """The worker has lost the key, then an engine does not like the secret."""
    story.note_keys()
    path = service_path(story.folder / "keys", NAME)
    right = path.read_text(encoding="utf-8")
    path.write_text(with_another_key(right), encoding="utf-8")
    await story.keep(SECOND)
    await story.refused("SECRET_UNREADABLE")
    path.write_text(right, encoding="utf-8")
    story.mind.fails_on = SECOND
    await story.ask("POST", f"{LLM}/resend")
    await story.refused("HOOK_FAILED")
    story.mind.fails_on = None
    await story.ask("POST", f"{LLM}/resend")
    await story.applied()
    assert story.mind.keys[-1] == SECOND


async def it_is_rolled_back_and_revealed(story: Story) -> None:
    rows = await story.ask("GET", f"{LLM}/history?key=api_key")
    now = await story.version()
    await story.ask("POST", f"{LLM}/rollback", {"to_version": now - 1, "version": now})
    await story.applied()
    assert story.mind.keys[-1] == CANARY
    assert rows
    seen = await story.ask("POST", f"{SECRET}/reveal", {"reason": "to move"}, shows=True)
    assert seen == {"value": CANARY}


async def it_is_sealed_under_other_keys(story: Story) -> None:
    for name in ("master", "hmac", "signing"):
        await story.ask("POST", f"/v1/keys/{name}/rotate", {"reason": "it is time"}, status=202)
        await asyncio.sleep(70)
        story.note_keys()
    report = await story.ask("GET", "/v1/keys")
    assert {key["name"]: key["state"] for key in report["keys"]}["master"] == "grace"
    await story.applied()
    seen = await story.ask("POST", f"{SECRET}/reveal", {"reason": "still there?"}, shows=True)
    assert seen == {"value": CANARY}


def is_missent(message: Message) -> bool:
    """Whether it is the one that somebody sent with a secret in it."""
    return message.topic == f"system/config-request/admin/patch/{NAME}"


def with_another_key(text: str) -> str:
    """A key file whose secrets' key is somebody else's; its id stays."""
    return re.sub(
        r"(?m)^(CONFIG_SERVICE_KEY=[^:]+:).*$",
        lambda m: m[1] + base64.b64encode(bytes(32)).decode(),
        text,
    )
