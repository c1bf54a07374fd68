"""What a server sends is understood, bounded and never trusted."""

from __future__ import annotations

import json

import pytest
from llm_worker.completions import Answer, error_of_status, request_body
from llm_worker.engine import MAX_ANSWER_CHARS, Prompt
from llm_worker.errors import ServerError, ServerProtocolError
from parlour_contracts.messages.llm import ChatMessage, LlmTokens


def chunk(text: str | None = None, reason: str | None = None) -> str:
    delta = {} if text is None else {"content": text}
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def test_chunks_become_text_and_a_reason():
    answer = Answer()

    assert [answer.take(d) for d in (chunk(""), chunk(" Go"), chunk("od"), chunk(None, "length"))] == [
        "", "Go", "od", "",
    ]  # fmt: skip
    assert not answer.over
    answer.take("[DONE]")
    assert (answer.over, answer.finish_reason) == (True, "length")


def test_the_servers_count_of_tokens_is_taken_over():
    answer = Answer(dropped=2)
    answer.take(
        '{"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 4,'
        ' "prompt_tokens_details": {"cached_tokens": 25}}}'
    )

    assert answer.tokens() == LlmTokens(prompt=30, cached=25, completion=4, dropped_messages=2)


def test_without_a_count_each_chunk_is_a_token():
    answer = Answer()
    for text in ("a", "b", "c"):
        answer.take(chunk(text))

    assert answer.tokens().completion == 3


@pytest.mark.parametrize(
    "data",
    [
        "{}", '{"choices": 7}', '{"choices": [7]}', '{"choices": [{"delta": 5}]}',
        '{"choices": [{"delta": {"content": {}}}]}', '{"usage": "many"}',
        '{"usage": {"prompt_tokens": -1, "completion_tokens": "x", "prompt_tokens_details": 3}}',
    ],
)  # fmt: skip
def test_events_of_another_shape_carry_no_text_and_do_no_harm(data: str):
    assert Answer().take(data) == ""


@pytest.mark.parametrize("data", ["", "<html>", "[1]", "nonsense", "[" * 100_000])
def test_what_is_no_event_is_a_protocol_error_without_its_text(data: str):
    with pytest.raises(ServerProtocolError) as caught:
        Answer().take(data)

    assert "nonsense" not in str(caught.value)


def test_an_error_in_the_stream_is_an_error_without_its_text():
    with pytest.raises(ServerError) as caught:
        Answer().take('{"error": {"message": "prompt was: open the safe"}}')

    assert "safe" not in str(caught.value)


def test_an_endless_answer_ends_where_a_reply_message_is_full():
    answer = Answer()
    text = ""
    while not answer.over:
        text += answer.take(chunk("x" * 9_999))

    assert len(text) == MAX_ANSWER_CHARS
    assert answer.finish_reason == "length"


@pytest.mark.req("V052")
@pytest.mark.parametrize(
    ("status", "code", "retryable", "delays"),
    [
        (429, "LLM_SERVER_BUSY", True, (5, 10, 20)),
        (503, "LLM_SERVER_UNAVAILABLE", True, (1, 3, 5)),
        (500, "LLM_SERVER_ERROR", True, (0, 0.5, 1)),
        (502, "LLM_SERVER_ERROR", True, (0, 0.5, 1)),
        (401, "LLM_SERVER_REFUSED", False, ()),
        (403, "LLM_SERVER_REFUSED", False, ()),
        (404, "LLM_SERVER_REFUSED", False, ()),
        (400, "LLM_SERVER_REFUSED", False, ()),
        (302, "LLM_SERVER_REFUSED", False, ()),
    ],
)
def test_each_status_has_its_code_and_its_retries(status, code, retryable, delays):
    error = error_of_status(status)

    assert (error.code, error.retryable, error.delays) == (code, retryable, delays)
    assert error.hint


def test_a_seed_is_sent_only_when_there_is_one():
    messages = (ChatMessage(role="user", content="hi"),)

    assert "seed" not in request_body("m", messages, Prompt(messages, 10, 0.5, 1.0))
    assert request_body("m", messages, Prompt(messages, 10, 0.5, 1.0, seed=0))["seed"] == 0
