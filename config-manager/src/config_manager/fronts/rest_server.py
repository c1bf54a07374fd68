"""The HTTP server, within the manager's event loop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from parlour_kit.errors import StartupError
from parlour_kit.probes.server import QuietServer, configured, listen

MAX_HEADER_BYTES = 16_384
MAX_CONNECTIONS = 64
IDLE_S = 5
STOP_S = 3


@dataclass(frozen=True)
class Tls:
    """Certificate chain and private key, PEM."""

    certificate: Path
    key: Path


class RestServer:
    """A running front.

    Attributes:
        port: where it listens.
    """

    def __init__(self, server: QuietServer, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self._server = server
        self._task = asyncio.create_task(server.serve([listener]), name="rest")

    async def stop(self) -> None:
        """Answer what is running, then close."""
        self._server.should_exit = True
        await self._task


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve_rest(app: FastAPI, host: str, port: int, tls: Tls | None = None) -> RestServer:
    """Listen from now on.

    Args:
        app: from :func:`config_manager.fronts.rest.create_app`.
        host: an address of this machine.
        port: 0 takes a free one.
        tls: needed for every address but the loopback.

    Raises:
        StartupError: an open address without TLS, an address in use, or wrong certificates.
    """
    if tls is None and not is_loopback(host):
        raise StartupError(
            f"REST on {host} would send tokens in clear",
            hint="set a certificate and its key, or bind to 127.0.0.1",
        )
    try:
        config = configured(
            app,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls else None,
        )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise StartupError(
            "the certificate for REST or its key cannot be used",
            hint="give two PEM files that belong together",
        ) from error
    rest = RestServer(QuietServer(config), listen(host, port, "REST"))
    await asyncio.sleep(0)
    return rest
