"""What is left of a request over HTTP: its id, which the caller may give, and a line in the log."""

from __future__ import annotations

import time

import structlog
from parlour_kit.probes.answers import request_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"

_log = structlog.get_logger("parlour.rest")


class Trail:
    """Names each request, so that its caller can find it in the log.

    The line holds the form of the path, such as ``/v1/config/{service}``: what stands in a path is
    the caller's to choose.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER)
        identity = request_id(given.decode("latin-1") if given else None)
        started, status = time.perf_counter(), 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, identity.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._app(scope, receive, named)
            finally:
                _log.info(
                    "api_request",
                    method=scope["method"][:16],
                    path=getattr(scope.get("route"), "path", None),
                    status_code=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )
