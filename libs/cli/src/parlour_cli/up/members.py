"""The processes of a fleet on one machine: what they run, what they are told, what they say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from parlour_contracts.messages.health import Health
from parlour_contracts.topics import CONFIG_HEALTH, HEALTH
from parlour_kit.bus import Message

from parlour_cli.broker.choice import Broker
from parlour_cli.up.policy import Member, Report

BROKER = "broker"

INSTANCES: dict[str, str] = {
    "config-manager": "config-manager",
    "stt-worker": "stt-worker",
    "llm-worker": "llm-worker",
    "tts-worker": "tts-worker",
    "router": "router",
}
"""Instance → service."""

_WORKERS = ("stt-worker", "llm-worker", "tts-worker")

MEMBERS: tuple[Member, ...] = (
    Member(BROKER, "opening its port", essential=True),
    Member("config-manager", "opening its database", after=(BROKER,)),
    Member("stt-worker", "loading Whisper", after=(BROKER, "config-manager")),
    Member("llm-worker", "loading the language model", after=(BROKER, "config-manager")),
    Member("tts-worker", "loading the voice", after=(BROKER, "config-manager")),
    Member("router", "starting", after=(BROKER, *_WORKERS)),
)
"""In order of readiness; workers load side by side."""

_OURS = ("MQTT_", "CONFIG_FILE", "INSTANCE", "DATA_DIR", "HEALTH_INTERVAL_S")


def command_of(instance: str) -> list[str]:
    """What runs an instance. ``-P``: a folder named like a module must not come first."""
    return [sys.executable, "-P", "-m", INSTANCES[instance].replace("-", "_")]


def environment_of(
    instance: str, broker: Broker, data_dir: Path, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The environment of an instance.

    What says where the broker is and who the process is comes from here alone; the rest is
    inherited (such as LOG_LEVEL or a proxy).
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(_OURS) or name == "MQTT_CA_FILE"
    }
    variables = {
        "LOG_FORMAT": "console",
        **kept,
        **broker.environment(instance),
        "INSTANCE": instance,
        "DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
    }
    config = config_file(data_dir, INSTANCES[instance])
    if config.is_file():
        variables["CONFIG_FILE"] = str(config)
    return variables


def config_file(data_dir: Path, service: str) -> Path:
    """Where a service's settings lie."""
    return data_dir / "config" / f"{service}.json"


def read_report(message: Message) -> tuple[str, Report] | None:
    """What a live health message says: instance and report.

    A retained message may be of an earlier fleet, so it says nothing.
    """
    if message.retain:
        return None
    try:
        if message.topic == CONFIG_HEALTH.topic():
            state = CONFIG_HEALTH.model.decode(message.payload)
            problem = "" if state.ok else (state.err or "not ready")
            return "config-manager", Report(ready=state.ok, problem=problem)
        health: Health = HEALTH.model.decode(message.payload)
    except ValueError:
        return None
    if HEALTH.parse(message.topic) != {"instance": health.instance}:
        return None
    error = health.err
    return health.instance, Report(
        ready=health.ready,
        problem=error.message if error else "",
        hint=error.hint if error else "",
        code=error.code if error else "",
        boot=health.boot,
        will=health.event == "lwt",
    )
