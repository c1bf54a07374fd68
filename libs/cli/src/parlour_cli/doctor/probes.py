"""Looks at the machine; what it means is decided in ``findings``."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import stat
import sys
from pathlib import Path

import psutil
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.health import Health
from parlour_contracts.topics import CONFIG_HEALTH, HEALTH
from parlour_kit import log
from parlour_kit.bus import Message
from parlour_kit.clock import LoopClock
from parlour_kit.models import check_files, load_manifest, model_folder
from parlour_kit.mqtt_bus import MqttBus

from parlour_cli.broker.address import check_port
from parlour_cli.broker.errors import BrokerError, NotRunningError
from parlour_cli.broker.mosquitto import find_mosquitto, mosquitto_version
from parlour_cli.broker.running import mqtt_options, running
from parlour_cli.doctor import findings
from parlour_cli.doctor.findings import Finding
from parlour_cli.seed import MODEL_SETTINGS, settings_file, starters_of
from parlour_cli.up.members import INSTANCES

MQTT_PORT = 1883
_LISTEN_S = 3.0
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")


def machine(data_dir: Path) -> list[Finding]:
    """Python, memory, disk, processor, heat."""
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    existing = next(p for p in (data_dir, *data_dir.parents) if p.exists())
    found = [
        findings.python(sys.version_info[:3], platform.machine()),
        findings.memory(ram.total, ram.available, swap.total),
        findings.disk(shutil.disk_usage(existing).free, str(existing)),
        findings.processor(len(os.sched_getaffinity(0)), platform.machine(), _cpu_features()),
        findings.temperature(_temperature(), _throttled()),
    ]
    return [finding for finding in found if finding is not None]


def software() -> list[Finding]:
    """Packages and brokers."""
    binary = find_mosquitto()
    return [
        findings.packages([name for name in findings.MODULES if not _importable(name)]),
        findings.mosquitto(
            str(binary) if binary else None,
            mosquitto_version(binary) if binary else None,
            _importable("iotcore"),
        ),
    ]


def data(data_dir: Path) -> Finding:
    """The data directory's owner and permissions."""
    try:
        info = data_dir.stat()
    except OSError:
        return findings.data_dir(str(data_dir), False, True, 0, True)
    ours = info.st_uid == os.geteuid()
    writable = os.access(data_dir, os.W_OK | os.X_OK)
    return findings.data_dir(str(data_dir), True, ours, stat.S_IMODE(info.st_mode), writable)


def models(data_dir: Path) -> list[Finding]:
    """The models that the services are set to; reads each file."""
    manifest = load_manifest(data_dir)
    found: list[Finding] = []
    for service, (setting, kind) in MODEL_SETTINGS.items():
        settings = _settings(data_dir, service)
        if settings.get("backend", "llama") != "llama" or settings.get("stt_backend") == "ws":
            continue  # a server has the model
        name = str(settings.get(setting, CONFIGS[service].model_fields[setting].default))
        entry = manifest.models.get(name)
        unknown = entry is None or entry.kind != kind
        problems = check_files(entry, model_folder(data_dir, name)) if entry else []
        command = f"parlour models pull {name} --data {shlex.quote(str(data_dir))}"
        starter = starters_of(manifest).get(kind)
        if unknown and starter and not settings:
            # Its default: the first start takes the starter model where that one is here.
            name, unknown = starter, False
            problems = check_files(manifest.models[name], model_folder(data_dir, name))
            command = f"parlour models pull --starter --data {shlex.quote(str(data_dir))}"
        text = "; ".join(map(str, problems[:3]))
        found.append(findings.model(name, service, text, unknown, command))
    return found


def fleet(data_dir: Path) -> list[Finding]:
    """The running fleet's health, and the port."""
    try:
        record = running(data_dir)
    except NotRunningError:
        used = False
        try:
            check_port(MQTT_PORT)
        except BrokerError:
            used = True
        return [findings.port(MQTT_PORT, used, by_us=False), *findings.fleet(None, {})]
    log.configure("ERROR", "console", "doctor")
    states = asyncio.run(_listen(data_dir))
    return [findings.port(record.port, True, by_us=True), *findings.fleet(record.url, states)]


def sound() -> Finding:
    """Sound cards, as the kernel lists them."""
    try:
        cards = [c for c in Path("/proc/asound").iterdir() if c.name.startswith("card")]
    except OSError:
        return findings.sound(None)
    return findings.sound(len([c for c in cards if c.name[4:].isdigit()]) or None)


async def _listen(data_dir: Path) -> dict[str, tuple[str, bool, str, str]]:
    """Every instance's retained health; who says nothing is told as silent."""
    silent = ("silent", False, "it does not tell its health", "see the log of parlour up")
    states = dict.fromkeys(INSTANCES, silent)
    complete = asyncio.Event()
    heard: set[str] = set()

    def hear(message: Message) -> None:
        with contextlib.suppress(ValueError):
            if message.topic == CONFIG_HEALTH.topic():
                name, state = "config-manager", _config_state(message.payload)
            else:
                name, state = _state(message.payload)
            states[name] = state
            heard.add(name)
            if heard >= set(INSTANCES):
                complete.set()

    bus = MqttBus.connect_to(mqtt_options(data_dir), f"parlour-doctor-{os.getpid()}", LoopClock())
    for topic in (HEALTH, CONFIG_HEALTH):
        await bus.subscribe(topic.filter(), hear)
    await bus.start()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_S):
                await complete.wait()
    finally:
        await bus.stop()
    return states


def _state(payload: bytes) -> tuple[str, tuple[str, bool, str, str]]:
    health = Health.decode(payload)
    error = health.err
    state = (
        health.status, health.ready,
        error.message if error else "", error.hint if error else "",
    )  # fmt: skip
    return health.instance, state


def _config_state(payload: bytes) -> tuple[str, bool, str, str]:
    health = ConfigHealthPayload.decode(payload)
    return ("healthy" if health.ok else "unhealthy", health.ok, health.err or "", "")


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _settings(data_dir: Path, service: str) -> dict[str, object]:
    """What a service ran with last; before its first start, what a person wrote down for it."""
    last = data_dir / "config" / f"{service}.lkg.json"
    given = settings_file(data_dir, service)
    for path, levels in ((last, ("lkg", "payload", service)), (given, ())):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            for level in levels:
                found = found[level]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def _cpu_features() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _temperature() -> float | None:
    readings = [
        entry.current
        for entries in psutil.sensors_temperatures().values()
        for entry in entries
        if entry.current > 0
    ]
    return max(readings, default=None)


def _throttled() -> bool | None:
    """What a Raspberry Pi's firmware says; the low four bits are "now"."""
    try:
        return bool(int(_THROTTLED.read_text(encoding="ascii").strip(), 16) & 0xF)
    except (OSError, ValueError):
        return None
