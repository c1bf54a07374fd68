"""A process under systemd, and the units that start it so."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from parlour_cli.up.members import INSTANCES

UNITS = Path(__file__).resolve().parents[1] / "systemd"
SERVICES = sorted(INSTANCES)


def test_a_process_tells_systemd_that_it_is_there_that_it_turns_and_that_it_ends(
    tmp_path: Path,
) -> None:
    """It does so without a broker, too: what it waits for is told in its health."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(30)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "router"], cwd=tmp_path,
            env={**os.environ, "MQTT_URL": "mqtt://127.0.0.1:9", "DATA_DIR": str(tmp_path),
                 "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "200000", "LOG_LEVEL": "ERROR"},
        )  # fmt: skip
        try:
            heard = [manager.recv(64) for _ in range(4)]
            process.send_signal(signal.SIGTERM)
            while (last := manager.recv(64)) == b"WATCHDOG=1":
                pass
            code = process.wait(10)
        finally:
            process.kill()
            process.wait()

    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert last == b"STOPPING=1"
    assert code == 0


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read(UNITS / f"parlour-{name}.service", encoding="utf-8")
    return parser


@pytest.mark.parametrize("name", SERVICES)
def test_every_process_has_a_unit_that_watches_it_and_brings_it_back(name: str) -> None:
    service = unit(name)["Service"]

    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) <= 60
    assert service["Restart"] == "always"
    assert service["ExecStart"].endswith(f"-P -m {name.replace('-', '_')}")
    assert unit(name)["Unit"]["StartLimitIntervalSec"] == "0", "it is tried for ever"


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_shows_its_process_its_own_password_and_keys_alone(name: str) -> None:
    text = (UNITS / f"parlour-{name}.service").read_text(encoding="utf-8")
    service = unit(name)["Service"]

    assert service["TemporaryFileSystem"].startswith("/var/lib/parlour")
    assert f"/var/lib/parlour/logins/{name}" in text
    for other in set(SERVICES) - {name}:
        assert f"logins/{other}" not in text
        assert name == "config-manager" or f"keys/{other}" not in text
    for setting, value in {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes",
        "PrivateTmp": "yes", "CapabilityBoundingSet": "", "User": "parlour",
    }.items():  # fmt: skip
        assert service[setting] == value
    assert "MemoryMax" in service


def test_a_satellite_of_any_room_sees_its_own_password_its_sound_card_and_nothing_else() -> None:
    text = (UNITS / "parlour-satellite@.service").read_text(encoding="utf-8")
    service = unit("satellite@")["Service"]

    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert service["ExecStart"].endswith("-P -m satellite")
    assert "INSTANCE=%i" in text
    assert "MQTT_USER=%i" in text
    assert text.count("/secrets/mqtt/") == text.count("/secrets/mqtt/%i.password") == 2
    assert {
        line.split("keys/")[1].split("/")[0] for line in text.splitlines() if "keys/" in line
    } == {"satellite"}
    assert (service["DevicePolicy"], service["DeviceAllow"]) == ("closed", "char-alsa rw")
    assert "PrivateDevices" not in service, "it would hide the sound card"
    assert unit("satellite@")["Unit"]["StartLimitIntervalSec"] == "0"


def complaints(tmp_path: Path, alter: str = "") -> list[str]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed (apt install systemd)")
    for path in UNITS.iterdir():
        if path.suffix in (".service", ".target"):
            text = path.read_text(encoding="utf-8").replace("Type=notify", f"Type=notify{alter}")
            # The program is where the installation puts it, which need not be this machine.
            text = text.replace("/opt/parlour/.venv/bin/python", sys.executable)
            text = text.replace("/usr/sbin/mosquitto", sys.executable)
            (tmp_path / path.name).write_text(text)
    units = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        [tool, "verify", "--man=no", *units],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return [line for line in done.stderr.splitlines() if "parlour" in line]


def test_systemd_understands_every_line_of_every_unit(tmp_path: Path) -> None:
    assert complaints(tmp_path) == []


def test_a_line_that_systemd_does_not_know_would_be_noticed(tmp_path: Path) -> None:
    assert any("Whatever" in line for line in complaints(tmp_path, "\nWhatever=1"))
