"""Unit: who may do what on this machine, and what a first start makes for it."""

from __future__ import annotations

import json
import stat

import pytest
from parlour_cli.broker.choice import choose_broker
from parlour_cli.broker.running import BROKER_VARIABLE, REST_VARIABLE
from parlour_cli.broker.users import ensure_users, known_users, read_password
from parlour_cli.keys import users
from parlour_cli.keys.making import ensure_keys, people_of
from parlour_cli.keys.places import keys_dir, token_file, users_file
from parlour_cli.up.members import INSTANCES
from parlour_config.keyfolder import service_path
from parlour_config.users import UsersError, UsersFile
from parlour_contracts.acl import person_rules
from parlour_contracts.config import CONFIGS


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def token_of(data, name="admin"):
    return token_file(data, name).read_text().strip()


@pytest.mark.req("C069")
def test_a_first_start_makes_keys_an_administrator_and_a_token_and_the_next_one_nothing(tmp_path):
    made = ensure_keys(tmp_path)

    assert set(made) == {"config-manager.env", "root.key", "the admin's token", *CONFIGS}
    keys = keys_dir(tmp_path)
    files = [keys / "config-manager.env", keys / "root.key"]
    files += [service_path(keys, service) for service in CONFIGS]
    assert {mode(file) for file in files} == {0o600}
    assert {mode(file.parent) for file in files} == {0o700}
    assert mode(token_file(tmp_path, "admin")) == 0o600
    assert mode(users_file(tmp_path)) == 0o600
    assert mode(tmp_path / "secrets/api") == 0o700
    assert token_of(tmp_path) not in users_file(tmp_path).read_text()
    assert UsersFile(users_file(tmp_path)).by_token(token_of(tmp_path)).role == "admin"

    before = token_of(tmp_path)
    assert ensure_keys(tmp_path) == []
    assert token_of(tmp_path) == before


def test_a_fleet_whose_admin_was_replaced_by_another_starts(tmp_path):
    ensure_keys(tmp_path)
    users.add("ada", role="admin", data=tmp_path)
    assert users.remove("admin", data=tmp_path) == 0
    assert not token_file(tmp_path, "admin").exists()
    assert ensure_keys(tmp_path) == []


@pytest.mark.req("C078", "C079")
def test_somebody_is_added_listed_given_a_token_and_removed(tmp_path, capsys):
    assert users.add("ada", role="write", data=tmp_path) == 0
    told = capsys.readouterr().out
    assert "ada may write" in told
    assert "parlour credentials --user ada" in told
    assert read_password(tmp_path, "ada")

    assert users.token("ada", data=tmp_path) == 0
    token = capsys.readouterr().out.strip()
    file = UsersFile(users_file(tmp_path))
    assert file.by_token(token).name == "ada"
    assert not token_file(tmp_path, "ada").exists(), "somebody else's token is not kept"

    assert users.list_users(as_json=True, data=tmp_path) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "admin", "role": "admin", "token": False},
        {"name": "ada", "role": "write", "token": True},
    ]
    assert users.list_users(data=tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["ada", "write", "yes"]

    assert users.revoke("ada", data=tmp_path) == 0
    assert file.by_token(token) is None
    assert users.remove("ada", as_json=True, data=tmp_path) == 0
    assert file.get("ada") is None
    assert "ada" not in known_users(tmp_path)


def test_another_role_for_somebody_known_needs_no_new_password(tmp_path, capsys):
    users.add("ada", role="write", data=tmp_path)
    password = read_password(tmp_path, "ada")
    capsys.readouterr()
    assert users.add("ada", role="read", as_json=True, data=tmp_path) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "ada", "role": "read"}
    assert read_password(tmp_path, "ada") == password


def test_a_new_token_of_the_admin_is_the_one_that_the_commands_use(tmp_path, capsys):
    ensure_keys(tmp_path)
    assert users.token("admin", as_json=True, data=tmp_path) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "admin", "token": token_of(tmp_path)}

    assert users.revoke("admin", data=tmp_path) == 0
    assert not token_file(tmp_path, "admin").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (lambda data: users.token("nobody", data=data), "no user of that name"),
        (lambda data: users.remove("nobody", data=data), "no user of that name"),
        (lambda data: users.revoke("../../etc", data=data), "no user of that name"),
        (lambda data: users.remove("admin", data=data), "somebody must be an administrator"),
        (lambda data: users.add("router", role="read", data=data), "is taken by Parlour"),
        (lambda data: users.add("Ada Lovelace", role="read", data=data), "small letters"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path, capsys, command, said):
    ensure_keys(tmp_path)
    assert command(tmp_path) == 1
    assert said in capsys.readouterr().err


def test_people_have_a_password_and_their_rights_at_the_broker(tmp_path, monkeypatch):
    ensure_keys(tmp_path)
    users.add("ada", role="read", data=tmp_path)
    monkeypatch.setattr("parlour_cli.broker.choice.find_mosquitto", lambda: tmp_path / "mosquitto")
    people = people_of(tmp_path, INSTANCES)
    choose_broker("mosquitto", 0, tmp_path, INSTANCES, people)

    assert people == ["admin", "ada"]
    known = (tmp_path / "broker/passwd").read_text().splitlines()
    assert sorted(line.split(":")[0] for line in known) == sorted([*INSTANCES, "admin", "ada"])
    _, _, rules = (tmp_path / "broker/acl").read_text().partition("\nuser ada\n")
    assert rules.splitlines() == [f"topic {verb} {topic}" for verb, topic in person_rules()]


def test_the_embedded_broker_knows_people_too(tmp_path, monkeypatch):
    monkeypatch.setattr("parlour_cli.broker.choice.find_mosquitto", lambda: None)
    choose_broker("embedded", 0, tmp_path, {"router": "router"}, ["ada"])
    assert '"ada" = ' in (tmp_path / "broker/embedded.toml").read_text()


def test_on_a_foreign_broker_without_a_user_people_get_a_password_too(tmp_path, monkeypatch):
    monkeypatch.delenv("MQTT_USER", raising=False)
    choose_broker("mqtt://localhost", 0, tmp_path, {"router": "router"}, ["ada"])
    assert known_users(tmp_path) == ["ada", "admin", "router"]


def test_the_fleet_itself_speaks_as_admin_even_if_no_person_has_that_name(tmp_path, monkeypatch):
    monkeypatch.setattr("parlour_cli.broker.choice.find_mosquitto", lambda: None)
    assert choose_broker("auto", 0, tmp_path, {}, ["ada"]).admin.user == "admin"


def test_a_person_with_the_name_of_a_process_would_have_its_rights_and_is_refused(tmp_path):
    file = users_file(tmp_path)
    file.parent.mkdir()
    file.write_text('[{"name":"admin","role":"admin"},{"name":"router","role":"read"}]')
    with pytest.raises(UsersError, match="a person named router"):
        people_of(tmp_path, INSTANCES)


def test_passwords_of_people_stay(tmp_path):
    first = ensure_users(tmp_path, ["ada"])
    assert ensure_users(tmp_path, ["ada"]) == first


def test_somebody_added_to_containers_gets_no_password_that_their_broker_does_not_know(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv(BROKER_VARIABLE, "mqtt://broker:1883")
    monkeypatch.setenv(REST_VARIABLE, "http://127.0.0.1:8080")

    assert users.add("ada", role="write", data=tmp_path) == 0

    assert known_users(tmp_path) == []
    assert "the broker must know them, too" in capsys.readouterr().out
