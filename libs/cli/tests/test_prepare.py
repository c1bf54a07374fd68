"""Accounts, access list and certificates for a fleet that something else starts."""

from __future__ import annotations

import base64
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from parlour_cli.app import app
from parlour_cli.broker.users import hash_password
from parlour_cli.prepare.accounts import CHECK, SECOND, prepare
from parlour_cli.prepare.certificates import (
    DAYS,
    CertificateError,
    ends,
    issue,
    make_authority,
    names_of,
)
from parlour_cli.prepare.listener import PORT, ca_file, open_listener, render_listener
from parlour_cli.talk.errors import InputError
from parlour_cli.up.members import INSTANCES
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus
from parlour_kit.mqtt_link import MqttOptions
from parlour_testkit.brokers import find_mosquitto, free_port, wait_for_port

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def run(*words: str) -> int:
    code = app([*words], result_action="return_value")
    assert isinstance(code, int)
    return code


def login(data: Path, process: str) -> str:
    return (data / "logins" / process / "password").read_text().strip()


def test_every_process_gets_a_password_in_a_folder_of_its_own(tmp_path: Path) -> None:
    made = prepare(tmp_path)

    processes = [*INSTANCES, *SECOND]
    assert made == [*processes, CHECK, "admin"]
    assert sorted(p.name for p in (tmp_path / "logins").iterdir()) == sorted(processes)
    assert len({login(tmp_path, name) for name in processes}) == len(processes)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_what_the_broker_reads_holds_hashes_and_the_password_of_its_own_check_alone(
    tmp_path: Path,
) -> None:
    prepare(tmp_path)

    for path in (tmp_path / "broker").rglob("*"):
        if path.is_file() and path.parent.name != "check":
            assert not any(login(tmp_path, name) in path.read_text() for name in INSTANCES)
    users = dict(
        line.split(":", 1) for line in (tmp_path / "broker/passwd").read_text().splitlines()
    )
    assert set(users) == {*INSTANCES, *SECOND, CHECK, "admin"}
    salt = base64.b64decode(users["router"].split("$")[3])
    assert users["router"] == hash_password(login(tmp_path, "router"), salt)
    assert f"user {CHECK}" not in (tmp_path / "broker/acl").read_text()


def test_a_second_time_changes_no_password_and_forgets_nobody(tmp_path: Path) -> None:
    prepare(tmp_path, ["kitchen"], ["alice"])
    before = {p: p.read_text() for p in tmp_path.rglob("*password")}

    assert prepare(tmp_path) == []

    assert {p: p.read_text() for p in tmp_path.rglob("*password")} == before
    acl = (tmp_path / "broker/acl").read_text()
    assert "user alice" in acl
    kitchen = acl.partition("user kitchen\n")[2].partition("\nuser ")[0]
    assert "voice/" not in kitchen, "the pattern of a room says what a satellite may do in it"
    assert "topic read system/config/satellite" in kitchen
    assert "topic write system/health/kitchen" in kitchen
    assert "kitchen:" in (tmp_path / "broker/passwd").read_text()


@pytest.mark.parametrize("name", ["../x", "Kitchen", "a b", "", "router", "stt-worker-2", CHECK])
def test_a_name_that_is_none_or_a_process_s_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError):
        prepare(tmp_path / "data", [name])

    assert not (tmp_path / "data").exists()


def test_a_certificate_names_hosts_and_addresses_and_ends_when_it_was_told() -> None:
    authority = make_authority(NOW)

    pair = issue(authority, ["parlour.local", "192.168.1.5", "fd00::5"], NOW)

    assert names_of(pair.certificate) == ["parlour.local", "192.168.1.5", "fd00::5"]
    assert ends(pair.certificate) == NOW + timedelta(days=DAYS)
    found = x509.load_pem_x509_certificate(pair.certificate)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


@pytest.mark.parametrize(
    "names", [[], ["two words"], ["a/b"], ["-x"], ["x" * 300], ["new\nline"], ["1.2.3.4:8883"]]
)
def test_what_is_neither_a_host_nor_an_address_gets_no_certificate(names: list[str]) -> None:
    with pytest.raises(CertificateError):
        issue(make_authority(NOW), names, NOW)


def test_no_certificate_outlives_its_authority() -> None:
    authority = make_authority(NOW)

    with pytest.raises(CertificateError, match="ends on"):
        issue(authority, ["h"], NOW, days=4000)


def test_a_renewed_certificate_keeps_authority_and_names(tmp_path: Path) -> None:
    open_listener(tmp_path, ["parlour.local"], NOW)
    ca, key = ca_file(tmp_path).read_bytes(), (tmp_path / "ca/ca.key").read_bytes()

    pair = open_listener(tmp_path, [], NOW + timedelta(days=700))

    assert names_of(pair.certificate) == ["parlour.local"]
    assert (ca_file(tmp_path).read_bytes(), (tmp_path / "ca/ca.key").read_bytes()) == (ca, key)
    assert not list((tmp_path / "broker").rglob("ca.key")), "the broker never sees that key"
    assert stat.S_IMODE((tmp_path / "broker/tls/server.key").stat().st_mode) == 0o600


def test_the_listener_s_lines_hold_no_text_after_a_value() -> None:
    lines = [li for li in render_listener(Path("/a b")).splitlines() if not li.startswith("#")]

    assert lines[0] == f"listener {PORT}"
    assert not any("#" in line for line in lines)


def test_the_commands_say_what_they_made_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("prepare", "kitchen", "--person", "alice", "--data", str(tmp_path)) == 0
    assert "alice, kitchen" in capsys.readouterr().out
    assert run("certs", "localhost", "--json", "--data", str(tmp_path)) == 0
    assert '"port": 8883' in capsys.readouterr().out
    assert run("certs", "a b", "--data", str(tmp_path)) == 1
    assert "hint:" in capsys.readouterr().err


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Mosquitto with the prepared files and nothing but a TLS listener."""
    binary = find_mosquitto()
    if binary is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    prepare(tmp_path)
    open_listener(tmp_path, ["localhost"], datetime.now(UTC))
    port = free_port()
    conf = tmp_path / "mosquitto.conf"
    lines = render_listener(tmp_path / "broker/tls").replace(str(PORT), f"{port} 127.0.0.1")
    conf.write_text(
        f"{lines}allow_anonymous false\nuser root\npassword_file {tmp_path}/broker/passwd\n"
        f"acl_file {tmp_path}/broker/acl\n"
    )
    process = subprocess.Popen(
        [binary, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port("127.0.0.1", port)
        yield tmp_path, port
    finally:
        process.kill()
        process.wait()


@pytest.mark.broker
@pytest.mark.req("P003")
async def test_a_process_reaches_the_broker_over_tls_under_a_name_of_the_certificate(
    secured: tuple[Path, int],
) -> None:
    data, port = secured
    options = MqttOptions(
        "localhost", port, "router", login(data, "router"), tls=True, ca_file=str(ca_file(data))
    )
    bus = MqttBus.connect_to(options, "router", LoopClock())

    await bus.start()
    await bus.wait_connected()

    await bus.stop()


@pytest.mark.broker
@pytest.mark.req("P003")
@pytest.mark.parametrize("wrong", ["another name", "another authority"])
def test_a_client_refuses_a_broker_of_another_name_or_authority(
    secured: tuple[Path, int], wrong: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, port = secured
    other = tmp_path_factory.mktemp("other")
    open_listener(other, ["localhost"], datetime.now(UTC))
    trusted = ca_file(other if wrong == "another authority" else data)
    context = ssl.create_default_context(cafile=str(trusted))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    host = "parlour.local" if wrong == "another name" else "localhost"
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname=host)


@pytest.mark.broker
@pytest.mark.req("P003")
def test_strict_clients_accept_the_certificate(
    secured: tuple[Path, int],
) -> None:
    data, port = secured
    context = ssl.create_default_context(cafile=str(ca_file(data)))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        wrapped = context.wrap_socket(plain, server_hostname="localhost")
        assert wrapped.version() in {"TLSv1.2", "TLSv1.3"}
        wrapped.close()
