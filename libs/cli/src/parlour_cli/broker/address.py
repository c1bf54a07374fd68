"""Ports of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from pathlib import Path

from parlour_cli.broker.errors import BrokerError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


_LOWEST = 10_240
_USUAL_LIMIT = 32_768
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def server_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 for servers that start later.

    They are below those that the kernel gives to outgoing connections, one of which could
    otherwise take a port before its server does.

    Raises:
        BrokerError: there are none.
    """
    try:
        limit = int(_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        limit = _USUAL_LIMIT
    candidates = list(range(_LOWEST, limit if limit > _LOWEST + 1000 else _USUAL_LIMIT))
    random.shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            return found
        with contextlib.suppress(BrokerError):
            check_port(port)
            found.append(port)
    raise BrokerError("no port of this machine is free", hint="end some other servers")


def check_port(port: int) -> None:
    """Make sure that a broker could listen on a port of 127.0.0.1.

    Raises:
        BrokerError: somebody else listens there, or only root may.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            raise BrokerError(
                f"only root may use port {port}", hint="take one above 1023"
            ) from None
        except OSError:
            raise BrokerError(
                f"port {port} is taken",
                hint="leave --port out and a free one is chosen, or use the broker that is "
                f"there: --broker mqtt://{LOOPBACK}:{port}",
            ) from None


async def wait_listening(host: str, port: int) -> None:
    """Return when something accepts connections; asks every 50 ms, for ever."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        await asyncio.sleep(0.05)
