"""The strict loader and the canonical form, against whatever bytes and values there are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_config.canonical import (
    MAX_DEPTH,
    MAX_NUMBER,
    MAX_REQUEST_BYTES,
    canonical,
    checksum,
    load,
)
from parlour_config.errors import LoadCode, RefusedJsonError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_NUMBER, MAX_NUMBER)
    | st.floats(-MAX_NUMBER, MAX_NUMBER, allow_nan=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
JSONISH = st.lists(
    st.sampled_from([*'{}[],:"\\0123.eE+-', "null", "NaN", "1e400", '"\\ud800"', '"a":1,']),
    max_size=30,
).map("".join)


@contextmanager
def refusals() -> Iterator[None]:
    """What is refused is refused with a code of the protocol; nothing else passes."""
    problem: RefusedJsonError | None = None
    try:
        yield
    except RefusedJsonError as error:
        problem = error
    assert problem is None or problem.code in get_args(LoadCode)


def code_of(data: bytes, limit: int = MAX_REQUEST_BYTES) -> str:
    with pytest.raises(RefusedJsonError) as refused:
        load(data, limit)
    return refused.value.code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b" " * 65_537, "TOO_LARGE"),
        (b"\xef\xbb\xbf{}", "BAD_UTF8"),
        (b'"\xff"', "BAD_UTF8"),
        (b'"\xed\xa0\x80"', "BAD_UTF8"),
        (b'"\xc0\x80"', "BAD_UTF8"),
        (b"", "BAD_JSON"),
        (b"{} {}", "BAD_JSON"),
        (b"{'a':1}", "BAD_JSON"),
        (b'{"a":1,}', "BAD_JSON"),
        (b'"\n"', "BAD_JSON"),
        (b"01", "BAD_JSON"),
        ("１".encode(), "BAD_JSON"),
        (b'"\\ud800"', "BAD_JSON"),
        (b'{"\\udc00":1}', "BAD_JSON"),
        (b'{"a":1,"a":1}', "DUPLICATE_KEY"),
        (b'[{"b":{"a":1,"\\u0061":2}}]', "DUPLICATE_KEY"),
        (b"NaN", "NON_FINITE"),
        (b"[-Infinity]", "NON_FINITE"),
        (b"1e400", "NON_FINITE"),
        (b"9007199254740992", "NUMBER_RANGE"),
        (b"-9007199254740992", "NUMBER_RANGE"),
        (b"9007199254740991.5", "NUMBER_RANGE"),
        (b"1e16", "NUMBER_RANGE"),
        (b"1" * 60_000, "NUMBER_RANGE"),
        (b"[" * 17 + b"]" * 17, "DEPTH"),
        (b"[" * 60_000, "DEPTH"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "DEPTH"),
    ],
)
def test_each_rule_has_its_code(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_what_is_just_within_the_limits_is_taken() -> None:
    assert load(b"[" * 16 + b"]" * 16) is not None
    assert load(b"9007199254740991") == MAX_NUMBER
    assert load(b"-9007199254740991.0") == -MAX_NUMBER
    assert load(b'"' + b"[" * 100 + b'"') == "[" * 100
    assert load(b'"\\"[[[[[[[[[[[[[[[[[[[[[[[[["') == '"' + "[" * 25
    assert load(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert load(b"12345", limit=5) == 12345
    assert code_of(b"12345", limit=4) == "TOO_LARGE"


@given(st.binary(max_size=200) | JSONISH.map(str.encode))
def test_no_bytes_bring_another_error(data: bytes) -> None:
    with refusals():
        value = load(data)
        assert load(canonical(value)) == value


@given(ANYTHING)
def test_no_value_brings_another_error(value: Any) -> None:
    with refusals():
        text = canonical(value)
        assert canonical(load(text)) == text


@given(VALUES)
def test_the_canonical_form_is_stable_and_loses_nothing(value: Any) -> None:
    text = canonical(value)

    assert load(text) == value
    assert canonical(load(text)) == text


@given(st.dictionaries(TEXT, st.integers(-9, 9), max_size=8))
def test_the_order_of_keys_says_nothing(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))

    assert canonical(backwards) == canonical(value)
    assert checksum(backwards) == checksum(value)


@given(VALUES)
def test_any_spelling_of_a_value_comes_to_the_same_text(value: Any) -> None:
    spelt = json.dumps(value, ensure_ascii=True, indent=2).encode()

    assert canonical(load(spelt)) == canonical(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.nan, "NON_FINITE"),
        (-math.inf, "NON_FINITE"),
        (2**53, "NUMBER_RANGE"),
        (1e300, "NUMBER_RANGE"),
        ("\ud800", "BAD_JSON"),
        ({1: 2}, "BAD_JSON"),
        ({"a": {1, 2}}, "BAD_JSON"),
        (b"bytes", "BAD_JSON"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(value: Any, code: str) -> None:
    with pytest.raises(RefusedJsonError) as refused:
        canonical(value)

    assert refused.value.code == code


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(RefusedJsonError) as refused:
        canonical(endless)

    assert refused.value.code == "DEPTH"
    assert MAX_DEPTH == 16


def test_no_message_holds_what_was_refused() -> None:
    for data in (b'{"secret-word":1,"secret-word":2}', b'{"a":secret-word', b'["secret-word",NaN]'):
        with pytest.raises(RefusedJsonError) as refused:
            load(data)
        assert "secret-word" not in str(refused.value)
