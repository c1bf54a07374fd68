"""Every process of the fleet starts, says how it is, and ends when told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from parlour_config.keyfiles import KeyFile
from parlour_config.keyfolder import manager_path, service_path
from parlour_config.provision import provision
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.mqtt_bus import MqttBus
from parlour_testkit import ConfigAuthority
from parlour_testkit.brokers import mosquitto_process

SERVICES = {
    "config-manager": "config_manager",
    "stt-worker": "stt_worker",
    "llm-worker": "llm_worker",
    "tts-worker": "tts_worker",
    "router": "router",
    "satellite": "satellite",
}
CLEAN = {
    k: v
    for k, v in os.environ.items()
    if not k.startswith(("MQTT_", "INSTANCE", "DATA_DIR", "CONFIG_"))
}


def start(module: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module], cwd=folder, env={**CLEAN, **env},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.req("P001", "D019", "SC112")
@pytest.mark.parametrize("module", SERVICES.values(), ids=SERVICES)
def test_a_process_without_its_settings_names_them_all_and_exits(
    module: str, tmp_path: Path
) -> None:
    process = start(
        module, tmp_path, MQTT_URL="http://wrong", LOG_LEVEL="LOUD", INSTANCE="Not A Name",
        MQTT_PASSWORD_FILE="/nowhere/secret",
    )  # fmt: skip

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 78
    for name in ("MQTT_URL", "LOG_LEVEL", "INSTANCE", "MQTT_PASSWORD_FILE", "DATA_DIR"):
        assert name in errors
    assert "Traceback" not in errors
    assert "http://wrong" not in errors, "values may be secrets"


@pytest.mark.req("D009", "D012")
def test_a_machine_that_reads_the_logs_is_told_in_one_line_why_a_process_cannot_start(
    tmp_path: Path,
) -> None:
    process = start("router", tmp_path, LOG_FORMAT="json", MQTT_URL="http://wrong")

    told, errors = process.communicate(timeout=30)

    entry = json.loads(told)
    assert (process.returncode, errors) == (78, "")
    assert (entry["level"], entry["event_type"]) == ("ERROR", "startup_error")
    assert "MQTT_URL" in entry["error"]
    assert "http://wrong" not in told


@pytest.mark.req("D010", "D024", "H017")
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_process_that_finds_no_broker_tells_neither_its_password_nor_its_keys(
    form: str, tmp_path: Path
) -> None:
    provision(tmp_path / "keys", ["router"])
    keys = service_path(tmp_path / "keys", "router")
    process = start(
        "router", tmp_path, LOG_FORMAT=form, LOG_LEVEL="DEBUG", DATA_DIR=str(tmp_path),
        MQTT_URL="mqtt://router:canary%2Fpass@127.0.0.1:1", CONFIG_KEYS_FILE=str(keys),
        CONFIG_ENV_API_KEY="canary-of-the-environment",
    )  # fmt: skip
    while not (tmp_path / "config").is_dir():  # then it has begun
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    told = "".join(process.communicate(timeout=10))

    private = [
        line.partition("=")[2] for line in keys.read_text().splitlines() if "SERVICE" in line
    ]
    assert "ready" in told, "what waits is written at the end"
    assert private
    for secret in ("canary", *(text.rpartition(":")[2] for text in private)):
        assert secret not in told


@pytest.mark.broker
@pytest.mark.req("F28")
@pytest.mark.parametrize("service", SERVICES)
async def test_a_process_is_born_says_so_and_leaves_with_a_clean_offline(
    service: str, tmp_path: Path
) -> None:
    """SIGTERM ends any process within 5 s; the will is replaced by a clean ``offline``."""
    with mosquitto_process() as broker:
        heard: list[Message] = []
        bus = MqttBus.connect_to(broker.options, "observer", LoopClock())
        await bus.start()
        await bus.wait_connected()
        await bus.subscribe("system/health/+", heard.append)
        process = start(
            SERVICES[service], tmp_path, MQTT_URL=f"mqtt://127.0.0.1:{broker.port}",
            DATA_DIR=str(tmp_path), HEALTH_INTERVAL_S="1", LOG_LEVEL="ERROR",
        )  # fmt: skip
        try:
            await _wait(lambda: any(b"birth" in m.payload for m in heard), 60)
            process.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            await asyncio.to_thread(process.wait, 10)
            took = time.monotonic() - asked
            await _wait(lambda: b"stopping" in heard[-1].payload, 5)
        finally:
            process.kill()
            process.communicate()
        await asyncio.sleep(0.3)
        await bus.stop()

    assert process.returncode == 0
    assert took < 5
    assert {m.topic for m in heard} == {f"system/health/{service}"}
    assert not any(b"lwt" in m.payload for m in heard), "the will must not follow a clean end"
    last = heard[-1].payload
    if service == "config-manager":
        assert ConfigHealthPayload.decode(last).ok is False
    else:
        message = Health.decode(last)
        assert (message.status, message.ok, message.event) == ("offline", False, "stopping")


@pytest.mark.broker
@pytest.mark.req("F28")
async def test_a_killed_process_is_declared_dead_by_its_will(tmp_path: Path) -> None:
    with mosquitto_process() as broker:
        heard: list[Message] = []
        bus = MqttBus.connect_to(broker.options, "observer", LoopClock())
        await bus.start()
        await bus.wait_connected()
        await bus.subscribe("system/health/router", heard.append)
        process = start(
            "router", tmp_path, MQTT_URL=f"mqtt://127.0.0.1:{broker.port}",
            DATA_DIR=str(tmp_path), LOG_LEVEL="ERROR",
        )  # fmt: skip
        try:
            await _wait(lambda: bool(heard) and Health.decode(heard[-1].payload).ready, 60)
            process.kill()
            await _wait(lambda: Health.decode(heard[-1].payload).event == "lwt", 30)
        finally:
            process.kill()
            process.communicate()
        await bus.stop()

    will = Health.decode(heard[-1].payload)
    birth = Health.decode(heard[0].payload)
    assert (will.status, will.ok) == ("offline", False)
    assert (will.boot, will.conn) == (birth.boot, birth.conn)


@pytest.mark.broker
@pytest.mark.req("C070", "C072", "C085", "SC011")
async def test_a_process_runs_on_what_was_signed_for_it_and_starts_with_it_without_a_broker(
    tmp_path: Path,
) -> None:
    provision(tmp_path / "keys", ["router"])
    manager = KeyFile.of_manager(manager_path(tmp_path / "keys")).current()
    settings = {
        "DATA_DIR": str(tmp_path), "LOG_LEVEL": "INFO", "LOG_FORMAT": "json",
        "CONFIG_KEYS_FILE": str(service_path(tmp_path / "keys", "router")),
    }  # fmt: skip
    with mosquitto_process() as broker:
        bus = MqttBus.connect_to(broker.options, "config-manager", LoopClock())
        await bus.start()
        await bus.wait_connected()
        authority = await ConfigAuthority(bus, key=manager.signing).watch()
        first = await authority.publish("router", {"history_messages": 7})
        url = f"mqtt://127.0.0.1:{broker.port}"
        process = start("router", tmp_path, MQTT_URL=url, **settings)
        try:
            assert (await authority.applied(first, 60)).source == "mqtt"
            report = await authority.change("router", {"history_messages": 8})
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
        await bus.stop()

    settings["LOG_FORMAT"] = "console"  # which is written at once
    process = start("router", tmp_path, MQTT_URL="mqtt://127.0.0.1:1", **settings)
    began = time.monotonic()
    line = await asyncio.to_thread(_first_line_with, process, " ready ")
    took = time.monotonic() - began
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    stored = json.loads((tmp_path / "config" / "router.lkg.json").read_text())
    assert report.checksum == json.loads(stored["update"])["checksum"]
    assert float(line.partition("seconds=")[2].split()[0]) <= 1
    assert took < 10, "the broker is not waited for"


def _first_line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    return next(line for line in process.stderr if text in line)


async def _wait(condition, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the condition has no event
            await asyncio.sleep(0.05)
