"""Every setting changes how running conversations go on, without a restart."""

import asyncio
import re
from pathlib import Path

import pytest
from parlour_contracts.config import RouterConfig
from parlour_contracts.messages.room import Say
from parlour_contracts.topics import ROOM_STATE, SAY
from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.scripted_workers import Answer, ScriptedLlmWorker, ScriptedSttWorker
from router.errors import ExpressionError

from .conftest import House, MakeHouse

LONG = (
    "The sun is a star and it is very far away from us here. "
    "It gives light to all the planets that move around it. "
    "Without it there would be no life here at all."
)
BROKEN = Answer(fails="LLM_BROKEN")
C085 = pytest.mark.req("C085")


async def change(house: House, **update: object) -> None:
    """Both phases, as the fleet does them."""
    new = RouterConfig.model_validate({**house.router.config.model_dump(), **update})
    switch = await house.router.stage(new)
    assert await switch.commit() == "applied"


async def told(house: House, question: str = "Sun?") -> list[str]:
    """The sentences of the answer to a question."""
    before = len(house.said())
    await house.trace(await house.ask(question))
    await asyncio.sleep(30)
    return house.said()[before:]


@C085
@pytest.mark.req("C026")
async def test_setting_router_llm_tts_stream_the_next_answer_is_spoken_in_one(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        assert len(await told(h)) == 3
        await change(h, router_llm_tts_stream=False)

        assert await told(h) == [LONG]


@C085
@pytest.mark.req("C027")
async def test_setting_router_stream_min_chars_short_sentences_are_joined(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    text = "This is the beginning. Really! We will see about that. Wonderful! Bye for now."
    async with make_house(llm=ScriptedLlmWorker(broker, text)) as h:
        await change(h, router_stream_min_chars=1)
        short = await told(h)
        await change(h, router_stream_min_chars=30)
        joined = await told(h)

        assert {"Really!", "Wonderful!"} <= set(short)
        assert not {"Really!", "Wonderful!"} & set(joined)
        assert len(joined) < len(short)


@C085
@pytest.mark.req("C028")
async def test_setting_router_stream_max_chars_longer_sentences_are_cut(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        whole = await told(h)
        await change(h, router_stream_max_chars=40)
        cut = await told(h)

        assert max(map(len, whole)) > 40
        assert max(map(len, cut)) <= 40


@C085
@pytest.mark.req("C029")
async def test_setting_router_stream_boundary_only_off_cuts_at_a_blank(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        assert all(s.endswith(".") for s in await told(h))
        await change(h, router_stream_boundary_only=False)

        assert not (await told(h))[0].endswith(".")


@C085
@pytest.mark.req("C030")
async def test_setting_router_stream_boundary_regex_ends_sentences_elsewhere(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    text = "Here is the first part of it | and here is the second part of it | and the last part."
    async with make_house(llm=ScriptedLlmWorker(broker, text)) as h:
        assert len(await told(h)) == 1
        await change(h, router_stream_boundary_regex=r"\|\s")

        assert [s.rstrip("| ") for s in await told(h)] == [
            "Here is the first part of it",
            "and here is the second part of it",
            "and the last part.",
        ]


@C085
async def test_setting_history_messages_the_next_question_sees_no_more_than_that(
    make_house: MakeHouse,
) -> None:
    async with make_house() as h:
        for n in range(3):
            await h.trace(await h.ask(f"Question {n}?"))
        await change(h, history_messages=2)
        await h.trace(await h.ask("And now?"))

        assert [m.content for m in h.llm.requests[-1].messages[1:]] == [
            "Question 2?",
            "It is nine.",
            "And now?",
        ]


@C085
@pytest.mark.req("C031")
async def test_setting_system_prompt_the_next_question_is_asked_with_it(
    make_house: MakeHouse,
) -> None:
    async with make_house() as h:
        await h.trace(await h.ask("Who are you?"))
        await change(h, system_prompt="You are a pirate.")
        await h.trace(await h.ask("And now?"))

        prompts = [r.messages[0].content for r in h.llm.requests]
        assert prompts == [RouterConfig().system_prompt, "You are a pirate."]
        assert len(h.llm.requests[1].messages) == 4


@C085
@pytest.mark.req("V040")
async def test_setting_think_timeout_s_a_slow_model_is_given_up_earlier(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer(hangs=True))) as h:
        await change(h, think_timeout_s=5.0)
        start = asyncio.get_running_loop().time()
        await h.trace(await h.ask("Sun?"))

        assert 5 <= h.tts.spoken["kitchen"].at[0] - start < 6


@C085
async def test_setting_session_idle_s_an_idle_session_ends_as_soon_as_it_may(
    make_house: MakeHouse,
) -> None:
    async with make_house() as h:
        first = await h.trace(await h.ask("One?"))
        await asyncio.sleep(100)
        await change(h, session_idle_s=60.0)
        await asyncio.sleep(0.1)
        assert h.observer.of(ROOM_STATE)[-1].state == "ENDED"
        second = await h.trace(await h.ask("Two?"))

        assert first.session_id != second.session_id


@C085
async def test_setting_session_max_s_a_session_that_is_open_for_long_ends(
    make_house: MakeHouse,
) -> None:
    async with make_house() as h:
        traces = [await h.trace(await h.ask("One?"))]
        await asyncio.sleep(500)
        traces.append(await h.trace(await h.ask("Two?")))
        await change(h, session_max_s=400.0)
        traces.append(await h.trace(await h.ask("Three?")))

        ids = [t.session_id for t in traces]
        assert ids[0] == ids[1] != ids[2]


@C085
async def test_setting_line_empty_is_said_after_the_next_empty_turn(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(stt=ScriptedSttWorker(broker, None)) as h:
        await change(h, line_empty="Pardon?")
        await h.trace(await h.open_turn())

        assert h.said() == ["Pardon?"]


@C085
async def test_setting_line_slow_is_said_when_the_next_answer_is_too_slow(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, Answer(hangs=True))) as h:
        await change(h, line_slow="Too hard for me.")
        await h.trace(await h.ask("Sun?"))

        assert h.said() == ["Too hard for me."]


@C085
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_setting_line_tier_is_said_at_the_next_failure_of_that_many(
    broker: MemoryBroker, make_house: MakeHouse, number: int
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, BROKEN)) as h:
        for n in range(number - 1):
            await h.trace(await h.ask(f"Question {n}?"))
        await change(h, **{f"line_tier{number}": "Oh dear."})
        await h.trace(await h.ask("And now?"))

        assert h.said()[-1] == "Oh dear."


@pytest.mark.req("F7")
@C085
def test_every_setting_of_the_router_has_a_test_of_its_own() -> None:
    files = Path(__file__).parent.glob("test_settings_*.py")
    tested = [
        name
        for file in files
        for name in re.findall(r"def (test_setting_\w+)\(", file.read_text(encoding="utf-8"))
    ]

    for field in RouterConfig.model_fields:
        name = field.rstrip("123")
        assert any(t.startswith(f"test_setting_{name}_") for t in tested), field


@C085
async def test_a_running_turn_ends_by_the_settings_it_began_with(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    slow = Answer.of(LONG, each_s=0.3)
    async with make_house(llm=ScriptedLlmWorker(broker, slow)) as h:
        turn_id = await h.ask("Sun?")
        await asyncio.sleep(3)
        await change(h, router_stream_max_chars=30, history_messages=0, system_prompt="Short.")
        trace = await h.trace(turn_id)
        assert (trace.outcome, trace.reply) == ("replied", LONG)
        assert max(map(len, h.said())) > 30
        before = len(h.said())
        await h.trace(await h.ask("Sun again?"))
        await asyncio.sleep(60)

        assert max(map(len, h.said()[before:])) <= 30
        assert [m.content for m in h.llm.requests[-1].messages] == ["Short.", "Sun again?"]


@C085
async def test_what_waits_behind_a_reply_runs_by_the_new_settings(
    broker: MemoryBroker, make_house: MakeHouse
) -> None:
    async with make_house(llm=ScriptedLlmWorker(broker, LONG)) as h:
        first = await h.ask("Sun?")
        await asyncio.sleep(1)
        second = await h.ask("Moon?")
        say = Say(text="Dinner is ready in the kitchen, and the table is set for all of us.")
        await h.observer.messenger.send(SAY, say, site="kitchen")
        await asyncio.sleep(0.1)
        await change(h, system_prompt="Short.", router_stream_max_chars=30)
        for turn_id in (first, second):
            assert (await h.trace(turn_id)).outcome == "replied"
        await asyncio.sleep(60)

        assert [r.messages[0].content for r in h.llm.requests][1] == "Short."
        assert max(map(len, h.said()[-3:])) <= 30


async def test_an_expression_that_the_searching_library_does_not_take_is_refused(
    make_house: MakeHouse,
) -> None:
    async with make_house() as h:
        good = h.router.config
        # Python's own library takes it, the one that searches with a time limit does not.
        bad = RouterConfig.model_construct(**{**dict(good), "router_stream_boundary_regex": "(?<"})
        with pytest.raises(ExpressionError) as caught:
            await h.router.stage(bad)

        assert caught.value.code == "BOUNDARY_EXPRESSION"
        assert h.router.config is good
