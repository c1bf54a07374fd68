"""The HTTP server, within the manager's event loop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from parlour_kit.errors import StartupError
from parlour_kit.probes.server import QuietServer

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
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="none",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise StartupError(
            "the certificate for REST or its key cannot be used",
            hint="give two PEM files that belong together",
        ) from error
    rest = RestServer(QuietServer(config), _listener(host, port))
    await asyncio.sleep(0)
    return rest


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise StartupError(f"REST cannot bind to {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StartupError(
            f"REST cannot listen on {host}:{port}: {error.strerror}",
            hint="another program may use the port; set REST_PORT to another one",
        ) from error
    return listener
