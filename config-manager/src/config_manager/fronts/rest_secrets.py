"""Secrets over REST: the only way in, and the only way out again. Never cached, never logged."""

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest
from parlour_contracts.messages.configuration import ConfigUpdateResponse

from config_manager.commands import RefusedError, SecretChange
from config_manager.fronts.rest_answers import answered, success
from config_manager.fronts.rest_door import (
    Admin,
    ReasonText,
    Writer,
    checked_service,
    idempotency_key,
    manager,
    read_body,
)
from config_manager.fronts.rest_models import ReasonBody, Revealed, SecretBody
from config_manager.fronts.rest_openapi import body_of, failures

router = APIRouter(prefix="/v1/secrets", tags=["secrets"], responses=failures())


@router.put(
    "/{service}/{key}", name="set-secret", summary="Set a secret",
    response_model=ConfigUpdateResponse, openapi_extra=body_of(SecretBody),
)  # fmt: skip
async def set_secret(
    request: HttpRequest, caller: Writer, service: str, key: str, reason: ReasonText = None
) -> Response:
    """Sealed at once. ``version`` makes a retry safe: the second one is a conflict."""
    body = await read_body(request, SecretBody)
    answer = await manager(request).commands.set_secret(
        SecretChange(
            caller,
            checked_service(service),
            key[:128],
            body.value,
            body.version,
            transaction=idempotency_key(request),
            reason=reason,
        )
    )
    return answered(answer)


@router.post(
    "/{service}/{key}/reveal", name="reveal", summary="A secret in clear",
    response_model=Revealed, openapi_extra=body_of(ReasonBody),
)  # fmt: skip
async def reveal(request: HttpRequest, caller: Admin, service: str, key: str) -> Response:
    """The audit row with the reason is stored before the answer; at most five a minute."""
    body = await read_body(request, ReasonBody)
    api = manager(request)
    wait = api.limiter.reveal(caller.user)
    if wait is not None:
        raise RefusedError(
            "RATE_LIMITED",
            "at most five secrets a minute can be revealed",
            hint="wait, then try again",
            retry_after_s=wait,
        )
    value = await api.commands.reveal(caller, checked_service(service), key[:128], body.reason)
    return success(Revealed(value=value), {"Cache-Control": "no-store"})
