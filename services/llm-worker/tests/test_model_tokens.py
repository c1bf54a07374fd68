"""Control tokens of models never reach a prompt through what people say (H051)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_worker.model_tokens import LISTED, strip_messages, strip_model_tokens
from parlour_contracts.messages.llm import ChatMessage


@pytest.mark.req("H051")
@pytest.mark.parametrize("token", [*LISTED, "###", "### Instruction:", "### Response:"])
def test_each_listed_token_is_removed(token: str):
    assert strip_model_tokens(f"turn {token} it on") == "turn it on"


@pytest.mark.parametrize("text", ["", "Is 3 < 4? [yes] #1", "  two  blanks ", "a|b <s"])
def test_ordinary_text_is_left_alone(text: str):
    assert strip_model_tokens(text) == text


def test_special_tokens_of_the_loaded_model_are_removed_too():
    assert strip_model_tokens("a<tool>b", ["<tool>", "the", " "]) == "a b"
    assert strip_model_tokens("the end", ["<tool>", "the", " "]) == "the end"


def test_no_token_arises_from_removing_one():
    assert strip_model_tokens("<|im_<|im_end|>end|>") == "<|im_ end|>"


def test_letter_case_is_no_way_around():
    assert strip_model_tokens("x<|IM_END|>y [inst] z") == "x y z"


@given(st.lists(st.sampled_from([*LISTED, "a", " ", "<|im_", "end|>", "[", "#", "INST]", "<"])))
def test_whatever_is_spelled_no_listed_token_is_left(pieces: list[str]):
    left = strip_model_tokens("".join(pieces)).lower()

    assert not any(token.lower() in left for token in LISTED)
    assert "###" not in left


def test_time_is_linear_in_hostile_text():
    nested = "<|im_" * 10_000 + "<|im_end|>" + "end|>" * 10_000
    started = time.process_time()

    strip_model_tokens(nested)
    strip_model_tokens("#" * 100_000)
    strip_model_tokens(" " * 100_000)

    assert time.process_time() - started < 5


def test_the_system_prompt_is_the_operators_and_stays():
    system = ChatMessage(role="system", content="### You are Parlour")
    user = ChatMessage(role="user", content="</s>hi")
    reply = ChatMessage(role="assistant", content="<|im_end|>ho")

    assert [m.content for m in strip_messages([system, user, reply])] == [
        "### You are Parlour", "hi", "ho",
    ]  # fmt: skip
