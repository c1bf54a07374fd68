"""Unit: `parlour models` speaks to people and to programs, and ends with the right code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models import app
from parlour_cli.models.progress import PlainProgress
from parlour_kit.models import load_manifest
from parlour_testkit.model_hub import ModelHub, hub_source, models_toml

FILES = {"model.bin": b"weights" * 100, "config.json": b"{}"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory, with a blank in its path, whose models.toml lists the model ``mine``."""
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "models.toml").write_text(models_toml("mine", FILES, hub_source("mine")))
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    """The hub named by HF_ENDPOINT."""
    with ModelHub(FILES) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def run(*arguments: str | Path) -> object:
    return app([str(argument) for argument in arguments], result_action="return_value")


def pull_mine(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "mine", "--data", data) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("hub")
def test_a_model_is_pulled_listed_verified_and_removed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pull", "mine", "--data", data) == 0
    assert "mine: brought, 0.7 kB" in capsys.readouterr().out
    assert run("pull", "mine", "--data", data) == 0
    assert capsys.readouterr().out == "mine: already here\n"
    assert run("verify", "--data", data) == 0
    assert capsys.readouterr().out == "mine: good\n"
    assert run("rm", "mine", "--yes", "--data", data) == 0
    assert capsys.readouterr().out == "mine: removed\n"
    assert not (data / "models/mine").exists()
    assert run("verify", "--data", data) == 0
    assert "no model is in" in capsys.readouterr().out


@pytest.mark.usefixtures("hub")
def test_list_shows_every_known_model_and_its_state(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def states() -> dict[str, str]:
        assert run("list", "--json", "--data", data) == 0
        return {model["name"]: model["state"] for model in json.loads(capsys.readouterr().out)}

    assert states() == dict.fromkeys(load_manifest(data).models, "missing")
    pull_mine(data, capsys)
    assert states()["mine"] == "here"
    (data / "models/mine/config.json").unlink()
    assert states()["mine"] == "incomplete"
    (data / "models/mine/model.bin").write_bytes(b"x")
    assert states()["mine"] == "damaged"

    assert run("list", "--data", data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["NAME", "KIND", "STATE", "SIZE"]
    assert any(line.split()[:3] == ["mine", "stt", "damaged"] for line in lines)


def test_list_tells_programs_what_a_model_is(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("list", "--json", "--data", data)
    mine = next(m for m in json.loads(capsys.readouterr().out) if m["name"] == "mine")

    assert mine == {
        "name": "mine", "kind": "stt", "state": "missing", "starter": False, "size": 702,
        "licence": "MIT", "description": "A test model", "path": str(data / "models/mine"),
        "sources": ["hub"],
    }  # fmt: skip


@pytest.mark.usefixtures("hub")
def test_verify_finds_a_changed_byte_and_names_the_command_that_repairs_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull_mine(data, capsys)
    weights = data / "models/mine/model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")

    assert run("verify", "--data", data) == 1
    output = capsys.readouterr().out
    assert "mine: damaged" in output
    assert "model.bin: its content is not the listed one" in output
    assert f"parlour models pull mine --data '{data}'" in output

    assert run("verify", "--json", "--data", data) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["models"][0]["problems"][0] == {
        "file": "model.bin", "problem": "hash",
        "detail": "its content is not the listed one (SHA-256)",
    }  # fmt: skip

    assert run("pull", "mine", "--data", data) == 0
    assert run("verify", "--data", data) == 0


def test_verify_of_a_named_model_that_is_absent_fails(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", "mine", "--data", data) == 1
    assert "mine: missing" in capsys.readouterr().out


def test_verify_mentions_folders_that_no_manifest_lists(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "models/stranger").mkdir(parents=True)
    assert run("verify", "--data", data) == 0
    assert "stranger: not in models.toml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pull", "verify", "rm"])
@pytest.mark.parametrize("name", ["base.en", "../../etc", "mine/"])
def test_an_unknown_name_is_refused_in_words(
    data: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    assert run(command, name, "--data", data) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "hint: " in error


def test_an_unknown_name_stops_a_pull_before_anything_is_fetched(
    data: Path, hub: ModelHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pull", "mine", "base.en", "--data", data) == 2
    assert "no model is named base.en" in capsys.readouterr().err
    assert hub.requests == []


@pytest.mark.parametrize("command", ["pull", "rm"])
def test_naming_no_model_is_a_mistake(
    data: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(command, "--data", data) == 2
    assert "no model is named" in capsys.readouterr().err


def test_a_failed_model_does_not_keep_the_next_one_from_coming(
    data: Path, hub: ModelHub, capsys: pytest.CaptureFixture[str]
) -> None:
    with (data / "models.toml").open("a") as overlay:
        overlay.write(models_toml("other", FILES, hub_source("other", "no/where")))

    assert run("pull", "other", "mine", "--data", data) == 1
    captured = capsys.readouterr()
    assert "error: other: 127.0.0.1 has no such file" in captured.err
    assert "mine: brought" in captured.out


def test_starter_models_are_those_marked_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unreachable = models_toml("base", FILES).replace('kind = "stt"', 'kind = "stt"\nstarter = true')
    for name in ("smollm2-135m-instruct", "en_US-joe-medium"):
        unreachable += models_toml(name, FILES)
    (data / "models.toml").write_text(unreachable)

    assert run("pull", "--starter", "--data", data) == 1
    assert capsys.readouterr().err.count("names no source for") == 1


def test_a_broken_overlay_is_explained_and_not_a_stack_trace(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "models.toml").write_text("[models.x]\ncolour = 1\n")
    assert run("list", "--data", data) == 1
    error = capsys.readouterr().err
    assert str(data / "models.toml") in error
    assert "models.x.colour" in error


@pytest.mark.usefixtures("hub")
def test_rm_without_yes_and_without_a_terminal_removes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pull_mine(data, capsys)
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))

    assert run("rm", "mine", "--data", data) == 1
    assert "add --yes" in capsys.readouterr().err
    assert (data / "models/mine").is_dir()


def test_rm_of_an_absent_model_is_content(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rm", "mine", "--yes", "--data", data) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_rm_takes_an_unfinished_download_along(data: Path) -> None:
    partial = data / "models/.partial/mine/files"
    partial.mkdir(parents=True)
    assert run("rm", "mine", "--yes", "--data", data) == 0
    assert not partial.parent.exists()


@pytest.mark.usefixtures("hub")
def test_a_data_directory_that_is_a_file_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"")
    assert run("pull", "base", "--data", place) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.usefixtures("hub")
def test_without_an_argument_the_data_directory_of_the_environment_is_used(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOUR_DATA", str(data))
    assert run("pull", "mine") == 0
    assert (data / "models/mine").is_dir()


def test_the_data_directory_is_the_argument_the_variable_or_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("PARLOUR_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    assert resolve_data_dir(Path("~/here")) == Path("/home/somebody/here")
    assert resolve_data_dir(Path("here")).is_absolute()
    assert resolve_data_dir(None) == tmp_path / "named"
    monkeypatch.setenv("PARLOUR_DATA", "")
    assert resolve_data_dir(None) == Path("/xdg/parlour")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert resolve_data_dir(None) == Path("/home/somebody/.local/share/parlour")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert resolve_data_dir(None) == Path("/home/somebody/.local/share/parlour")


def test_plain_progress_shows_a_line_every_few_percent_and_not_too_often() -> None:
    now = 0.0
    shown = StringIO()
    progress = PlainProgress(shown, lambda: now)
    progress.begin("mine", 10_000_000)
    for done in range(0, 10_000_001, 100_000):
        now += 0.5
        progress.at(done)

    lines = shown.getvalue().splitlines()
    assert lines[0] == "mine: 5 % of 10.0 MB"
    assert lines[-1] == "mine: 100 % of 10.0 MB"
    assert len(lines) == 20


@given(st.lists(st.integers(0, 2_000_000)))
def test_plain_progress_never_shows_the_same_percent_twice_in_a_row(steps: list[int]) -> None:
    now = 0.0
    shown = StringIO()
    progress = PlainProgress(shown, lambda: now)
    progress.begin("mine", 2_000_000)
    for done in steps:
        now += 10
        progress.at(done)

    lines = shown.getvalue().splitlines()
    rising = [line for line, next_ in pairwise(lines) if line == next_]
    falls = sum(b < a for a, b in pairwise(steps))
    assert len(rising) <= falls
