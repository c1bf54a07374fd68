"""Mosquitto as the fleet's broker: where its binary is, and its configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.users import render_passwords

LIMITS = """\
# A packet, and the payload in it, in bytes. Frames of sound are far smaller.
max_packet_size 1048576
message_size_limit 524288
max_inflight_messages 20
# An explicit number: 0 means "drop everything" in some releases.
max_queued_messages 20000
check_retain_source true
persistent_client_expiration 7d
# Without it every small message waits 40 ms for its acknowledgement.
set_tcp_nodelay true
"""
"""What holds wherever Mosquitto serves Parlour; ``mosquitto/mosquitto.conf`` says the same."""


def find_mosquitto() -> Path | None:
    """The binary, also where a user's PATH does not look (Debian installs it into sbin)."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("mosquitto", path=path)
    return Path(found) if found else None


def mosquitto_version(binary: Path) -> tuple[int, int, int] | None:
    """Its release, or None when it does not say."""
    try:
        shown = subprocess.run(  # noqa: S603  # a binary that we found ourselves, no shell
            [str(binary), "-h"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", shown)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def render_conf(folder: Path, port: int, *, as_root: bool) -> str:
    """The text of mosquitto.conf.

    Comments stand on lines of their own: text after a value becomes part of it.

    Args:
        folder: holds the password file, the access list and what the broker keeps.
        port: the port on 127.0.0.1.
        as_root: started as root, Mosquitto becomes the user ``mosquitto``, who may not read
            this folder; so it is told to stay.
    """
    return (
        "# Written by parlour up at each start. Do not edit.\n"
        "per_listener_settings false\n"
        f"listener {port} 127.0.0.1\n"
        "allow_anonymous false\n"
        f"password_file {folder / 'passwd'}\n"
        f"acl_file {folder / 'acl'}\n" + ("user root\n" if as_root else "") + "persistence true\n"
        f"persistence_location {folder / 'store'}/\n"
        "autosave_interval 30\n" + LIMITS + "log_dest stderr\n"
        "log_type error\n"
        "log_type warning\n"
        "log_type notice\n"
        "connection_messages false\n"
        "log_timestamp_format %Y-%m-%dT%H:%M:%S\n"
    )


def prepare_mosquitto(
    binary: Path, folder: Path, port: int, passwords: dict[str, str], acl: str
) -> list[str]:
    """Write what Mosquitto reads.

    Returns:
        The command that runs it in the foreground.
    """
    make_private_dir(folder)
    make_private_dir(folder / "store")
    write_private(folder / "passwd", render_passwords(passwords))
    write_private(folder / "acl", acl)
    conf = folder / "mosquitto.conf"
    write_private(conf, render_conf(folder, port, as_root=os.geteuid() == 0))
    return [str(binary), "-c", str(conf)]
