"""Unit: the broker's users, passwords and configuration."""

from __future__ import annotations

import base64
import hashlib
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from parlour_cli.broker.choice import choose_broker
from parlour_cli.broker.embedded import MAX_PAYLOAD, render_toml
from parlour_cli.broker.errors import BrokerError, DataDirError, UnknownUserError
from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.mosquitto import render_conf
from parlour_cli.broker.users import (
    ensure_users,
    hash_password,
    read_password,
    render_passwords,
    secret_file,
)
from parlour_cli.prepare.accounts import prepare

ROOT = Path(__file__).parents[3]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_user_has_a_password_of_its_own_that_only_the_owner_reads_and_that_stays(
    tmp_path: Path,
) -> None:
    first = ensure_users(tmp_path, ["admin", "router"])
    assert len(set(first.values())) == 2
    assert all(len(password) >= 32 for password in first.values())
    assert mode(secret_file(tmp_path, "admin")) == 0o600
    assert mode(tmp_path / "secrets") == 0o700
    assert ensure_users(tmp_path, ["admin", "router"]) == first


@pytest.mark.parametrize("user", ["bob", "../../etc/passwd", "", "a/b", "A", "x" * 500])
def test_an_unknown_user_is_refused_by_name_and_never_becomes_a_path(
    tmp_path: Path, user: str
) -> None:
    ensure_users(tmp_path, ["admin"])
    with pytest.raises(UnknownUserError, match="known: admin"):
        read_password(tmp_path, user)


def test_a_password_is_hashed_as_pbkdf2_sha512() -> None:
    line = hash_password("hello", b"0123456789ab")
    _, kind, iterations, salt, digest = line.split("$")
    assert (kind, iterations) == ("7", "101")
    expected = hashlib.pbkdf2_hmac("sha512", b"hello", base64.b64decode(salt), 101)
    assert base64.b64decode(digest) == expected
    assert render_passwords({"admin": "x"}).startswith("admin:$7$101$")


def test_the_hash_is_the_one_that_mosquitto_passwd_makes(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    file = tmp_path / "passwd"
    subprocess.run([tool, "-c", "-b", str(file), "admin", "hello"], check=True, capture_output=True)
    made = file.read_text().strip()
    salt = base64.b64decode(made.split("$")[3])
    assert made == f"admin:{hash_password('hello', salt)}"


def settings(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all("#" not in line for line in lines), "text after a value becomes part of it"
    return dict(line.split(" ", 1) for line in lines)


def test_mosquitto_listens_on_the_loopback_only_and_knows_everybody_by_password() -> None:
    found = settings(render_conf(Path("/a b/broker"), 1999, as_root=False))
    assert found["listener"] == "1999 127.0.0.1"
    assert found["allow_anonymous"] == "false"
    assert found["acl_file"] == "/a b/broker/acl"
    assert found["persistence_location"] == "/a b/broker/store/"
    assert "user" not in found
    assert settings(render_conf(Path("/d"), 1, as_root=True))["user"] == "root"


def test_the_configuration_in_the_repository_says_the_same() -> None:
    """`mosquitto/mosquitto.conf` and the one that `parlour up` writes differ in places alone."""
    places = {"listener", "password_file", "acl_file", "persistence_location", "user", "include_dir",
              "log_dest", "log_type", "connection_messages", "log_timestamp_format"}  # fmt: skip
    ours = settings(render_conf(Path("/d"), 1, as_root=False))
    theirs = settings((ROOT / "mosquitto/mosquitto.conf").read_text())
    assert {k: v for k, v in ours.items() if k not in places} == {
        k: v for k, v in theirs.items() if k not in places
    }


def test_the_embedded_broker_asks_for_passwords_on_the_loopback_and_takes_large_messages() -> None:
    found = tomllib.loads(render_toml(1999, {"admin": "pass-word_1", "stt-worker": "b"}))
    listener = found["v5"]["1"]
    assert listener["listen"] == "127.0.0.1:1999"
    assert listener["connections"]["auth"] == {"admin": "pass-word_1", "stt-worker": "b"}
    assert listener["connections"]["max_payload_size"] == MAX_PAYLOAD
    assert "v4" not in found


def test_a_password_cannot_break_out_of_the_configuration() -> None:
    with pytest.raises(ValueError, match="letters"):
        render_toml(1, {"admin": '"\n[v4.1]'})


def test_a_private_folder_is_closed_to_others_and_a_line_break_in_its_path_refused(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    make_private_dir(folder)
    assert mode(folder) == 0o700
    with pytest.raises(DataDirError, match="line break"):
        make_private_dir(tmp_path / "a\nallow_anonymous true")


def test_a_file_in_the_way_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirError, match="cannot be used"):
        make_private_dir(tmp_path / "file" / "data")
    with pytest.raises(DataDirError, match="cannot be written"):
        write_private(tmp_path / "nowhere" / "x", "y")


def test_the_password_of_a_foreign_broker_goes_into_a_file_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MQTT_USER", "MQTT_PASSWORD", "MQTT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    broker = choose_broker(
        "mqtts://me:p%40ss@broker.example:8884", 0, tmp_path, {"router": "router"}
    )
    assert (broker.kind, broker.url, broker.command) == (
        "foreign",
        "mqtts://broker.example:8884",
        None,
    )
    assert (broker.host, broker.port) == ("broker.example", 8884)
    environment = broker.environment("router")
    assert environment["MQTT_USER"] == "me"
    assert "p@ss" not in str(environment)
    file = Path(environment["MQTT_PASSWORD_FILE"])
    assert file.read_text().strip() == "p@ss"
    assert mode(file) == 0o600


def test_the_rooms_that_were_prepared_have_their_account_with_every_start_of_the_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, ["kitchen"], ["alice"])
    monkeypatch.setattr("parlour_cli.broker.choice.find_mosquitto", lambda: Path("/bin/true"))

    broker = choose_broker("mosquitto", 0, tmp_path, {"router": "router"})

    assert broker.kind == "mosquitto"
    passwords = (tmp_path / "broker" / "passwd").read_text()
    assert "kitchen:" in passwords
    assert "alice:" not in passwords, "a person's account comes with the person's role"
    acl = (tmp_path / "broker" / "acl").read_text()
    assert "topic read system/config/satellite" in acl.partition("user kitchen\n")[2]


def test_on_a_foreign_broker_without_a_user_each_process_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MQTT_USER", raising=False)
    broker = choose_broker("mqtt://localhost", 0, tmp_path, {"router": "router"})
    environment = broker.environment("router")
    assert environment["MQTT_USER"] == "router"
    assert broker.admin.user == "admin"
    assert Path(environment["MQTT_PASSWORD_FILE"]).read_text() != broker.admin.password


@pytest.mark.parametrize(
    "wanted", ["http://x", "mqtt://", "mqtt://h:99999", "mosquito", "secret:hunter2@h"]
)
def test_what_is_no_broker_is_refused_without_repeating_it(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(BrokerError) as caught:
        choose_broker(wanted, 0, tmp_path, {})
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_without_mosquitto_auto_takes_the_embedded_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parlour_cli.broker.choice.find_mosquitto", lambda: None)
    assert choose_broker("auto", 0, tmp_path, {"router": "router"}).kind == "embedded"
    with pytest.raises(BrokerError, match="not installed"):
        choose_broker("mosquitto", 0, tmp_path, {})
