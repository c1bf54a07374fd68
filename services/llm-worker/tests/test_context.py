"""A conversation is cut to the context window from its oldest end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_worker.context import Messages, fit, reserve
from llm_worker.errors import ContextTooLongError
from parlour_contracts.messages.llm import ChatMessage


def message(role: str, content: str) -> ChatMessage:
    return ChatMessage(role=role, content=content)


def words(messages: Messages) -> int:
    """A counter: one token per word and two per message."""
    return sum(2 + len(m.content.split()) for m in messages)


def letters(messages: Messages) -> int:
    """A counter: one token per character and one per message."""
    return sum(1 + len(m.content) for m in messages)


SYSTEM = message("system", "be brief")


def talk(turns: int) -> list[ChatMessage]:
    spoken = [
        m
        for i in range(turns)
        for m in (message("user", f"question {i}"), message("assistant", f"answer {i}"))
    ]
    return [SYSTEM, *spoken, message("user", "the last question")]


def test_a_conversation_that_fits_is_left_alone():
    fitted = fit(talk(3), 1000, words)

    assert fitted.messages == tuple(talk(3))
    assert (fitted.dropped, fitted.cut_chars) == (0, 0)


def test_the_oldest_turns_go_first_and_whole():
    fitted = fit(talk(6), 4 + 3 * 8 + 5, words)

    assert fitted.messages[0] == SYSTEM
    assert fitted.messages[1].role == "user"
    assert fitted.messages[-1].content == "the last question"
    assert fitted.messages[1:] == tuple(talk(6))[-len(fitted.messages) + 1 :]
    assert fitted.dropped == len(talk(6)) - len(fitted.messages) > 0


def test_the_front_stays_the_same_for_two_turns_in_a_row():
    """Each change at the front costs a whole new prefill, so turns are dropped two by two."""
    budget = 4 + 4 * 8 + 5
    fronts = [fit(talk(n), budget, words).messages[1].content for n in range(5, 13)]

    assert len(set(fronts)) <= 5
    assert any(a == b for a, b in pairwise(fronts))


def test_the_last_question_loses_its_head_only_when_it_does_not_fit_alone():
    question = message("user", "beginning middle end")

    fitted = fit([SYSTEM, *talk(2)[1:-1], question], 9 + 1 + 3, letters)

    assert fitted.messages == (SYSTEM, message("user", "end"))
    assert fitted.cut_chars == len("beginning middle ")


def test_several_system_messages_all_stay():
    memory = message("system", "it rains")
    fitted = fit([SYSTEM, *talk(4)[1:-1], memory, message("user", "hm")], 13, words)

    assert fitted.messages == (SYSTEM, memory, message("user", "hm"))


def test_a_system_prompt_that_fills_the_window_is_an_error_with_a_code():
    with pytest.raises(ContextTooLongError) as caught:
        fit([message("system", "x " * 100), message("user", "hello")], 50, words)

    assert caught.value.wire().code == "CONTEXT_TOO_LONG"


def test_an_empty_question_after_a_full_system_prompt_is_the_same_error():
    with pytest.raises(ContextTooLongError):
        fit([message("system", "x " * 100), message("user", "")], 50, words)


def test_a_flood_of_characters_is_cut_before_it_is_counted():
    """Tokenisers take very long over long runs of one character."""
    counted: list[int] = []

    def count(messages: Messages) -> int:
        counted.append(sum(len(m.content) for m in messages))
        return len(messages)

    fitted = fit([SYSTEM, message("user", " " * 90_000)], 100, count)

    assert max(counted) <= 100 * 16
    assert fitted.cut_chars > 80_000


@pytest.mark.parametrize(("window", "wanted", "kept"), [(2048, 150, 150), (256, 4096, 128)])
def test_the_answer_gets_at_most_half_of_the_window(window: int, wanted: int, kept: int):
    assert reserve(window, wanted) == kept


roles = st.sampled_from(["system", "user", "assistant", "tool"])
conversations = st.lists(
    st.builds(message, roles, st.text(alphabet="ab ", max_size=30)), min_size=1, max_size=30
)


@given(conversations, st.integers(min_value=1, max_value=200))
def test_what_is_left_fits_and_keeps_what_must_stay(messages: list[ChatMessage], budget: int):
    """Whatever the conversation: it fits, all system messages and the last question are there."""
    try:
        fitted = fit(messages, budget, letters)
    except ContextTooLongError:
        return

    assert letters(fitted.messages) <= budget
    assert [m for m in fitted.messages if m.role == "system"] == [
        m for m in messages if m.role == "system"
    ]
    users = [m for m in messages if m.role == "user"]
    if users:
        last = [m for m in fitted.messages if m.role == "user"][-1]
        assert users[-1].content.endswith(last.content)
        assert last.content or not users[-1].content
    assert fitted.dropped == len(messages) - len(fitted.messages)
