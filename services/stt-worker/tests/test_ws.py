"""The recogniser behind a WebSocket, against a real server on a local socket."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import numpy as np
import pytest
from parlour_audio.frames import to_float
from parlour_testkit import real_work
from parlour_testkit.fakes_stt import silence, tone
from stt_worker.engine import Options, Recognition
from stt_worker.engines import ws
from stt_worker.engines.ws import WsEngine
from stt_worker.errors import (
    ServerError,
    ServerProtocolError,
    ServerSilentError,
    ServerUnreachableError,
    SttError,
)
from websockets.asyncio.server import ServerConnection, serve

CLIP = to_float(np.concatenate([silence(200), tone(800), silence(200)]))
RESULT = {
    "text": "turn on",
    "result": [
        {"word": "turn", "conf": 1.0, "start": 0.2, "end": 0.5},
        {"word": "on", "conf": 0.25, "start": 0.6, "end": 1.0},
    ],
}
LATER = {"text": "the light", "result": [{"word": "the", "conf": 0.5, "start": 1.1, "end": 1.3}]}

Behaviour = Callable[[ServerConnection], Awaitable[None]]


class Vosk:
    """Answers as vosk-server does: once for each piece of sound, and after the end it closes."""

    def __init__(self, *finals: object) -> None:
        self.finals = list(finals) or [RESULT]
        self.config: dict[str, object] = {}
        self.sound = b""
        self.pieces: list[int] = []

    async def __call__(self, link: ServerConnection) -> None:
        async for message in link:
            if isinstance(message, str) and "config" in message:
                self.config = json.loads(message)["config"]
            elif message == '{"eof" : 1}':
                await link.send(json.dumps(self.finals.pop(0)))
                return
            else:
                assert isinstance(message, bytes)
                self.sound += message
                self.pieces.append(len(message))
                ended = len(self.finals) > 1 and len(self.pieces) == 2
                await link.send(json.dumps(self.finals.pop(0) if ended else {"partial": "tu"}))


async def until_end(link: ServerConnection) -> None:
    async for message in link:
        if message == ws.EOF:
            return


def saying(*messages: str | bytes) -> Behaviour:
    """Hears everything, then says these and closes."""

    async def behave(link: ServerConnection) -> None:
        await until_end(link)
        for message in messages:
            await link.send(message)

    return behave


class House:
    """A server and the engine that is to use it."""

    def __init__(self, port: int) -> None:
        self.behaviour: Behaviour = Vosk()
        self.engine = WsEngine(f"ws://user:canary-password@127.0.0.1:{port}/asr")
        self.headers: list[str | None] = []

    async def hear(self, samples: np.ndarray = CLIP, **options: int) -> Recognition:
        chosen = Options(**options)  # type: ignore[arg-type]
        return await asyncio.to_thread(self.engine.transcribe, samples, chosen)

    async def fail(self, behaviour: Behaviour) -> SttError:
        self.behaviour = behaviour
        with pytest.raises(SttError) as caught:
            await self.hear()
        assert caught.value.retryable
        assert caught.value.hint
        assert caught.value.__cause__ is None
        assert "canary" not in f"{caught.value!r} {caught.value.hint}"
        return caught.value


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made: list[House] = []

    async def serve_it(link: ServerConnection) -> None:
        request = link.request
        made[0].headers.append(request.headers.get("Authorization") if request else None)
        await made[0].behaviour(link)

    with real_work():
        async with serve(serve_it, "127.0.0.1", 0, ping_interval=None) as server:
            made.append(House(next(iter(server.sockets)).getsockname()[1]))
            yield made[0]


@pytest.mark.req("C012", "C013")
async def test_a_clip_is_sent_and_its_words_come_back(house: House) -> None:
    house.behaviour = vosk = Vosk()
    heard = await house.hear()
    assert heard.text == "turn on"
    (piece,) = heard.pieces
    assert (piece.start_s, piece.end_s, piece.no_speech_prob) == (0.2, 1.0, 0.0)
    assert heard.confidence == pytest.approx(0.5)
    assert vosk.config == {"sample_rate": 16_000, "words": True, "max_alternatives": 0}
    assert np.abs(np.frombuffer(vosk.sound, "<i2") / 32_768 - CLIP).max() < 1e-4
    assert vosk.pieces == [8000] * 4 + [6400]
    assert house.headers == ["Basic dXNlcjpjYW5hcnktcGFzc3dvcmQ="]


@pytest.mark.req("C018")
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
async def test_the_server_is_told_the_rate_and_given_pieces_of_a_quarter_second(
    house: House, rate: int
) -> None:
    house.behaviour = vosk = Vosk()
    await house.hear(np.zeros(rate, np.float32), sample_rate=rate)
    assert vosk.config["sample_rate"] == rate
    assert vosk.pieces == [rate // 2] * 4


async def test_what_the_server_ended_on_the_way_belongs_to_the_text(house: House) -> None:
    house.behaviour = Vosk(RESULT, LATER)
    heard = await house.hear()
    assert heard.text == "turn on the light"
    assert [p.start_s for p in heard.pieces] == [0.2, 1.1]


async def test_nothing_understood_is_no_piece(house: House) -> None:
    house.behaviour = Vosk({"text": ""})
    assert (await house.hear()).pieces == ()
    assert (await house.hear(np.zeros(0, np.float32))).pieces == ()


async def test_a_server_that_answers_only_at_the_end_is_understood(house: House) -> None:
    house.behaviour = saying(json.dumps(RESULT))
    assert (await house.hear()).text == "turn on"


async def test_a_server_that_never_closes_is_left_when_all_is_answered(house: House) -> None:
    vosk, left = Vosk(), asyncio.Event()

    async def stays(link: ServerConnection) -> None:
        await vosk(link)
        await link.wait_closed()
        left.set()

    house.behaviour = stays
    assert (await house.hear()).text == "turn on"
    await left.wait()


async def test_alternatives_and_words_without_confidence_are_taken(house: House) -> None:
    house.behaviour = Vosk({"alternatives": [{"text": "yes", "confidence": 3.5}, {"text": "no"}]})
    heard = await house.hear()
    assert heard.text == "yes"
    assert heard.confidence == pytest.approx(ws.UNRATED)


@pytest.mark.parametrize(
    "answer",
    [
        {"text": 7}, {"text": None, "result": "x"}, {"result": [{"conf": 1}]}, {"alternatives": []},
        {},
    ],
)  # fmt: skip
async def test_an_odd_result_is_nothing_understood(house: House, answer: object) -> None:
    house.behaviour = Vosk(answer)
    assert (await house.hear()).pieces == ()


async def test_numbers_that_make_no_sense_are_left_out(house: House) -> None:
    odd = '{"text": "go", "result": [{"conf": NaN, "start": -1, "end": 1e99}, {"conf": 7}, 3]}'
    house.behaviour = saying(odd)
    (piece,) = (await house.hear()).pieces
    assert (piece.start_s, piece.end_s, piece.avg_logprob) == (0.0, 0.0, 0.0)
    house.behaviour = Vosk({"text": "go", "result": [{"conf": 0}]})
    assert math.isfinite((await house.hear()).avg_logprob)


async def test_endless_text_is_cut(house: House) -> None:
    words = json.dumps({"text": "word " * 20_000})
    house.behaviour = saying(*[words] * 5)
    heard = await house.hear()
    assert len(heard.text) <= 2 * ws.MAX_TEXT


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", "STT_SERVER_PROTOCOL"),
        ("[1]", "STT_SERVER_PROTOCOL"),
        ('"canary"', "STT_SERVER_PROTOCOL"),
        (b'{"text": "canary"}', "STT_SERVER_PROTOCOL"),
        ("[" * 100_000, "STT_SERVER_PROTOCOL"),
        ('{"partial": "canary"}', "STT_SERVER_PROTOCOL"),
        ("x" * (ws.MAX_MESSAGE + 1), "STT_SERVER_ERROR"),
    ],
    ids=["text", "list", "string", "binary", "deep", "never final", "too large"],
)
async def test_nonsense_is_an_error_with_its_code(
    house: House, message: str | bytes, code: str
) -> None:
    assert (await house.fail(saying(message))).code == code


async def test_a_server_that_closes_early_or_breaks_off_is_told(house: House) -> None:
    async def closes(link: ServerConnection) -> None:
        await link.recv()

    async def aborts(link: ServerConnection) -> None:
        await link.recv()
        link.transport.abort()

    async def fails(link: ServerConnection) -> None:
        await until_end(link)
        await link.close(1011, "canary")

    for behaviour in (closes, aborts, fails):
        error = await house.fail(behaviour)
        assert isinstance(error, ServerError)


async def test_a_silent_server_is_given_up_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws, "ANSWER_S", -1.0)  # the clip itself lasts 1.2 s

    async def silent(link: ServerConnection) -> None:
        await link.wait_closed()

    assert isinstance(await house.fail(silent), ServerSilentError)


async def test_a_server_that_takes_no_sound_is_given_up_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than the buffers on the way hold: sending itself comes to a halt."""
    monkeypatch.setattr(ws, "ANSWER_S", -599.5)

    over = asyncio.Event()

    async def deaf(link: ServerConnection) -> None:
        link.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        link.transport.abort()

    house.behaviour = deaf
    with pytest.raises(ServerSilentError):
        await house.hear(np.zeros(600 * 16_000, np.float32))
    over.set()


async def test_a_talkative_server_and_a_long_clip_do_not_block_each_other(house: House) -> None:
    vosk = Vosk()

    async def talks(link: ServerConnection) -> None:
        async def send(message: str) -> None:
            await ServerConnection.send(link, message + " " * 100_000)

        link.send = send  # type: ignore[method-assign, assignment]
        await vosk(link)

    house.behaviour = talks
    heard = await house.hear(np.zeros(60 * 16_000, np.float32))
    assert heard.text == "turn on"
    assert len(vosk.pieces) == 240


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE])
async def test_a_server_without_a_websocket_is_told(status: HTTPStatus) -> None:
    def refuse(link: ServerConnection, _request: object) -> object:
        return link.respond(status, "canary")

    with real_work():
        async with serve(Vosk(), "127.0.0.1", 0, process_request=refuse) as server:  # type: ignore[arg-type]
            house = House(next(iter(server.sockets)).getsockname()[1])
            assert isinstance(await house.fail(Vosk()), ServerProtocolError)


async def test_a_redirect_is_not_followed(house: House) -> None:
    def elsewhere(link: ServerConnection, _request: object) -> object:
        response = link.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = house.engine._url
        return response

    async with serve(Vosk(), "127.0.0.1", 0, process_request=elsewhere) as server:  # type: ignore[arg-type]
        other = House(next(iter(server.sockets)).getsockname()[1])
        assert isinstance(await other.fail(Vosk()), ServerProtocolError)
    assert house.headers == []


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:9/canary", "ws://canary..example/", "ws://127.0.0.1:99999/", "ws://["]
)
def test_a_server_that_is_not_there_is_told_without_its_address(url: str) -> None:
    with pytest.raises(ServerError) as caught:
        WsEngine(url).transcribe(CLIP, Options())
    assert isinstance(caught.value, ServerUnreachableError | ServerProtocolError)
    assert "canary" not in str(caught.value)


async def test_warming_up_finds_out_whether_the_server_can_hear(house: House) -> None:
    house.behaviour = vosk = Vosk({"text": ""})
    await asyncio.to_thread(house.engine.warm_up, Options(sample_rate=8_000))
    assert vosk.config["sample_rate"] == 8_000
    assert 0 < len(vosk.sound) < 4_000
    house.behaviour = saying("no json")
    with pytest.raises(ServerProtocolError):
        await asyncio.to_thread(house.engine.warm_up, Options())
