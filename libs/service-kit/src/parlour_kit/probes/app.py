"""The four answers over HTTP, for whoever watches: no secrets in it, so no password before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parlour_kit.probes import answers
from parlour_kit.probes.answers import Answer, Facts
from parlour_kit.probes.checks import CheckResult

HEADER = "x-request-id"

Render = Callable[[], tuple[bytes, str]]
"""Makes the text of the metrics and its content type."""

_log = structlog.get_logger("parlour.probes")


class Subject(Protocol):
    """The process whose answers these are."""

    @property
    def obstacle(self) -> str | None:
        """Why it takes no work, whatever its checks say; for strangers."""
        ...

    @property
    def beat_age_s(self) -> float:
        """Seconds since its main loop turned."""
        ...

    def wall(self) -> datetime:
        """Now, aware UTC."""
        ...

    async def checked(self) -> list[CheckResult]:
        """The results of its checks, none older than they may be."""
        ...

    async def facts(self) -> Facts:
        """How it is, after its checks."""
        ...


def create_app(subject: Subject, metrics: Render | None) -> ASGIApp:
    """The application.

    Args:
        subject: the process.
        metrics: makes the text of ``/metrics``; without it there is none (P008).
    """

    async def healthz(_request: Request) -> Response:
        return _response(answers.liveness(subject.beat_age_s, subject.wall()))

    async def ready(_request: Request) -> Response:
        results = await subject.checked()
        return _response(answers.readiness(results, subject.wall(), subject.obstacle))

    async def health(_request: Request) -> Response:
        return _response(await _health(subject))

    async def metrics_text(_request: Request) -> Response:
        assert metrics is not None
        body, kind = metrics()
        return Response(body, headers={"Content-Type": kind})

    routes = [
        _route("/healthz", healthz),
        _route("/ready", ready),
        _route("/health", health),
    ]
    if metrics is not None:
        routes.append(_route("/metrics", metrics_text))
    return _Door(Starlette(routes=routes, exception_handlers=_HANDLERS))


async def _health(subject: Subject) -> Answer:
    try:
        async with asyncio.timeout(answers.OVERALL_S):
            return answers.health(await subject.facts(), subject.wall())
    except TimeoutError:
        return answers.unable("the checks took too long", subject.wall())
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told that checking failed
        _log.error("cannot tell the health", kind=type(error).__name__)
        _log.debug("cannot tell the health", exc_info=error)
        return answers.unable("the checks could not be made", subject.wall())


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, endpoint, methods=["GET"])


def _response(answer: Answer) -> Response:
    return Response(
        answer.encode(), answer.code, headers=dict(answer.headers), media_type="application/json"
    )


async def _refused(_request: Request, error: Exception) -> Response:
    return _refusal(getattr(error, "status_code", 500))


def _refusal(code: int) -> JSONResponse:
    phrase = HTTPStatus(code).phrase
    body = {
        "error_code": phrase.upper().replace(" ", "_"),
        "message": phrase,
        "details": [],
    }
    return JSONResponse(body, code, headers={"Cache-Control": "no-cache"})


_HANDLERS: dict[Any, Any] = {404: _refused, 405: _refused, Exception: _refused}


class _Door:
    """Gives each request its id, and lets no fault of ours out in words."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        given = dict(scope["headers"]).get(HEADER.encode())
        identity = answers.request_id(given.decode("latin-1") if given else None)
        begun = False

        async def named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"].append((HEADER.encode(), identity.encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._app(scope, receive, named)
            except Exception as error:  # noqa: BLE001  # the next request is served all the same
                _log.error("a request failed", kind=type(error).__name__)
                _log.debug("a request failed", exc_info=error)
                if not begun:  # it has not got so far as to say so itself
                    await _refusal(500)(scope, receive, named)
            _log.debug("api_request", method=scope["method"], path=scope["path"][:100])
