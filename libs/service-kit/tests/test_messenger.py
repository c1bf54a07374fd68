"""Typed messages: what reaches a handler, what does not, and what a handler cannot break."""

from __future__ import annotations

import asyncio

import pytest
from parlour_contracts.messages.room import Cancel, Say
from parlour_contracts.topics import AUDIO_OUT, CANCEL, SAY, BadTopicError
from parlour_kit.clock import LoopClock
from parlour_kit.messenger import MAX_TASKS, Frame, Messenger
from parlour_testkit import MemoryBroker
from structlog.testing import capture_logs

UTTERANCE = "0190163d-8694-739b-aea5-966c26f8ad91"


@pytest.fixture
def messenger(broker: MemoryBroker) -> Messenger:
    return Messenger(broker.client("one"), "one", LoopClock())


async def test_a_message_arrives_typed_with_the_levels_of_its_topic(messenger: Messenger) -> None:
    heard = []
    await messenger.on(SAY, lambda m, p: heard.append((m, p)))

    await messenger.send(SAY, Say(text="hello"), site="kitchen")
    await asyncio.sleep(1)

    assert heard == [(Say(text="hello"), {"site": "kitchen"})]


async def test_a_level_given_narrows_the_subscription(messenger: Messenger) -> None:
    heard = []
    await messenger.on(SAY, lambda _m, p: heard.append(p["site"]), site="office")

    for site in ("kitchen", "office"):
        await messenger.send(SAY, Say(text="hello"), site=site)
    await asyncio.sleep(1)

    assert heard == ["office"]


async def test_plain_handlers_are_called_in_order_of_arrival(messenger: Messenger) -> None:
    heard: list[str] = []
    await messenger.on(SAY, lambda m, _p: heard.append(m.text))

    for number in range(50):
        await messenger.send(SAY, Say(text=str(number)), site="kitchen")
    await asyncio.sleep(1)

    assert heard == [str(n) for n in range(50)]


@pytest.mark.req("F18")
async def test_a_handler_at_work_does_not_keep_a_cancel_from_being_seen(
    messenger: Messenger,
) -> None:
    cancelled_at: list[float] = []

    async def work(_message: Say, _params: dict[str, str]) -> None:
        await asyncio.sleep(5)

    await messenger.on(SAY, work)
    await messenger.on(
        CANCEL, lambda _m, _p: cancelled_at.append(asyncio.get_running_loop().time())
    )
    began = asyncio.get_running_loop().time()
    await messenger.send(SAY, Say(text="long work"), site="kitchen")
    await messenger.send(CANCEL, Cancel(), site="kitchen")
    await asyncio.sleep(10)

    assert cancelled_at[0] - began < 0.1


async def test_what_is_too_big_is_not_even_parsed(
    broker: MemoryBroker, messenger: Messenger
) -> None:
    heard = []
    await messenger.on(SAY, lambda m, _p: heard.append(m))

    await broker.client("two").publish("voice/kitchen/say", b"x" * (SAY.max_bytes + 1))
    await asyncio.sleep(1)

    assert heard == []
    assert messenger.counts["too_big"] == 1


async def test_the_log_names_what_is_wrong_and_never_the_value(
    broker: MemoryBroker, messenger: Messenger, caplog: pytest.LogCaptureFixture
) -> None:
    await messenger.on(SAY, lambda _m, _p: None)

    await broker.client("two").publish(
        "voice/kitchen/say", b'{"text": "the canary sings", "volume": "canary", "canary_key": 1}'
    )
    await asyncio.sleep(1)

    assert messenger.counts["invalid"] == 1
    assert "volume" in caplog.text
    assert "the canary sings" not in caplog.text
    assert "'canary'" not in caplog.text


async def test_an_error_of_a_handler_is_counted_and_its_text_is_not_logged(
    messenger: Messenger,
) -> None:
    async def broken(message: Say, _params: dict[str, str]) -> None:
        raise RuntimeError(f"cannot say {message.text}")

    with capture_logs() as lines:
        await messenger.on(SAY, broken)
        await messenger.send(SAY, Say(text="the canary sings"), site="kitchen")
        await asyncio.sleep(1)

    assert messenger.counts["handler_failed"] == 1
    loud = [line for line in lines if line["log_level"] != "debug"]
    assert [line["kind"] for line in loud] == ["RuntimeError"]
    assert "canary" not in str(loud)


async def test_work_beyond_the_limit_is_dropped_and_counted(messenger: Messenger) -> None:
    async def wait(_message: Say, _params: dict[str, str]) -> None:
        await asyncio.sleep(3600)

    await messenger.on(SAY, wait)
    for _ in range(MAX_TASKS + 10):
        await messenger.send(SAY, Say(text="hello"), site="kitchen")
    await asyncio.sleep(1)

    assert messenger.counts["dropped"] == 10
    await messenger.close()


async def test_a_frame_arrives_with_its_properties(messenger: Messenger) -> None:
    heard: list[tuple[Frame, dict[str, str]]] = []
    await messenger.on_frame(AUDIO_OUT, lambda f, p: heard.append((f, p)))

    await messenger.send_frame(
        AUDIO_OUT, b"\x01\x02", {"seq": "0"}, site="kitchen", utterance_id=UTTERANCE
    )
    await asyncio.sleep(1)

    assert heard == [
        (Frame(b"\x01\x02", {"seq": "0"}), {"site": "kitchen", "utterance_id": UTTERANCE})
    ]


async def test_a_topic_without_all_its_levels_is_refused(messenger: Messenger) -> None:
    with pytest.raises(BadTopicError):
        await messenger.send(SAY, Say(text="hello"))
