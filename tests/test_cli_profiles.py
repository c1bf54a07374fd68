"""Profiles and the rebuild, from the command line down to the database of a config-manager."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from parlour_cli.keys.places import token_file
from story_cli import PATIENCE_S, Shell, managed, pipe

pytestmark = pytest.mark.broker
QUIET = '{"tts-worker": {"tts.volume_percent": 20}, "router": {"history_messages": 6}}'
TOKEN = "opens-the-coal-cellar"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with managed(tmp_path_factory.mktemp("fleet"), rebuild_token=TOKEN) as found:
        yield found


@pytest.fixture
def sh(data: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Types commands, and leaves no profile behind."""
    shell = Shell(data, capsys)
    yield shell
    for kept in shell.json("config", "profile", "list"):
        shell.out("config", "profile", "delete", kept["name"])


@pytest.mark.req("C083")
def test_a_profile_is_kept_shown_applied_and_forgotten(sh: Shell) -> None:
    assert sh.out("config", "profile", "list") == "there is no profile yet\n"
    told = sh.out("config", "profile", "save", "at night", QUIET, "--description", "all asleep")
    assert told == "at night: kept, with settings of router, tts-worker\n"
    listed = sh.out("config", "profile", "list").splitlines()[1]
    assert listed.startswith("at night  router, tts-worker  20")
    assert listed.endswith("admin  all asleep")
    found = sh.out("config", "profile", "show", "at night").splitlines()
    assert [line.split() for line in found[1:3]] == [
        ["router", "history_messages", "6"], ["tts-worker", "volume_percent", "20"],
    ]  # fmt: skip

    before = {service: sh.version(service) for service in ("router", "tts-worker")}
    told = sh.out("config", "profile", "apply", "at night", "--reason", "bedtime")
    assert told.splitlines() == [f"{s}: accepted, version {v + 1}" for s, v in before.items()]
    assert sh.out("config", "get", "tts-worker", "volume_percent") == "20\n"
    assert "profile at night: bedtime" in sh.out("config", "history", "router")

    assert "forgotten" in sh.out("config", "profile", "delete", "at night")
    assert sh.json("config", "profile", "list") == []
    assert sh.out("config", "get", "router", "history_messages") == "6\n"


def test_without_settings_a_profile_takes_what_is_set_now(sh: Shell) -> None:
    sh.out("config", "set", "tts-worker", "speed=1.5")
    sh.out("config", "profile", "save", "now")
    sh.out("config", "set", "tts-worker", "speed=2")
    sh.out("config", "profile", "apply", "now", "--reason", "as before")
    assert sh.json("config", "get", "tts-worker", "speed") == 1.5


def test_what_show_prints_can_be_edited_and_kept_under_another_name(
    sh: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    sh.out("config", "profile", "save", "night", QUIET, "--description", "all asleep")
    read = sh.json("config", "profile", "show", "night")
    read["settings"]["tts-worker"]["volume_percent"] = 30
    pipe(monkeypatch, json.dumps(read))
    kept = sh.json("config", "profile", "save", "evening", "-")

    assert (kept["name"], kept["description"]) == ("evening", "all asleep")
    assert kept["settings"]["tts-worker"] == {"volume_percent": 30}
    assert sh.json("config", "profile", "show", "night")["settings"]["tts-worker"] == {
        "volume_percent": 20
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "nowhere"), 1, "parlour config profile list"),
        (("apply", "nowhere", "--reason", "x"), 1, "there is no profile 'nowhere'"),
        (("delete", "nowhere"), 1, "there is no profile 'nowhere'"),
        (("save", "a", '{"tts-worker": {"volume_percent": 900}}'), 1, "0 to 200"),
        (("save", "a", '{"ttsworker": {"speed": 1}}'), 1, "ttsworker"),
        (("save", "a", '{"tts-worker": {"tempo": 1}}'), 1, "has no setting"),
        (("save", "a", '{"llm-worker": {"api_key": "0123456789ab"}}'), 1, "is a secret"),
        (("save", "a", "{}"), 1, "settings of 1 to"),
        (("save", "a", '{"tts-worker": 1}'), 2, "no JSON object"),
        (("save", "a", "[1]"), 2, "no JSON object"),
        (("save", "a/b", QUIET), 2, "without a slash"),
        (("save", "..", QUIET), 2, "'..' cannot name a profile"),
        (("show", ""), 2, "'' cannot name a profile"),
        (("save", "a" * 101, QUIET), 1, "name"),
    ],
)
def test_what_is_refused_is_told_in_words_and_nothing_is_kept(
    sh: Shell, words: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = sh.run("config", "profile", *words)
    assert (found, out) == (code, "")
    assert said in err
    assert "hint: " in err
    assert "0123456789ab" not in err
    assert sh.json("config", "profile", "list") == []


@pytest.mark.req("C078")
def test_a_reader_sees_profiles_and_changes_nothing(
    sh: Shell, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sh.out("config", "profile", "save", "night", QUIET)
    sh.out("users", "add", "reader", "--role", "read")
    mine = token_file(data, "admin").read_text()
    try:
        token_file(data, "admin").write_text(sh.out("users", "token", "reader"))
        assert sh.json("config", "profile", "show", "night")["name"] == "night"
        for words in (("save", "x"), ("apply", "night", "--reason", "x"), ("delete", "night")):
            code, _, err = sh.run("config", "profile", *words)
            assert code == 1
            assert "needs the role write" in err
        monkeypatch.setenv("REBUILD_TOKEN", TOKEN)
        code, _, err = sh.run("config", "rebuild", "--reason", "x", "--yes")
        assert code == 1
        assert "needs the role admin" in err
    finally:
        token_file(data, "admin").write_text(mine)


@pytest.mark.req("C073")
def test_a_database_in_order_is_not_made_anew(sh: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = sh.run("config", "rebuild", "--reason", "to see")
    assert (code, out) == (1, "")
    assert "add --yes" in err

    pipe(monkeypatch, "not the token\n")
    code, _, err = sh.run("config", "rebuild", "--reason", "to see", "--yes")
    assert code == 1
    assert "REBUILD_TOKEN" in err

    pipe(monkeypatch, f"{TOKEN}\n")
    code, _, err = sh.run("config", "rebuild", "--reason", "to see", "--yes")
    assert code == 1
    assert "the database is not damaged" in err
    assert TOKEN not in err


@pytest.mark.req("C073")
def test_a_damaged_database_is_made_anew_by_who_knows_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config-manager"
    folder.mkdir(parents=True)
    (folder / "config.db").write_bytes(b"no database at all " * 500)
    with managed(tmp_path, rebuild_token=TOKEN) as data:
        sh = Shell(data, capsys)
        assert sh.run("config", "set", "tts-worker", "speed=2")[0] == 1
        monkeypatch.setenv("REBUILD_TOKEN", TOKEN)
        assert sh.json("config", "rebuild", "--reason", "flipped bytes", "--yes") == {}

        end = time.monotonic() + PATIENCE_S
        while sh.run("config", "set", "tts-worker", "speed=2")[0] != 0:
            assert time.monotonic() < end, "nothing can be changed yet"
            time.sleep(0.2)
    told = json.loads((folder / "rebuild.info").read_text())
    assert (told["by"], told["why"]) == ("admin", "flipped bytes")
