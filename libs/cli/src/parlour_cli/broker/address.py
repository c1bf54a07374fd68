"""Ports of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from parlour_cli.broker.errors import BrokerError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


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
