"""Unit: a model is handed out only when every file is the listed one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from parlour_kit.errors import ParlourError
from parlour_kit.models import (
    ManifestError,
    ModelCorruptError,
    ModelMissingError,
    ModelUnknownError,
    check_files,
    load_manifest,
    resolve,
)

WEIGHTS = bytes(range(256)) * 40
CONFIG = b'{"a": 1}'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory, with a blank in its path, that holds one intact model."""
    folder = tmp_path / "my data"
    (folder / "models" / "mine" / "sub").mkdir(parents=True)
    listed = ""
    for path, content in {"model.bin": WEIGHTS, "sub/config.json": CONFIG}.items():
        (folder / "models" / "mine" / path).write_bytes(content)
        sha = hashlib.sha256(content).hexdigest()
        listed += f'{{ path = "{path}", size = {len(content)}, sha256 = "{sha}" }},'
    (folder / "models.toml").write_text(
        f'[models.mine]\nkind = "stt"\nlicence = "MIT"\ndescription = "x"\nfiles = [{listed}]\n'
    )
    return folder


def test_an_intact_model_is_handed_out_with_its_files(data: Path) -> None:
    found = resolve("mine", "stt", data)

    assert found.name == "mine"
    assert found.path == data / "models" / "mine"
    assert found.file(".bin").read_bytes() == WEIGHTS
    assert found.file("config.json").read_bytes() == CONFIG


def test_asking_for_a_file_that_is_not_listed_once_is_an_error_of_the_manifest(data: Path) -> None:
    found = resolve("mine", "stt", data)

    with pytest.raises(ManifestError, match=r"0 files ending in '\.gguf'"):
        found.file(".gguf")
    with pytest.raises(ManifestError, match="2 files ending in 'n'"):
        found.file("n")


@pytest.mark.req("C011")
def test_a_missing_model_names_the_command_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="base is not here") as caught:
        resolve("base", "stt", tmp_path)

    assert isinstance(caught.value, ParlourError)
    assert caught.value.code == "MODEL_MISSING"
    assert caught.value.hint == "parlour models pull base"
    assert not caught.value.retryable


def test_a_model_without_one_of_its_files_is_not_complete(data: Path) -> None:
    (data / "models/mine/model.bin").unlink()

    with pytest.raises(ModelMissingError, match=r"not complete \(model.bin: missing\)") as caught:
        resolve("mine", "stt", data)
    assert caught.value.hint == "parlour models pull mine"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (WEIGHTS[:-1], "10239 bytes instead of 10240"),
        (WEIGHTS + b"x", "10241 bytes instead of 10240"),
        (b"", "0 bytes"),
        (WEIGHTS[:-1] + b"\x00", "SHA-256"),
    ],
)
def test_a_changed_file_is_refused(data: Path, content: bytes, says: str) -> None:
    (data / "models/mine/model.bin").write_bytes(content)

    with pytest.raises(ModelCorruptError, match=says) as caught:
        resolve("mine", "stt", data)
    assert caught.value.code == "MODEL_CORRUPT"
    assert caught.value.hint == "parlour models pull mine"


def test_damage_outweighs_absence_and_both_are_named(data: Path) -> None:
    (data / "models/mine/model.bin").write_bytes(b"x")
    (data / "models/mine/sub/config.json").unlink()

    with pytest.raises(ModelCorruptError, match=r"sub/config\.json: missing"):
        resolve("mine", "stt", data)


def test_a_pipe_or_a_folder_in_place_of_a_file_does_not_block(data: Path) -> None:
    weights = data / "models/mine/model.bin"
    weights.unlink()
    os.mkfifo(weights)
    with pytest.raises(ModelCorruptError, match="is not a file"):
        resolve("mine", "stt", data)

    weights.unlink()
    weights.mkdir()
    with pytest.raises(ModelCorruptError, match="is not a file"):
        resolve("mine", "stt", data)


def test_a_file_in_place_of_the_folder_counts_as_missing(data: Path, tmp_path: Path) -> None:
    (data / "models/mine").rename(tmp_path / "away")
    (data / "models/mine").write_bytes(b"")

    with pytest.raises(ModelMissingError):
        resolve("mine", "stt", data)


def test_an_unknown_name_says_what_is_known_and_where_to_add_one(data: Path) -> None:
    with pytest.raises(ModelUnknownError, match=r"no stt model is named base\.en") as caught:
        resolve("base.en", "stt", data)

    assert caught.value.code == "MODEL_UNKNOWN"
    assert "known: base, mine, tiny.en" in str(caught.value)
    assert str(data / "models.toml") in caught.value.hint
    assert "docs/models.md" in caught.value.hint


def test_a_model_for_other_work_is_not_handed_out(data: Path) -> None:
    with pytest.raises(ModelUnknownError, match="mine is a model for stt"):
        resolve("mine", "tts", data)


@pytest.mark.parametrize(
    "name", ["../mine", "/etc", "mine/../mine", "", ".", "..", ".partial", "mine\n", "a" * 200]
)
def test_a_name_that_is_no_folder_name_is_refused(data: Path, name: str) -> None:
    with pytest.raises(ModelUnknownError, match="cannot be the name"):
        resolve(name, "stt", data)


def test_the_quick_check_compares_sizes_without_reading(data: Path) -> None:
    (data / "models/mine/model.bin").write_bytes(WEIGHTS[:-1] + b"\x00")
    entry = load_manifest(data).models["mine"]

    assert check_files(entry, data / "models/mine", contents=False) == []
    assert [p.kind for p in check_files(entry, data / "models/mine")] == ["hash"]


@pytest.mark.model
def test_the_starter_models_that_are_here_are_the_listed_ones(data_dir: Path) -> None:
    starters = {n: e.kind for n, e in load_manifest(data_dir).models.items() if e.starter}

    assert {name: resolve(name, kind, data_dir).name for name, kind in starters.items()} == {
        name: name for name in starters
    }
