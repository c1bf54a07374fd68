"""HTTP servers within a process's own event loop: that of the probes, and what others share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from parlour_kit.errors import StartupError

MAX_HEADER_BYTES = 8_192
MAX_CONNECTIONS = 32
IDLE_S = 5
STOP_S = 0.3


class QuietServer(uvicorn.Server):
    """A server that leaves signals to the process around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


def configured(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """A server's configuration, loaded.

    Args:
        app: what answers.
        more: limits, and TLS where there is some; names are those of ``uvicorn.Config``.

    Raises:
        OSError: a file of TLS cannot be read, or is none.
        ValueError: the same.
    """
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
        **more,
    )
    config.load()
    return config


class ProbeServer:
    """Serves from its making on.

    Attributes:
        port: where it listens.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = configured(
            app,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE_S,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._server = QuietServer(config)
        self._task = asyncio.get_running_loop().create_task(
            self._server.serve([listener]), name="probes"
        )

    async def stop(self) -> None:
        """Close; whoever still waits for an answer gets none."""
        self._server.should_exit = True
        await asyncio.wait({self._task}, timeout=STOP_S)
        self._server.force_exit = True
        await asyncio.wait({self._task}, timeout=STOP_S)
        self._listener.close()


def listen(host: str, port: int, name: str = "PROBE") -> socket.socket:
    """A socket that listens.

    Args:
        host: an address of this machine, or a name of it.
        port: 0 takes a free one.
        name: what the variables of both begin with, for whoever must change them.

    Raises:
        StartupError: the address is not of this machine, or the port is taken.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise StartupError(
            f"{name}_HOST {host} cannot be used: {error.strerror}",
            hint=f"set {name}_HOST to an address of this machine, such as 127.0.0.1",
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StartupError(
            f"{name}_PORT {port} on {host} cannot be used: {error.strerror}",
            hint=f"another program may use it; set {name}_PORT to another port, or to 0 for none",
        ) from error
    return listener
