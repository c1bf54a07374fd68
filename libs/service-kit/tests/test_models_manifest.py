"""Unit: models.toml is read strictly and every problem is named at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.config import LLMWorkerConfig, STTWorkerConfig, TTSWorkerConfig
from parlour_kit.models import HubSource, ManifestError, PypiSource, load_manifest, parse_manifest
from parlour_kit.models.manifest import MAX_MANIFEST_BYTES, is_model_name

SHA = "0" * 64
GOOD = f"""
kinds = ["stt"]
[models.mine]
kind = "stt"
licence = "MIT"
description = "A model"
files = [{{ path = "model.bin", size = 3, sha256 = "{SHA}" }}]
"""
HUB = '[[models.mine.sources]]\ntype = "hub"\nrepo = "me/mine"\nrevision = "{}"\n'


def problems(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "here/models.toml")
    assert caught.value.code == "MODEL_MANIFEST_INVALID"
    assert "docs/models.md" in caught.value.hint
    assert str(caught.value).startswith("here/models.toml ")
    return str(caught.value)


def test_packaged_manifest_lists_the_starter_models_each_with_a_source() -> None:
    manifest = load_manifest()

    starters = {name: entry.kind for name, entry in manifest.models.items() if entry.starter}
    assert starters == {
        "base": "stt",
        "smollm2-135m-instruct": "llm",
        "en_US-joe-medium": "tts",
    }
    assert all(entry.sources for entry in manifest.models.values())


def test_packaged_names_can_be_held_by_the_settings() -> None:
    manifest = load_manifest()

    for name in manifest.names("stt"):
        assert STTWorkerConfig(whisper_model=name).whisper_model == name
    for name in manifest.names("llm"):
        assert LLMWorkerConfig(model=name).model == name
    for name in manifest.names("tts"):
        assert TTSWorkerConfig(piper_voice=name).piper_voice == name


def test_whisper_base_is_joined_from_the_two_packages_in_order() -> None:
    (source,) = load_manifest().models["base"].sources

    assert isinstance(source, PypiSource)
    assert [part.rpartition(".")[2] for part in source.files["model.bin"]] == ["part1", "part2"]


def test_hub_source_takes_the_same_path_unless_mapped() -> None:
    text = GOOD + HUB.format("a" * 40) + 'files = { "model.bin" = "onnx/weights.bin" }\n'
    (source,) = parse_manifest(text, "x").models["mine"].sources

    assert isinstance(source, HubSource)
    assert source.remote("model.bin") == "onnx/weights.bin"
    assert source.remote("other.json") == "other.json"


def test_every_problem_is_named_at_once() -> None:
    text = f"""
    kinds = ["stt"]
    [models."../up"]
    kind = "stt"
    licence = "MIT"
    description = "x"
    files = [{{ path = "a", size = 1, sha256 = "{SHA}" }}]
    [models.one]
    kind = "stt"
    licence = ""
    description = "x"
    colour = "blue"
    files = [{{ path = "../a", size = "3", sha256 = "beef" }}]
    [models.two]
    kind = "stt"
    licence = "MIT"
    description = "x"
    files = [{{ path = "a", size = 1, sha256 = "{SHA}" }}, {{ path = "a", size = 1, sha256 = "{SHA}" }}]
    """
    message = problems(text)

    for part in ("../up", "one.licence", "one.colour", "files.0.path", "files.0.size",
                 "files.0.sha256", "models.two", "'a' is listed twice"):  # fmt: skip
        assert part in message
    assert "7 problem(s)" in message


@pytest.mark.parametrize(
    ("revision", "good"), [("a" * 40, True), ("main", False), ("v1.0", False), ("a" * 39, False)]
)
def test_a_hub_revision_is_a_commit_because_branches_and_tags_move(
    revision: str, good: bool
) -> None:
    text = GOOD + HUB.format(revision)
    if good:
        assert parse_manifest(text, "x").models["mine"].sources
    else:
        assert "revision" in problems(text)


@pytest.mark.parametrize(
    "requirement",
    ["pkg", "pkg>=1", "-r evil.txt", "--index-url=http://x", "pkg @ http://x/y.whl", "pkg==*"],
)
def test_a_package_is_pinned_to_one_version_and_is_nothing_else(requirement: str) -> None:
    text = (
        GOOD + '[[models.mine.sources]]\ntype = "pypi"\n'
        f'packages = {{ pkg = "{requirement}" }}\nfiles = {{ "model.bin" = ["pkg/m.bin"] }}\n'
    )
    assert "sources.0.pypi.packages.pkg" in problems(text)


def test_a_pypi_source_must_cover_every_file_from_packages_it_names() -> None:
    text = (
        GOOD + '[[models.mine.sources]]\ntype = "pypi"\n'
        'packages = { pkg = "pkg==1.0", spare = "spare==1.0" }\n'
        'files = { "other.bin" = ["elsewhere/m.bin"] }\n'
    )
    message = problems(text)

    assert "'elsewhere'" in message
    assert "'spare'" in message
    assert "where 'model.bin' comes from" in message
    assert "'other.bin' is not a file of the model" in message


def test_a_file_cannot_also_be_a_folder() -> None:
    text = GOOD.replace("}]", f'}}, {{ path = "model.bin/x", size = 1, sha256 = "{SHA}" }}]')
    assert "both a file and a folder" in problems(text)


def test_an_undeclared_kind_is_refused() -> None:
    assert "'stt' is not one of" in problems(GOOD.replace('kinds = ["stt"]', 'kinds = ["tts"]'))


def test_text_that_is_not_toml_is_refused_with_the_place() -> None:
    assert "line 2" in problems("\nkinds = = 1")


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../b", "a//b", "a\\b", ".hidden", "a/.git", "", "C:x", "a\nb",
             "a\x00b", "x/" * 9 + "x", "x" * 200],
)  # fmt: skip
def test_paths_that_leave_the_folder_or_hide_are_refused(path: str) -> None:
    quoted = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\x00", "\\u0000")
    assert "files.0.path" in problems(GOOD.replace("model.bin", quoted))


@given(st.text(max_size=30))
def test_a_model_name_is_always_one_plain_folder_name(name: str) -> None:
    if is_model_name(name):
        assert re.fullmatch(r"[\w.-]+", name, re.ASCII)
        assert Path("root", name).parent == Path("root")
        assert name not in {".", ".."}


@given(st.text(max_size=300))
def test_any_text_is_either_a_manifest_or_a_named_problem(text: str) -> None:
    try:
        manifest = parse_manifest(text, "x")
    except ManifestError as error:
        named = str(error)
    else:
        named = repr(manifest)
    assert named


def test_overlay_adds_models_and_replaces_packaged_ones(tmp_path: Path) -> None:
    own = GOOD.replace('kinds = ["stt"]\n', "") + GOOD.split("\n", 2)[2].replace("mine", "base")
    (tmp_path / "models.toml").write_text(own)
    manifest = load_manifest(tmp_path)

    assert {"mine", "base", "en_US-joe-medium"} <= set(manifest.models)
    assert manifest.models["base"].description == "A model"


def test_overlay_may_declare_a_kind_of_its_own(tmp_path: Path) -> None:
    own = GOOD.replace('kinds = ["stt"]', 'kinds = ["wake"]').replace(
        'kind = "stt"', 'kind = "wake"'
    )
    (tmp_path / "models.toml").write_text(own)

    assert load_manifest(tmp_path).names("wake") == ["mine"]


def test_without_an_overlay_the_packaged_models_stand(tmp_path: Path) -> None:
    assert load_manifest(tmp_path) == load_manifest()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\xff\xfe", "not UTF-8"), (b"#" * (MAX_MANIFEST_BYTES + 1), "larger than")],
)
def test_a_hostile_overlay_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "models.toml").write_bytes(content)
    with pytest.raises(ManifestError, match=says) as caught:
        load_manifest(tmp_path)
    assert str(tmp_path / "models.toml") in str(caught.value)


def test_an_overlay_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models.toml").mkdir()
    with pytest.raises(ManifestError, match="cannot be read"):
        load_manifest(tmp_path)
