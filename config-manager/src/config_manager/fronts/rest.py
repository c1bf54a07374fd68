"""The REST front: the same commands as over MQTT, for people with a token.

No cookies and no CORS, so somebody else's web page cannot use it. No interactive pages either,
since those load scripts from elsewhere; the description is in ``docs/openapi.yaml``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from parlour_contracts.messages.requests import Problem
from parlour_kit.errors import ParlourError
from parlour_kit.metrics.http import Measured
from parlour_kit.version import VERSION
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config_manager.commands import RefusedError
from config_manager.commands.refusal import place_of
from config_manager.fronts import rest_admin, rest_config, rest_profiles, rest_secrets
from config_manager.fronts.rest_answers import refusal, rejected
from config_manager.fronts.rest_api import ManagerApi
from config_manager.fronts.rest_door import subject
from config_manager.fronts.rest_openapi import completed, operation_id
from config_manager.fronts.rest_trail import Trail

DESCRIPTION = """\
Reads and changes the configuration of the fleet. Whatever is accepted is committed; whether a
service runs with it yet is in `/v1/state`. A failure is always the same object, with a code to
branch on, a message and a hint. The header `Idempotency-Key` makes a retry safe."""

_log = structlog.get_logger("parlour.rest")


class RestApp(FastAPI):
    """FastAPI with this API's description."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def create_app(api: ManagerApi | None) -> RestApp:
    """The application over a running manager; None is enough for its description."""
    app = RestApp(
        title="Parlour configuration",
        version=VERSION,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.manager = api
    app.include_router(rest_admin.open_router)
    for part in (rest_config, rest_secrets, rest_profiles, rest_admin):
        app.include_router(part.router)
    app.add_exception_handler(ParlourError, _told)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _no_such_route)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Shield)
    app.add_middleware(Trail)
    app.add_middleware(Measured)
    return app


class Shield:
    """Answers for a fault of ours, and lets it go no further.

    What is above would log the error's text, which may hold a value of somebody's settings.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001  # the next request is served, whatever it was
            answer = _unexpected(HttpRequest(scope, receive), error)
            if not begun:
                await answer(scope, receive, send)


async def _told(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ParlourError)
    op, service, transaction = subject(request)
    answer = refusal(error, op=op, service=service, transaction=transaction)
    if answer.error == "INTERNAL":
        _log.error("a request failed", op=op, code=error.code, kind=type(error).__name__)
    return rejected(answer)


async def _malformed(request: HttpRequest, error: Exception) -> Response:
    """A path or query parameter of another form."""
    assert isinstance(error, RequestValidationError)
    problems = [
        Problem(
            key=".".join(str(part) for part in found["loc"])[:200], problem=str(found["msg"])[:500]
        )
        for found in error.errors()
    ]
    refused = RefusedError(
        "INVALID_REQUEST",
        "a parameter of the request has not the form that is asked for",
        hint="see the API's description in docs/openapi.yaml",
        details=problems[:50],
    )
    return await _told(request, refused)


async def _no_such_route(request: HttpRequest, error: Exception) -> Response:
    """No such path or method."""
    assert isinstance(error, HTTPException)
    if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        told = RefusedError(
            "UNKNOWN_OP",
            f"there is no {request.method[:16]} {request.url.path[:200]}",
            hint="see the API's description in docs/openapi.yaml",
        )
    else:
        told = RefusedError("INVALID_REQUEST", "the request cannot be read")
    return await _told(request, told)


async def _gone(request: HttpRequest, _error: Exception) -> Response:
    """Whoever asked has hung up; the answer goes nowhere."""
    return await _told(request, RefusedError("INVALID_REQUEST", "the request was not completed"))


def _unexpected(request: HttpRequest, error: Exception) -> Response:
    """A fault of ours."""
    op, service, transaction = subject(request)
    _log.error("a request failed", op=op, kind=type(error).__name__, where=place_of(error))
    told = ParlourError("unexpected", code="INTERNAL")
    return rejected(refusal(told, op=op, service=service, transaction=transaction))
