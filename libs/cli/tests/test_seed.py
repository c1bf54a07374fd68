"""Unit: a first start takes the starter models only where the defaults are not here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parlour_cli import seed
from parlour_cli.broker.errors import DataDirError
from parlour_cli.seed import (
    MODEL_SETTINGS,
    choose_seeds,
    database,
    missing_kinds,
    seed_file,
    settings_file,
    write_seeds,
)
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


@pytest.fixture
def starters_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the starter models are installed."""
    monkeypatch.setattr(seed, "is_installed", lambda _m, _d, name: name in STARTERS.values())


@pytest.mark.usefixtures("starters_here")
def test_seeds_are_valid_settings_with_their_reasons(tmp_path: Path) -> None:
    said = write_seeds(tmp_path)

    written = json.loads(seed_file(tmp_path).read_text())
    assert written["stt-worker"]["settings"] == {"whisper_model": "base"}
    assert written["stt-worker"]["reason"] in said
    for service, entry in written.items():
        CONFIGS[service].model_validate(entry["settings"])


@pytest.mark.usefixtures("starters_here")
def test_what_a_person_wrote_down_is_taken_and_completed(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    settings_file(tmp_path, "tts-worker").write_text('{"piper_voice": "mine"}')
    settings_file(tmp_path, "stt-worker").write_text('{"beam_size": 1}')

    write_seeds(tmp_path)

    written = json.loads(seed_file(tmp_path).read_text())
    assert written["tts-worker"]["settings"] == {"piper_voice": "mine"}
    assert written["stt-worker"]["settings"] == {"beam_size": 1, "whisper_model": "base"}


@pytest.mark.usefixtures("starters_here")
def test_once_there_is_a_database_it_alone_counts(tmp_path: Path) -> None:
    database(tmp_path).parent.mkdir()
    database(tmp_path).touch()

    assert write_seeds(tmp_path) == []
    assert not seed_file(tmp_path).exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '"a"'])
def test_a_file_of_settings_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").mkdir()
    settings_file(tmp_path, "router").write_text(text)

    with pytest.raises(DataDirError, match=r"router\.json"):
        write_seeds(tmp_path)


def test_kinds_without_any_model_are_named(tmp_path: Path) -> None:
    assert missing_kinds(tmp_path) == ["llm", "stt", "tts"]
