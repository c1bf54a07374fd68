"""Unit: one fleet to a data directory, and where the other commands find it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from parlour_cli import credentials
from parlour_cli.app import app
from parlour_cli.broker.address import check_port, free_port, server_ports
from parlour_cli.broker.errors import AlreadyRunningError, BrokerError, NotRunningError
from parlour_cli.broker.files import write_private
from parlour_cli.broker.running import (
    BROKER_VARIABLE,
    REST_VARIABLE,
    RunRecord,
    foreign_password_file,
    holding,
    mqtt_options,
    publish_record,
    running,
    withdraw_record,
)
from parlour_cli.broker.users import ensure_users


def record(**changes: object) -> RunRecord:
    values = {
        "pid": os.getpid(),
        "port": 1999,
        "url": "mqtt://127.0.0.1:1999",
        "broker": "mosquitto",
        "started_at": "x",
    }
    return RunRecord.model_validate(values | changes)


def test_a_second_fleet_on_the_same_data_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    with holding(tmp_path):
        publish_record(tmp_path, record())
        with pytest.raises(AlreadyRunningError, match="1999"), holding(tmp_path):
            pass
        assert running(tmp_path).port == 1999
    with holding(tmp_path):
        pass


def test_a_record_left_by_a_killed_fleet_is_not_believed(tmp_path: Path) -> None:
    with holding(tmp_path):
        publish_record(tmp_path, record())
    with pytest.raises(NotRunningError):
        running(tmp_path)
    with holding(tmp_path), pytest.raises(NotRunningError):
        running(tmp_path)


def test_a_fleet_that_something_else_runs_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKER_VARIABLE, "mqtt://broker:2883")
    with pytest.raises(NotRunningError):  # half of it is none
        running(tmp_path)
    monkeypatch.setenv(REST_VARIABLE, "http://127.0.0.1:8080")

    found = running(tmp_path)
    passwords = ensure_users(tmp_path, ["admin"])
    options = mqtt_options(tmp_path)

    assert (found.url, found.port) == ("mqtt://broker:2883", 2883)
    assert found.rest_url == "http://127.0.0.1:8080"
    assert (options.host, options.port, options.user) == ("broker", 2883, "admin")
    assert options.password == passwords["admin"]


def test_a_damaged_record_is_no_fleet(tmp_path: Path) -> None:
    with holding(tmp_path):
        (tmp_path / "run/up.json").write_text("{")
        with pytest.raises(NotRunningError):
            running(tmp_path)
        withdraw_record(tmp_path)


def run(*arguments: str | Path) -> object:
    return app([str(argument) for argument in arguments], result_action="return_value")


def test_credentials_are_shown_while_a_fleet_runs_and_only_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passwords = ensure_users(tmp_path, ["admin"])
    assert run("credentials", "--user", "admin", "--json", "--data", tmp_path) == 1
    assert "no fleet runs" in capsys.readouterr().err
    with holding(tmp_path):
        publish_record(tmp_path, record())
        assert run("credentials", "--user", "admin", "--json", "--data", tmp_path) == 0
        assert json.loads(capsys.readouterr().out) == {
            "url": "mqtt://127.0.0.1:1999",
            "user": "admin",
            "password": passwords["admin"],
        }
        assert run("credentials", "--user", "admin", "--data", tmp_path) == 0
        assert passwords["admin"] in capsys.readouterr().out
        assert run("credentials", "--user", "admin", "--options", "--data", tmp_path) == 0
        assert capsys.readouterr().out == (
            f"-V mqttv5 -h 127.0.0.1 -p 1999 -u admin -P {passwords['admin']}\n"
        )
        assert run("credentials", "--user", "bob", "--data", tmp_path) == 1
        assert "known: admin" in capsys.readouterr().err
        options = mqtt_options(tmp_path)
        assert (options.host, options.port, options.user, options.password) == (
            "127.0.0.1",
            1999,
            "admin",
            passwords["admin"],
        )


def test_on_a_foreign_broker_everybody_is_the_user_it_was_reached_with(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    write_private(foreign_password_file(tmp_path), "pw\n")
    with holding(tmp_path):
        publish_record(tmp_path, record(url="mqtts://h", broker="foreign", user="me"))
        found = credentials.load(tmp_path, "admin")
        assert (found.user, found.password) == ("me", "pw")
        assert mqtt_options(tmp_path).tls
        options = credentials.client_options(mqtt_options(tmp_path))
        assert options == "-V mqttv5 -h h -p 8883 -u me -P pw --tls-use-os-certs"


def test_a_taken_port_is_told_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is taken"):
            check_port(port)
        assert free_port() != port
    check_port(free_port())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    shown = capsys.readouterr().out
    assert all(
        name in shown
        for name in (
            "up",
            "doctor",
            "credentials",
            "models",
            "config",
            "keys",
            "users",
            "health",
        )
    )
    run("--version")
    assert capsys.readouterr().out.strip().count(".") == 2


def test_ports_for_servers_are_different_free_and_none_that_the_kernel_gives_away():
    found = server_ports(6)

    assert len(set(found)) == 6
    limit = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 <= port < max(limit, 11_241) for port in found)
    for port in found:
        check_port(port)
