"""Issue 4's canaries: a sentence is spoken and secrets are set, everything fails on the way, and
neither is found where it does not belong.

A real config-manager and the four real workers on the keys that it made. The sentence may be on the
topics of speech, and in logs at DEBUG; a secret may be nowhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from parlour_audio.wav import write_wav
from parlour_cli.talk.client import Conversation, Outcome
from parlour_cli.talk.recording import load_recording
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import LlmReply
from parlour_contracts.topics import LLM_REPLY
from parlour_kit.bus import Bus, Message
from parlour_kit.messenger import Messenger
from parlour_testkit import MemoryBroker, Observer, real_work
from parlour_testkit.fakes_llm import FakeLlm, LlmScript
from parlour_testkit.fakes_stt import FakeRecogniser, LoudnessVad
from parlour_testkit.fakes_tts import FakeVoice
from secret_hunt import everything_logged, files_below, places_with, private_keys, seen_on
from story_fleet import Scripted, scripted_fleet, spoken
from story_manager import Person, manager, signed_worker

ASKED = "where did the violet ocelot hide the marmalade"
SAID = "The violet ocelot hid the marmalade below the stairs."
WORDS = tuple(text.encode() for text in ("ocelot", "marmalade"))
"""What gives the sentence away, also when a part of it is shown."""

API_KEY = "sk-canary-of-the-whole-fleet-0123456789"
TOKEN = "prl_canary-token-of-nobody-0123456789"
SECRETS = tuple(text.encode() for text in (API_KEY, TOKEN))

SPEECH_TOPICS = ("voice/", "llm/", "tts/", "stt/", "system/config-response/")
"""Where words may be: in conversation, and in the answer to whoever sent them as a setting."""

OF_ERRORS = ("error", "err", "reason", "hint", "message", "details", "problem", "code", "event")
SERVER = "http://127.0.0.1:9/v1"


@dataclass
class Mind(FakeLlm):
    """A model that once quotes, in its failure, all that it knows."""

    key: str | None = None
    keys: list[str | None] = field(default_factory=list)

    def __call__(self, config: LLMWorkerConfig, data_dir: Path) -> FakeLlm:
        self.keys.append(config.api_key)
        return super().__call__(config, data_dir)


def failing(where: str) -> RuntimeError:
    """What a careless library raises."""
    return RuntimeError(f"{where} failed on '{ASKED}' ({SAID}) with key {API_KEY}")


@dataclass
class House:
    """The whole fleet, and what its people were told."""

    fleet: Scripted
    broker: MemoryBroker
    port: int
    token: str
    wav: Path
    answers: dict[str, bytes] = field(default_factory=dict)

    async def rest(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with real_work():
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.request(
                    method, f"http://127.0.0.1:{self.port}{path}", json=body, headers=headers
                )
        self.answers[f"answer {len(self.answers)} of {path}"] = answer.content
        return answer

    async def ask(self) -> Outcome:
        assert self.fleet.messenger is not None
        recording = load_recording(self.wav, LoudnessVad())
        async with asyncio.timeout(120):
            return await Conversation(self.fleet.messenger, "kitchen").ask_aloud(recording)


@asynccontextmanager
async def house(broker: MemoryBroker, folder: Path, engines: Scripted) -> AsyncIterator[House]:
    async def connect(name: str) -> Bus:
        return broker.client(name)

    def feed(service: type[Any], messenger: Messenger) -> Any:
        return signed_worker(folder, service.name)(service, messenger)

    wav = folder / "question.wav"
    write_wav(wav, spoken(), 16_000)
    async with (
        manager(broker, folder, rest_port=0, config_requests_per_s=10_000) as keeper,
        scripted_fleet(connect, engines, feed) as fleet,
    ):
        token = keeper.manager.users.issue_token("admin")
        assert keeper.rest_port
        await asyncio.sleep(5)
        yield House(fleet, broker, keeper.rest_port, token, wav)


@pytest.mark.req("F13", "D010", "D024", "C068")
async def test_a_sentence_and_a_secret_stay_where_they_belong_although_everything_fails(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    engines = Scripted(
        ears=FakeRecogniser(script=[ASKED, ASKED, ASKED, failing("hearing"), ASKED]),
        mind=Mind(
            scripts=[
                LlmScript((SAID,)),
                LlmScript(("The ",), error=failing("thinking")),
                LlmScript(("The ",), error=failing("thinking")),
                LlmScript(("The ",), error=failing("thinking")),
                LlmScript((SAID,)),
                LlmScript((SAID,), prefill_s=5.0),
            ]
        ),
        voice=FakeVoice(),
    )
    with everything_logged() as lines:
        async with house(broker, tmp_path, engines) as here:
            await a_key_is_set(here)
            first = await here.ask()
            broken_mind = await here.ask()
            engines.voice.faults[SAID] = failing("speaking")
            broken_voice = await here.ask()
            broken_ears = await here.ask()
            await others_send_nonsense(here)
            await a_worker_is_killed(here)
            await asyncio.sleep(60)

    assert (first.transcript, first.reply) == (ASKED, SAID)
    assert engines.mind.keys[-1] == API_KEY
    assert [o.error is not None for o in (broken_mind, broken_ears)] == [True, True]
    assert broken_voice.transcript == ASKED
    assert SAID in engines.voice.stopped, "the voice failed in the middle of it"

    hunt(broker, lines, here, tmp_path)


def hunt(broker: MemoryBroker, lines: list[str], here: House, folder: Path) -> None:
    """Look everywhere."""
    logged = {f"line {n}: {line[:300]}": line.encode() for n, line in enumerate(lines)}
    loud = {n: text for n, text in logged.items() if json.loads(text)["level"] != "DEBUG"}
    heard = [m for m in broker.log if not was_sent_by_somebody(m)]
    quiet = [m for m in heard if not m.topic.startswith(SPEECH_TOPICS)]
    errors = {
        f"{n} on {m.topic}": text
        for n, m in enumerate(heard)
        for text in errors_in(m)
        if not m.topic.startswith("system/config-response/")
    }
    files = files_below(folder)
    keys = private_keys(folder / "keys")
    no_key_files = {n: text for n, text in files.items() if not n.startswith("keys/")}

    assert places_with(WORDS, seen_on(broker.log)), "the hunter finds what is there"
    assert len(loud) > 20
    assert len(errors) > 5
    for places in (loud, seen_on(quiet), errors, here.answers, no_key_files):
        assert places
        assert places_with(WORDS, places) == []
    for places in (logged, seen_on(heard), here.answers, files):
        assert places_with([*SECRETS, here.token.encode()], places) == []
    for places in (logged, seen_on(heard), here.answers, no_key_files):
        assert places_with(keys, places) == []
    for line in lines:
        assert not any(text in line for text in ("eyJ", "Bearer")), line


async def a_key_is_set(here: House) -> None:
    """A secret reaches the worker that needs it; a wrong token, and a secret in a wrong place."""
    body = {"config": {"backend": "openai", "base_url": SERVER}}
    assert (await here.rest("PATCH", "/v1/config/llm-worker", body)).status_code == 200
    now = (await here.rest("GET", "/v1/config/llm-worker")).json()["metadata"]["version"]
    sent = {"value": API_KEY, "version": now}
    assert (await here.rest("PUT", "/v1/secrets/llm-worker/api_key", sent)).status_code == 200
    assert (await here.rest("GET", "/v1/config", token=TOKEN)).status_code == 401
    wrong = {"config": {"api_key": API_KEY, "model": ASKED}}
    assert (await here.rest("PATCH", "/v1/config/llm-worker", wrong)).status_code == 422
    await asyncio.sleep(10)


BAD: dict[str, bytes] = {
    "llm/request": json.dumps(
        {"messages": [{"role": "user", "content": ASKED}], "x": API_KEY}
    ).encode(),
    "tts/request": f'{{"text": "{SAID}", "seq": -1'.encode(),
    "voice/kitchen/turn/open": f'{{"turn_id": "{ASKED}"}}'.encode(),
    "voice/kitchen/ask": f'{{"text": "{ASKED} {API_KEY}", "more": 1}}'.encode(),
    "llm/reply/router": f'["{SAID}"]'.encode(),
    "voice/kitchen/transcript": ASKED.encode() + b"\xff",
    "system/health/llm-worker": f'{{"status": "{ASKED} {API_KEY}"}}'.encode(),
    "voice/kitchen/say": b'{"text": "' + ASKED.encode() * 30_000 + b'"}',
}
"""By topic, what no sound program sends."""


def was_sent_by_somebody(message: Message) -> bool:
    """Whether it is one of those, or the request with a secret in it: they are not the fleet's."""
    return message.payload in BAD.values() or message.topic.startswith("system/config-request/")


async def others_send_nonsense(here: House) -> None:
    """Messages of any form come on any topic, also a change with words and a key in its values."""
    stranger = here.broker.client("stranger")
    for topic, payload in BAD.items():
        await stranger.publish(topic, payload, qos=1)
    person = await Person(here.broker).listen()
    for config in ({"speed": ASKED}, {ASKED: 1}, {"api_key": API_KEY}):
        answer = await person.ask("patch", "llm-worker", {"config": config})
        assert answer["status"] == "rejected"
    await asyncio.sleep(5)


async def a_worker_is_killed(here: House) -> None:
    """In the middle of an answer."""
    watcher = await Observer(here.broker.client("watcher"), "router").watch(LLM_REPLY)
    asking = asyncio.ensure_future(here.ask())
    await watcher.until(LLM_REPLY, _claimed, within=60)
    bus = here.fleet.services["llm-worker"].ctx.bus
    bus.kill()
    await asyncio.wait({asking}, timeout=100)
    asking.cancel()


def _claimed(reply: LlmReply) -> bool:
    return reply.kind == "claimed"


def errors_in(message: Message) -> list[bytes]:
    """What a message says of failures."""
    try:
        found = json.loads(message.payload)
    except ValueError:
        return []
    return [json.dumps(text).encode() for text in _errors(found) if text]


def _errors(found: object) -> list[object]:
    if isinstance(found, dict):
        own = [v for k, v in found.items() if k in OF_ERRORS]
        return own + [e for v in found.values() for e in _errors(v)]
    return [e for item in found for e in _errors(item)] if isinstance(found, list) else []
