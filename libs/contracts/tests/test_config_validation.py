"""A wrong configuration is refused key by key, with what would be right and never the value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.config import CONFIGS, validate_config
from parlour_contracts.messages.requests import Problem


def problem(service: str, config: dict[str, Any]) -> Problem:
    model, problems = validate_config(service, config)
    assert model is None
    assert len(problems) == 1
    return problems[0]


@pytest.mark.req("C001")
@pytest.mark.parametrize("service", CONFIGS)
def test_the_defaults_of_a_service_are_valid_and_complete(service):
    model, problems = validate_config(service, {})
    assert problems == []
    assert model is not None
    again, _ = validate_config(service, model.model_dump())
    assert again == model


@pytest.mark.req("C001")
def test_an_integer_passes_for_a_float_because_json_may_write_it_so():
    model, problems = validate_config("stt-worker", {"vad_threshold": 1})

    assert problems == []
    assert isinstance(model.vad_threshold, float)


@pytest.mark.req("C001")
@pytest.mark.parametrize(
    ("service", "key", "value", "words", "allowed"),
    [
        ("tts-worker", "volume_percent", True, "must be a whole number", "0 to 200"),
        ("tts-worker", "volume_percent", "40", "must be a whole number", "0 to 200"),
        ("tts-worker", "volume_percent", 40.5, "must be a whole number", "0 to 200"),
        ("tts-worker", "volume_percent", 201, "is too large", "0 to 200"),
        ("tts-worker", "volume_percent", -1, "is too small", "0 to 200"),
        ("tts-worker", "volume_percent", None, "must be a whole number", "0 to 200"),
        ("tts-worker", "speed", True, "must be a number", "0.25 to 4"),
        ("tts-worker", "speed", float("nan"), "must be a finite number", "0.25 to 4"),
        ("tts-worker", "tts_streaming", 1, "must be true or false", "true or false"),
        ("tts-worker", "piper_voice", 7, "must be text", None),
        ("tts-worker", "piper_voice", "a/../b", "does not have the right form", None),
        ("stt-worker", "stt_backend", "x", "must be one of the allowed values", "whisper, ws"),
        ("stt-worker", "language", "english", "language must be in format: en-US", None),
        ("router", "think_timeout_s", 0, "is too small", "more than 0, at most 120"),
        ("router", "line_empty", "", "is too short", "1 to 300 characters"),
        ("router", "system_prompt", "x" * 8001, "is too long", "1 to 8000 characters"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(service, key, value, words, allowed):
    found = problem(service, {key: value})

    assert (found.key, found.problem) == (key, words)
    if allowed is not None:
        assert found.allowed == allowed


@pytest.mark.req("C001")
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("volume_procent", "unknown setting; did you mean volume_percent?"),
        ("tts.volume_percent", "unknown setting; write volume_percent"),
        ("zzz", "unknown setting"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_one(key, words):
    found = problem("tts-worker", {key: 40})

    assert (found.key, found.problem) == (key, words)


def test_all_problems_are_told_at_once():
    _, problems = validate_config("tts-worker", {"speed": 9, "volume_percent": "x", "nope": 1})

    assert {p.key for p in problems} == {"speed", "volume_percent", "nope"}


@pytest.mark.req("C011", "C028")
@pytest.mark.parametrize(
    ("service", "config", "key"),
    [
        ("router", {"router_stream_min_chars": 300}, "router_stream_max_chars"),
        ("stt-worker", {"stt_backend": "ws"}, "ws_url"),
    ],
)
def test_a_rule_between_settings_names_the_one_to_be_changed(service, config, key):
    found = problem(service, config)

    assert found.key == key
    assert key in found.problem


def test_an_unknown_service_has_no_settings():
    with pytest.raises(KeyError):
        validate_config("memory-worker", {})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(list(CONFIGS)).flatmap(
        lambda service: st.tuples(
            st.just(service),
            st.dictionaries(
                st.sampled_from(list(CONFIGS[service].model_fields)) | st.text(max_size=300),
                VALUES,
                max_size=4,
            ),
        )
    )
)
@pytest.mark.req("C001", "F16")
def test_any_configuration_is_either_taken_whole_or_refused_with_a_problem(case):
    service, config = case
    model, problems = validate_config(service, config)

    assert (model is None) is bool(problems)
    if model is not None:
        for key, value in config.items():
            assert getattr(model, key) == value
            assert type(getattr(model, key)) in (type(value), float)


@given(st.text(alphabet="xyz0123456789", min_size=12, max_size=200))
def test_no_problem_repeats_a_value(text):
    for service, model in CONFIGS.items():
        for key in model.model_fields:
            _, problems = validate_config(service, {key: {"$secret": text}})
            assert not any(text in p.model_dump_json() for p in problems)
