"""Unit: a first start takes the starter models only where the defaults are not here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parlour_cli import seed
from parlour_cli.seed import MODEL_SETTINGS, choose_seeds, missing_kinds, write_seeds
from parlour_cli.up.members import config_file
from parlour_contracts.config import CONFIGS

STARTERS = {"stt": "base", "llm": "smollm2-135m-instruct", "tts": "en_US-joe-medium"}
ALL = list(MODEL_SETTINGS)


def test_the_starter_is_taken_where_the_default_is_missing_and_the_reason_is_said() -> None:
    seeds = choose_seeds(STARTERS, lambda name: name in STARTERS.values(), ALL)
    assert {(s.service, s.setting, s.value) for s in seeds} == {
        ("stt-worker", "whisper_model", "base"),
        ("tts-worker", "piper_voice", "en_US-joe-medium"),
    }
    assert "using starter model base for whisper_model because base.en is not installed" in str(
        seeds[0]
    )


def test_an_installed_default_stays() -> None:
    assert choose_seeds(STARTERS, lambda _name: True, ALL) == []


def test_a_starter_that_is_not_here_either_is_not_written_down() -> None:
    assert choose_seeds(STARTERS, lambda _name: False, ALL) == []


def test_seeds_are_valid_settings_and_never_replace_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed, "is_installed", lambda _m, _d, name: name in STARTERS.values())
    own = config_file(tmp_path, "tts-worker")
    own.parent.mkdir()
    own.write_text('{"piper_voice": "mine"}')
    assert [s.service for s in write_seeds(tmp_path, config_file)] == ["stt-worker"]
    assert own.read_text() == '{"piper_voice": "mine"}'
    written = config_file(tmp_path, "stt-worker").read_text()
    assert json.loads(written) == {"whisper_model": "base"}
    CONFIGS["stt-worker"].model_validate_json(written)
    assert write_seeds(tmp_path, config_file) == []


def test_kinds_without_any_model_are_named(tmp_path: Path) -> None:
    assert missing_kinds(tmp_path) == ["llm", "stt", "tts"]
