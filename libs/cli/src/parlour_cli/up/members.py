"""The processes of a fleet on one machine: what they run, what they are told, what they say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from parlour_config.keyfolder import service_path
from parlour_contracts.acl import KEEPER
from parlour_contracts.messages.health import Health
from parlour_contracts.topics import CONFIG_HEALTH, HEALTH
from parlour_kit.bus import Message

from parlour_cli.broker.address import LOOPBACK
from parlour_cli.broker.choice import Broker
from parlour_cli.keys.places import REBUILD_VARIABLE, keys_dir, users_file
from parlour_cli.seed import seed_file
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

_OURS = ("MQTT_", "CONFIG_", "KEYS_DIR", "USERS_FILE", "REST_", "LKG_", "INSTANCE", "DATA_DIR",
         "HEALTH_INTERVAL_S", "PROBE_")  # fmt: skip
_KEPT = ("MQTT_CA_FILE", "CONFIG_AUTO_REBUILD", "CONFIG_CLEAR_POISON", "CONFIG_EPOCH_POLICY",
         "CONFIG_EPOCH_PINNED")  # fmt: skip


def command_of(instance: str) -> list[str]:
    """What runs an instance. ``-P``: a folder named like a module must not come first."""
    return [sys.executable, "-P", "-m", INSTANCES[instance].replace("-", "_")]


def environment_of(
    instance: str,
    broker: Broker,
    data_dir: Path,
    inherited: Mapping[str, str],
    rest_port: int = 0,
    probe_port: int = 0,
) -> dict[str, str]:
    """The environment of an instance.

    What says where the broker is, who the process is and which keys it has comes from here
    alone; the rest is inherited (such as LOG_LEVEL or a proxy). Keys and passwords stay in
    their files; the token for a rebuild, which has none, reaches config-manager alone.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(_OURS) or name in _KEPT
    }
    variables = {
        "LOG_FORMAT": "console",
        **kept,
        **broker.environment(instance),
        "INSTANCE": instance,
        "DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
        "PROBE_HOST": LOOPBACK,
        "PROBE_PORT": str(probe_port),
    }
    service = INSTANCES[instance]
    if service == KEEPER:
        variables |= {
            "KEYS_DIR": str(keys_dir(data_dir)),
            "USERS_FILE": str(users_file(data_dir)),
            "REST_HOST": LOOPBACK,
            "REST_PORT": str(rest_port),
            # Where everybody is the same user, or nobody is held to a list, the topic of a
            # request does not say who asks.
            "MQTT_ACL": "enforced" if broker.tells_users_apart else "none",
        }
        if seed_file(data_dir).is_file():  # of no use any more once there is a database
            variables["CONFIG_SEED_FILE"] = str(seed_file(data_dir))
    else:
        variables.pop(REBUILD_VARIABLE, None)
        variables["CONFIG_KEYS_FILE"] = str(service_path(keys_dir(data_dir), service))
    return variables


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
