"""Unit: settings as people type and see them, and what differs between two of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_cli.config.differences import ABSENT, Difference, differences
from parlour_cli.config.values import (
    cell,
    parse_assignments,
    parse_object,
    plain_key,
    shown,
    unknown_key,
)
from parlour_cli.config.versions import undone
from parlour_cli.talk.errors import InputError
from parlour_contracts.config import CONFIGS
from parlour_contracts.config.metadata import fields_of

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**50), 2**50), st.text(max_size=20),
    st.floats(-1e12, 1e12, allow_nan=False),
)  # fmt: skip
CONFIG = st.dictionaries(st.sampled_from("abcdef"), SCALARS)
MASKED = {"$masked": True}


def fields(service):
    return [field.model_dump(mode="json") for field in fields_of(service)]


def parse(service, *words):
    return parse_assignments(words, fields(service), service)


@pytest.mark.parametrize(
    ("service", "word", "value"),
    [
        ("tts-worker", "volume_percent=40", 40),
        ("tts-worker", "speed=1", 1),
        ("tts-worker", "speed=0.5", 0.5),
        ("tts-worker", "tts.speed=0.5", 0.5),
        ("tts-worker", "tts-worker.speed=0.5", 0.5),
        ("tts-worker", "tts_streaming=true", True),
        ("tts-worker", "piper_voice=en_US-joe-medium", "en_US-joe-medium"),
        ("router", "system_prompt=Say 1 = one.", "Say 1 = one."),
        ("router", "line_slow=40", "40"),
        ("router", "line_slow=", ""),
        ("router", "router_stream_boundary_regex=[.!?]+", "[.!?]+"),
        ("stt-worker", "ws_url=null", None),
    ],
)
def test_a_value_is_read_as_the_type_of_its_setting_wants(service, word, value):
    (found,) = parse(service, word).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("speed", "no KEY=VALUE", "such as"),
        ("sped=1", "no setting 'sped'", "did you mean speed?"),
        ("x=1", "no setting 'x'", "parlour config describe tts-worker"),
        ("speed=fast", "type float", "such as 0.5"),
        ("speed=NaN", "type float", "such as 0.5"),
        ("speed=1e999", "type float", "such as 0.5"),
        ("tts_streaming=yes", "type boolean", "true or false"),
        ("volume_percent=", "type integer", "such as 40"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_can(word, said, hint):
    with pytest.raises(InputError, match=said) as caught:
        parse("tts-worker", word)
    assert hint in caught.value.hint


def test_a_setting_is_given_once():
    with pytest.raises(InputError, match="twice"):
        parse("tts-worker", "speed=1", "tts.speed=2")


def test_a_secret_is_not_taken_from_the_command_line_and_not_repeated():
    with pytest.raises(InputError, match="is a secret") as caught:
        parse("llm-worker", "api_key=hunter2hunter2")
    assert "hunter2" not in str(caught.value) + caught.value.hint
    assert caught.value.hint == "parlour config secret set llm-worker api_key"


@pytest.mark.parametrize("service", CONFIGS)
def test_every_default_can_be_typed(service):
    kinds = {plain_key(f["key"], service): f for f in fields(service)}
    for key, value in CONFIGS[service]().model_dump(mode="json").items():
        if kinds[key]["is_secret"]:
            continue
        typed = value if isinstance(value, str) else json.dumps(value)
        assert parse(service, f"{key}={typed}") == {key: value}


@pytest.mark.parametrize("text", ["", "{", "[1]", "5", '{"a":1,"a":2}', '{"a":NaN}', "{} {}"])
def test_settings_as_json_are_one_object_that_everybody_reads_alike(text):
    with pytest.raises(InputError) as caught:
        parse_object(text)
    assert "such as" in caught.value.hint


@given(CONFIG)
def test_every_object_is_read_as_it_was_written(config):
    assert parse_object(json.dumps(config)) == config


def test_a_near_miss_names_what_was_probably_meant():
    assert unknown_key("volume", ["volume_percent"], "x").hint == "did you mean volume_percent?"


def test_a_value_is_shown_as_json_a_secret_never_and_a_long_one_cut():
    assert shown("é") == '"é"'
    assert shown({**MASKED, "tag": "0123"}) == "(secret)"
    assert cell("x" * 100) == '"' + "x" * 38 + "…"


def test_only_what_differs_is_listed_in_order():
    before = {"b": 1, "a": "x", "gone": None, "same": [1]}
    after = {"a": "y", "b": 1.5, "new": True, "same": [1]}
    assert differences(before, after) == [
        Difference("a", '"x"', '"y"'),
        Difference("b", "1", "1.5"),
        Difference("gone", "null", ABSENT),
        Difference("new", ABSENT, "true"),
    ]


def test_true_is_not_one_and_a_whole_float_is_its_integer():
    assert differences({"a": True}, {"a": 1}) != []
    assert differences({"a": [{"b": False}]}, {"a": [{"b": 0}]}) != []
    assert differences({"a": 2.0}, {"a": 2}) == []


def test_two_secrets_differ_by_their_tags_alone():
    tagged = {"s": {**MASKED, "tag": "a"}}
    assert differences(tagged, {"s": {**MASKED, "tag": "b"}}) == [
        Difference("s", "(secret)", "(secret)")
    ]
    assert differences(tagged, dict(tagged)) == []


@given(CONFIG)
def test_nothing_differs_from_itself(config):
    assert differences(config, dict(config)) == []


def rows_of(versions):
    """The history that these versions leave, newest first."""
    rows, before = [], {}
    for number, config in enumerate(versions, 1):
        for key in sorted({*before, *config}):
            old, new = (json.dumps(c[key]) if key in c else None for c in (before, config))
            if old != new:
                rows.append({"key": key, "old_value_json": old, "version": number})
        before = config
    return rows[::-1]


@given(st.lists(CONFIG, max_size=8), st.data())
def test_undoing_the_history_gives_each_version_as_it_was(changes, data):
    versions = [{"first": 1}, *({"first": 1, **change} for change in changes)]
    number = data.draw(st.integers(1, len(versions)))
    found = undone(versions[-1], rows_of(versions), number)
    assert differences(found, versions[number - 1]) == []


def test_a_version_before_the_history_begins_is_refused():
    rows = [{"key": "a", "old_value_json": None, "version": 1001}]
    assert undone({"a": 1}, rows, 1001) == {"a": 1}
    with pytest.raises(InputError, match="no version 7"):
        undone({"a": 1}, rows, 7)
