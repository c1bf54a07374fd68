"""The embedded broker: rumqttd from a wheel, for a machine without Mosquitto.

It asks every client for user and password and listens on 127.0.0.1 only. It has no access
list: on this broker a process of the fleet could read and write everything.
Run as ``python -m parlour_cli.broker.embedded CONFIG``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from parlour_cli.broker.files import make_private_dir, write_private

MAX_PAYLOAD = 1_048_576
SEGMENT_BYTES = 1_048_576
SEGMENTS = 16
"""What it keeps for each subscription that lags behind: 16 MiB are eight minutes of speech."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def render_toml(port: int, passwords: Mapping[str, str]) -> str:
    """The text of its configuration; only its MQTT 5 listener is enabled.

    Raises:
        ValueError: a user or a password holds what TOML would take for something else.
    """
    if not all(_PLAIN.fullmatch(text) for pair in passwords.items() for text in pair):
        raise ValueError("users and passwords are letters, digits, - and _")
    return (
        "# Written by parlour up at each start. Do not edit.\n"
        "id = 0\n\n"
        "[router]\n"
        "id = 0\n"
        "max_connections = 1000\n"
        "max_outgoing_packet_count = 200\n"
        f"max_segment_size = {SEGMENT_BYTES}\n"
        f"max_segment_count = {SEGMENTS}\n\n"
        "[v5.1]\n"
        'name = "parlour"\n'
        f'listen = "127.0.0.1:{port}"\n'
        "next_connection_delay_ms = 1\n\n"
        "[v5.1.connections]\n"
        "connection_timeout_ms = 10000\n"
        f"max_payload_size = {MAX_PAYLOAD}\n"
        "max_inflight_count = 100\n"
        "dynamic_filters = true\n\n"
        "[v5.1.connections.auth]\n"
        + "".join(f'"{user}" = {json.dumps(secret)}\n' for user, secret in passwords.items())
    )


def prepare_embedded(folder: Path, port: int, passwords: dict[str, str]) -> list[str]:
    """Write its configuration.

    Returns:
        The command that runs it in the foreground.
    """
    make_private_dir(folder)
    conf = folder / "embedded.toml"
    write_private(conf, render_toml(port, passwords))
    return [sys.executable, "-P", "-m", "parlour_cli.broker.embedded", str(conf)]


def main() -> None:
    """Serve until a signal ends the process."""
    from iotcore import IotCoreBroker  # noqa: PLC0415  # only the broker's process needs it

    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s: %(message)s")
    # rumqttd opens an "error" span around each packet: its log would be one line a message.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    IotCoreBroker(config_path=sys.argv[1]).run_forever()


if __name__ == "__main__":
    main()
