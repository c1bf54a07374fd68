"""Server-sent events are read from any bytes, in bounded memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_worker.sse import MAX_LINE, SseError, SseReader

STREAM = (
    b': hello\r\nevent: x\r\ndata: {"a": 1}\r\n\r\ndata:two\ndata: lines\n\n'
    b"id: 7\r\rdata: \xc3\xa9t\xc3\xa9\r\r\n"
)  # fmt: skip
EVENTS = ['{"a": 1}', "two\nlines", "été"]


def feed_all(chunks: list[bytes]) -> list[str]:
    reader = SseReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


def test_data_lines_make_events_and_the_rest_is_ignored():
    assert SseReader().feed(STREAM) == EVENTS


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=20))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]):
    edges = sorted({0, len(STREAM), *cuts})
    reader = SseReader()

    events = [e for a, b in pairwise(edges) for e in reader.feed(STREAM[a:b])]

    assert events == EVENTS


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_gives_events_or_nothing_but_never_another_error(chunks: list[bytes]):
    reader = SseReader()
    for chunk in chunks:
        assert all(isinstance(event, str) for event in reader.feed(chunk))


def test_a_line_without_end_is_refused():
    with pytest.raises(SseError):
        feed_all([b"x" * 1000] * (MAX_LINE // 1000 + 2))


def test_an_event_without_end_is_refused():
    with pytest.raises(SseError):
        feed_all([b"data: " + b"x" * 1000 + b"\n"] * 1000)
