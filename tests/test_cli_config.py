"""The commands against a whole config-manager: its database, its keys, its REST on a port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from parlour_cli.keys.places import keys_dir, token_file
from parlour_cli.seed import settings_file
from parlour_config.provision import rotation
from parlour_contracts.config import CONFIGS
from story_cli import Shell, managed, pipe

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a fleet of which config-manager runs."""
    folder = tmp_path_factory.mktemp("fleet")
    settings_file(folder, "router").parent.mkdir()
    settings_file(folder, "router").write_text('{"history_messages": 4}')
    with managed(folder) as found:
        yield found


@pytest.fixture
def sh(data: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(data, capsys)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a text on standard input."""

    return lambda text: pipe(monkeypatch, text)


def test_every_service_is_listed_and_its_settings_begin_with_the_seeds(sh: Shell) -> None:
    assert {row["service"] for row in sh.json("config", "get")} == set(CONFIGS)
    assert "no instance has reported" in sh.out("config", "get")
    assert sh.out("config", "get", "router", "history_messages") == "4\n"
    assert "taken from config/router.json" in sh.out("config", "history", "router")
    assert "database" in sh.out("config", "get", "router")


@pytest.mark.req("C050", "C077")
def test_a_setting_is_changed_with_a_reason_and_the_history_shows_it(sh: Shell) -> None:
    sh.out("config", "reset", "tts-worker")
    before = sh.version("tts-worker")
    told = sh.out("config", "set", "tts-worker", "tts.volume_percent=40", "speed=1.5",
                  "--reason", "too loud")  # fmt: skip

    assert told == f"tts-worker: accepted, version {before + 1}\n"
    assert sh.json("config", "get", "tts-worker", "volume_percent") == 40
    newest = sh.out("config", "history", "tts-worker", "--key", "volume_percent").splitlines()[1]
    assert newest.split()[0] == str(before + 1)
    assert newest.split()[2:] == ["admin", "volume_percent", "100", "40", "too", "loud"]

    code, _, err = sh.run("config", "set", "tts-worker", "speed=2", "--if-version", str(before))
    assert code == 1
    assert err.startswith("error: ")
    assert "hint: " in err


def test_the_same_change_twice_is_two_versions_and_not_one_that_is_answered_again(
    sh: Shell,
) -> None:
    for value in ("10", "20", "10"):
        sh.out("config", "set", "tts-worker", f"volume_percent={value}")
    assert sh.out("config", "get", "tts-worker", "volume_percent") == "10\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "tts-worker", "volume_percent=900"), 1, "0 to 200"),
        (("set", "tts-worker", "volume_percent=0.5"), 1, "volume_percent"),
        (("set", "tts-worker", "volume=1"), 2, "did you mean volume_percent?"),
        (("set", "ttsworker", "speed=1"), 1, "tts-worker"),
        (("set", "../keys", "speed=1"), 1, "there is no"),
        (("patch", "tts-worker", '{"speed": 90, "volume_percent": 900}'), 1, "volume_percent"),
        (("patch", "tts-worker", '{"nothing": 1}'), 1, "nothing"),
        (("rollback", "tts-worker", "4000"), 1, "4000"),
        (("history", "tts-worker", "--limit", "1001"), 1, "limit"),
        (("get", "tts-worker", "sped"), 2, "did you mean speed?"),
        (("diff", "tts-worker", "4000"), 2, "no version 4000"),
        (("set", "llm-worker", "api_key=0123456789ab"), 2, "secret set llm-worker api_key"),
        (("patch", "llm-worker", '{"api_key": "0123456789ab"}'), 1, "secret"),
    ],
)
def test_what_is_refused_is_told_in_words_with_what_to_do(
    sh: Shell, words: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = sh.run("config", *words)
    assert (found, out) == (code, "")
    assert said in err
    assert "hint: " in err
    assert "0123456789ab" not in err


def test_a_trial_changes_nothing(sh: Shell) -> None:
    before = sh.version("tts-worker")
    assert "nothing was changed" in sh.out("config", "set", "tts-worker", "speed=3", "--dry-run")
    assert sh.run("config", "set", "tts-worker", "speed=30", "--dry-run")[0] == 1
    assert sh.version("tts-worker") == before


@pytest.mark.req("C082")
def test_versions_are_compared_and_brought_back(sh: Shell) -> None:
    sh.out("config", "reset", "tts-worker")
    first = sh.version("tts-worker")
    assert sh.out("config", "diff", "tts-worker") == "no difference\n"
    sh.out("config", "set", "tts-worker", "speed=2", "volume_percent=50")
    sh.out("config", "set", "tts-worker", "volume_percent=60")

    assert sh.json("config", "diff", "tts-worker", str(first), str(first + 1)) == [
        {"key": "speed", "before": "1", "after": "2"},
        {"key": "volume_percent", "before": "100", "after": "50"},
    ]
    assert [d["key"] for d in sh.json("config", "diff", "tts-worker")] == [
        "speed",
        "volume_percent",
    ]

    assert f"version {first + 3}" in sh.out("config", "rollback", "tts-worker", str(first))
    assert sh.out("config", "diff", "tts-worker", str(first)) == "no difference\n"
    assert sh.out("config", "diff", "tts-worker") == "no difference\n"


def test_one_setting_alone_is_reset(sh: Shell) -> None:
    sh.out("config", "set", "tts-worker", "speed=2", "volume_percent=50")
    sh.out("config", "reset", "tts-worker", "tts.speed")
    found = sh.json("config", "get", "tts-worker")["config"]
    assert (found["speed"], found["volume_percent"]) == (1, 50)


def test_what_get_prints_can_be_edited_and_put_back_unless_somebody_was_faster(
    sh: Shell, typed: Callable[[str], None]
) -> None:
    read = sh.json("config", "get", "router")
    read["config"]["line_slow"] = "Patience."
    typed(json.dumps(read))
    sh.out("config", "put", "router", "-", "--reason", "edited")
    assert sh.out("config", "get", "router", "line_slow") == "Patience.\n"

    typed(json.dumps(read))
    code, _, err = sh.run("config", "put", "router", "-")
    assert code == 1
    assert "version" in err


def test_settings_are_found_and_described(sh: Shell) -> None:
    found = sh.json("config", "search", "volume")
    assert found["results"][0]["key"].endswith("volume_percent")
    assert "volume_percent" in sh.out("config", "search", "volume", "--service", "tts-worker")
    assert sh.out("config", "search", "zzz") == "nothing found\n"
    assert "0..200" in sh.out("config", "describe", "tts-worker")


@pytest.mark.req("C068")
def test_a_secret_is_set_from_standard_input_masked_everywhere_and_revealed_with_a_reason(
    sh: Shell, typed: Callable[[str], None]
) -> None:
    secret = "s3same-s3same"
    typed(secret + "\n")
    told = sh.out("config", "secret", "set", "llm-worker", "llm.api_key", "--reason", "contract")

    assert "api_key is set" in told
    shown = [
        sh.out("config", "get", "llm-worker"), sh.out("config", "history", "llm-worker"),
        sh.out("config", "search", "api_key"), sh.out("config", "diff", "llm-worker"),
        json.dumps(sh.json("config", "get", "llm-worker")),
    ]  # fmt: skip
    assert not any(secret in text for text in shown)
    assert "(secret)" in shown[0]
    revealed = sh.out("config", "secret", "reveal", "llm-worker", "api_key", "--reason", "moving")
    assert revealed == secret + "\n"

    version = sh.version("llm-worker")
    typed("another-s3same")
    sh.out("config", "secret", "set", "llm-worker", "api_key")
    assert sh.json("config", "diff", "llm-worker", str(version))[0]["key"] == "api_key"


def test_the_audit_log_is_whole(sh: Shell) -> None:
    assert sh.out("config", "audit", "verify").startswith("the audit log is whole: ")
    assert sh.json("config", "audit", "verify")["ok"] is True


@pytest.mark.req("C078", "C079")
def test_a_person_counts_from_the_next_request_on(sh: Shell, data: Path) -> None:
    """The running config-manager reads the file that the command wrote."""
    sh.out("users", "add", "reader", "--role", "read")
    token = sh.out("users", "token", "reader")
    mine = token_file(data, "admin").read_text()
    try:
        token_file(data, "admin").write_text(token)
        assert sh.out("config", "get", "tts-worker", "speed")
        code, _, err = sh.run("config", "set", "tts-worker", "speed=1")
        assert code == 1
        assert "needs the role write" in err
        sh.out("users", "remove", "reader")
        code, _, err = sh.run("config", "get", "tts-worker")
        assert code == 1
        assert "parlour users token admin" in err
    finally:
        token_file(data, "admin").write_text(mine)


@pytest.mark.req("C071")
@pytest.mark.parametrize("name", ["hmac", "master"])
def test_a_symmetric_key_is_rotated_in_one_command(sh: Shell, data: Path, name: Any) -> None:
    before = rotation(keys_dir(data), name).current
    key = sh.json("keys", "rotate", name)

    after = rotation(keys_dir(data), name)
    assert key["id"] == after.current != before
    assert before in after.previous
    assert key["state"] == "grace"
    assert key["id"] in sh.out("keys", "status")


@pytest.mark.req("C071")
def test_the_signing_key_is_rotated_with_the_root_key_that_lies_here_or_elsewhere(
    sh: Shell, data: Path, tmp_path: Path, typed: Callable[[str], None]
) -> None:
    before = rotation(keys_dir(data), "signing").current
    root = (keys_dir(data) / "root.key").rename(tmp_path / "root.key")
    code, _, err = sh.run("keys", "rotate", "signing")
    assert code == 2
    assert "parlour keys sign" in err
    drafted, signed = tmp_path / "draft.json", tmp_path / "signed.json"
    drafted.write_text(sh.out("keys", "draft"))
    signed.write_text(sh.out("keys", "sign", str(drafted), "--root-key", str(root)).strip())
    typed(signed.read_text())
    assert "keyset 1 is accepted" in sh.out("keys", "accept", "-")
    told = sh.out("keys", "rotate", "signing", "--reason", "six months")

    after = rotation(keys_dir(data), "signing")
    assert f"signing: key {after.current} is in use" in told
    assert after.current != before
    assert "keyset 1, signed by 1 root key(s)" in sh.out("keys", "status")
    assert "keyset 1 is accepted" in sh.out("keys", "accept", str(signed)), "again is no harm"


def test_an_operators_word_is_taken(sh: Shell) -> None:
    found = sh.json("config", "takeover", "--reason", "restored by hand")
    assert set(found) == {"config_epoch", "floor"}
    assert "done; epoch" in sh.out("config", "confirm-floor", "--reason", "checked")
    sh.out("config", "set", "tts-worker", "speed=1")
