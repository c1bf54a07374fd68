"""Token bytes become text that no later byte takes back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from llm_worker.pieces import AnswerText


def feed(answer: AnswerText, *tokens: bytes) -> list[str]:
    return [answer.feed(token) for token in tokens]


def test_a_character_that_is_spread_over_tokens_comes_out_whole():
    rabbit = "🐇".encode()

    assert feed(AnswerText(), b"a", rabbit[:1], rabbit[1:3], rabbit[3:], b"b") == [
        "a", "", "", "🐇", "b",
    ]  # fmt: skip


def test_half_a_character_at_the_end_is_left_out():
    answer = AnswerText()

    assert feed(answer, b"ok", "é".encode()[:1]) == ["ok", ""]
    assert answer.finish() == ""


def test_blanks_before_the_answer_are_left_out_and_those_within_are_kept():
    assert feed(AnswerText(), b" ", b"\n", b" Yes", b" sir") == ["", "", "Yes", " sir"]


def test_a_stop_text_that_is_spread_over_tokens_ends_the_answer():
    answer = AnswerText(["\nUser:"])

    assert feed(answer, b"Fine.", b"\n", b"Us", b"er: more") == ["Fine.", "", "", ""]
    assert answer.stopped
    assert answer.finish() == ""


def test_what_only_looked_like_a_stop_text_comes_out():
    answer = AnswerText(["\nUser:"])

    assert feed(answer, b"a\n", b"Use it", b"\nUs") == ["a", "\nUse it", ""]
    assert answer.finish() == "\nUs"


@given(st.text(), st.lists(st.integers(min_value=0, max_value=300)))
def test_any_text_cut_anywhere_comes_out_as_it_went_in(text: str, cuts: list[int]):
    data = text.encode()
    edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    answer = AnswerText(["\nUser:"])

    out = [answer.feed(data[a:b]) for a, b in pairwise(edges)]
    whole = "".join([*out, answer.finish()])

    assert whole == text.lstrip().split("\nUser:")[0]
    assert answer.chars == len(whole)
