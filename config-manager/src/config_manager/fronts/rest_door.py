"""The way in: who asks, what they may, how much, and what their bytes say.

The order is fixed: token, limit, role, size, strict loader, form. Everything that is refused
here is refused with the same codes as in the command layer, and lack of rights is noted.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Query
from fastapi import Request as HttpRequest
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from parlour_config.canonical import MAX_UPDATE_BYTES, load
from parlour_config.users import Role
from parlour_contracts.base import NAME_PATTERN
from parlour_contracts.messages.requests import ALL_SERVICES, TRANSACTION_PATTERN
from pydantic import BaseModel, ValidationError

from config_manager.commands import Caller, RefusedError
from config_manager.fronts.refusals import NOBODY
from config_manager.fronts.rest_answers import problems_in
from config_manager.fronts.rest_api import ManagerApi

M = TypeVar("M", bound=BaseModel)
BODY_PATIENCE_S = 30.0
_BEARER = HTTPBearer(
    auto_error=False, description="A token from `parlour users token NAME`; shown once."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def manager(request: HttpRequest) -> ManagerApi:
    """The manager behind the front."""
    return cast("ManagerApi", request.app.state.manager)


def subject(request: HttpRequest) -> tuple[str, str, str | None]:
    """Op, service and transaction of a request, for the answer to a failure."""
    route = request.scope.get("route")
    op = str(getattr(route, "name", "")) or "unknown"
    service = request.path_params.get("service", ALL_SERVICES)
    try:
        transaction = idempotency_key(request)
    except RefusedError:
        transaction = None
    return op, service, transaction


def needs(role: Role) -> Callable[..., AsyncIterator[Caller]]:
    """A dependency that lets users with at least this role in."""

    async def enter(request: HttpRequest, credentials: Credentials) -> AsyncIterator[Caller]:
        api = manager(request)
        service = request.path_params.get("service")
        user = api.users.by_token(credentials.credentials) if credentials else None
        if user is None:
            await api.refusals.note(NOBODY, service, "UNAUTHENTICATED")
            raise RefusedError(
                "UNAUTHENTICATED",
                "there is no valid token with this request",
                hint="send the header 'Authorization: Bearer TOKEN'",
            )
        wait = api.limiter.admit(user.name)
        if wait is not None:
            raise RefusedError(
                "RATE_LIMITED",
                "too many requests at once",
                hint="wait a moment and send it again",
                retry_after_s=wait,
            )
        try:
            if not user.may(role):
                await api.refusals.note(user.name, service, "FORBIDDEN")
                raise RefusedError(
                    "FORBIDDEN",
                    f"this needs the role {role}; {user.name} has {user.role}",
                    hint="ask an administrator",
                )
            yield Caller(user=user.name, role=user.role, service=None)
        finally:
            api.limiter.release(user.name)

    return enter


Reader = Annotated[Caller, Depends(needs("read"))]
Writer = Annotated[Caller, Depends(needs("write"))]
ReasonText = Annotated[str | None, Query(max_length=500, description="Why; shown in history.")]
Admin = Annotated[Caller, Depends(needs("admin"))]


async def raw_body(request: HttpRequest, limit: int = MAX_UPDATE_BYTES) -> bytes:
    """The bytes of a body; no more than the limit is ever held."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limit:
                    raise RefusedError(
                        "PAYLOAD_TOO_LARGE",
                        f"the body has more than {limit} bytes",
                        hint="send less at once, for example with several patches",
                    )
    except TimeoutError:
        raise RefusedError(
            "INVALID_REQUEST",
            f"the body was not complete after {BODY_PATIENCE_S:g} seconds",
            hint="send it again",
        ) from None
    return bytes(data)


def body_object(data: bytes, limit: int = MAX_UPDATE_BYTES) -> dict[str, Any]:
    """The JSON object in a body, by the strict loader; no body is an empty object."""
    value = load(data or b"{}", limit)
    if not isinstance(value, dict):
        raise RefusedError("INVALID_REQUEST", "the body must be a JSON object")
    return dict(value)


def body_model(model: type[M], value: dict[str, Any]) -> M:
    """The body as a model; what is wrong is named by its place."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RefusedError(
            "INVALID_REQUEST",
            "the request has not the form that is asked for",
            hint="see the API's description in docs/openapi.yaml",
            details=problems_in(error),
        ) from None


async def read_body(request: HttpRequest, model: type[M]) -> M:
    """Bytes to model in one step."""
    return body_model(model, body_object(await raw_body(request)))


def checked_service(service: str) -> str:
    """A service's name from the path."""
    if re.fullmatch(NAME_PATTERN, service) is None:
        raise RefusedError(
            "UNKNOWN_SERVICE", "there is no service of that name", hint="GET /v1/config lists them"
        )
    return service


def idempotency_key(request: HttpRequest) -> str | None:
    """The transaction id that came in the header, or None."""
    text = request.headers.get("idempotency-key")
    if text is not None and re.fullmatch(TRANSACTION_PATTERN, text) is None:
        raise RefusedError(
            "INVALID_REQUEST",
            "the header Idempotency-Key is no transaction id",
            hint="1 to 64 letters, digits, '.', '_' and '-'",
        )
    return text
