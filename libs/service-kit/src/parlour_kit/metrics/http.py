"""What is asked over HTTP, by method, view and status (P015 to P018, P035)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from parlour_kit.metrics.registry import OTHER, Capped, Group

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_VIEW = "none"
MAX_VIEWS = 200

_group = Group("config-manager")

by_method = _group.counter(
    "parlour_http_requests_by_method_total", "Requests over HTTP", ["method"]
)
by_view = _group.counter(
    "parlour_http_requests_by_view_method_total",
    "Requests over HTTP by the view that answers; none where there is no such path",
    ["view", "method"],
)
by_status = _group.counter(
    "parlour_http_responses_by_status_total", "Answers over HTTP by their status", ["status"]
)
duration = _group.histogram(
    "parlour_http_request_duration_seconds",
    "From a request's head to the end of its answer",
    ["method", "view"],
)
active = _group.gauge("parlour_active_requests", "Requests over HTTP that are being answered")

_view = Capped(MAX_VIEWS)


class Measured:
    """An ASGI application around another one; what goes through is not changed.

    A view is the form of a path, such as ``/v1/config/{service}``, never the path: that is chosen
    by whoever asks.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = scope["method"]
        method = asked if asked in METHODS else OTHER
        status = 500

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        active.inc()
        try:
            await self._app(scope, receive, noting)
        finally:
            active.dec()
            view = _view_of(scope)
            by_method.labels(method).inc()
            by_view.labels(view, method).inc()
            by_status.labels(str(status)).inc()
            duration.labels(method, view).observe(time.perf_counter() - started)


def _view_of(scope: Scope) -> str:
    """The form of the path, which the router leaves in the scope when it has found one."""
    form = getattr(scope.get("route"), "path", None)
    return _view(form) if isinstance(form, str) else NO_VIEW
