"""Reading and changing settings over REST: the ops of the protocol, one route each."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Request as HttpRequest
from parlour_contracts.messages.configuration import (
    ConfigFieldMetadata,
    ConfigReadResponse,
    ConfigSearchRequest,
    ConfigSearchResponse,
    ConfigUpdateRequest,
    ConfigUpdateResponse,
)
from parlour_contracts.messages.requests import ALL_SERVICES, ConfigRequest

from config_manager.commands import (
    Caller,
    RefusedError,
    Request,
    body_digest,
    derived_transaction,
)
from config_manager.fronts.rest_answers import answered
from config_manager.fronts.rest_door import (
    Reader,
    ReasonText,
    Writer,
    body_model,
    body_object,
    checked_service,
    idempotency_key,
    manager,
    raw_body,
)
from config_manager.fronts.rest_models import (
    EmptyBody,
    Keysets,
    PatchBody,
    ResetBody,
    Restarted,
    RollbackBody,
    ServiceList,
)
from config_manager.fronts.rest_openapi import body_of, failures

router = APIRouter(prefix="/v1", tags=["configuration"], responses=failures())

DryRun = Annotated[bool, Query(description="Check everything, change nothing.")]
MomentText = Annotated[
    str | None,
    Query(max_length=27, description="YYYY-MM-DDTHH:MM:SS.ffffffZ, itself included."),
]
EpochText = Annotated[str | None, Query(description="Refuse unless this is the current epoch.")]

_SENDING = frozenset({"transaction", "reason", "dry_run", "expires_at", "config_epoch"})
"""On REST these are no part of the body."""


@router.get("/config", name="list", summary="Every service", response_model=ServiceList)
async def list_services(request: HttpRequest, caller: Reader) -> Response:
    """What config-manager holds settings for."""
    return await _run(request, caller, "list", ALL_SERVICES, {})


@router.get(
    "/config/{service}",
    name="get",
    summary="One service's settings",
    response_model=ConfigReadResponse,
)
async def get_config(request: HttpRequest, caller: Reader, service: str) -> Response:
    """Settings with secrets masked; the row version is also in the header ETag."""
    return await _run(request, caller, "get", service, {})


@router.put(
    "/config/{service}",
    name="set",
    summary="Replace all settings",
    response_model=ConfigUpdateResponse,
    openapi_extra=body_of(ConfigUpdateRequest),
)
async def put_config(
    request: HttpRequest,
    caller: Writer,
    service: str,
    reason: ReasonText = None,
    dry_run: DryRun = False,
    config_epoch: EpochText = None,
) -> Response:
    """``version`` is the row version that was read; a newer one there is a conflict."""
    return await _change(request, caller, "set", service, (reason, dry_run, config_epoch))


@router.patch(
    "/config/{service}",
    name="patch",
    summary="Change some settings",
    response_model=ConfigUpdateResponse,
    openapi_extra=body_of(PatchBody),
)
async def patch_config(
    request: HttpRequest,
    caller: Writer,
    service: str,
    reason: ReasonText = None,
    dry_run: DryRun = False,
    config_epoch: EpochText = None,
) -> Response:
    """What is not named stays as it is; ``null`` is a value, not a deletion."""
    return await _change(request, caller, "patch", service, (reason, dry_run, config_epoch))


@router.post(
    "/config/{service}/reset",
    name="reset",
    summary="Back to defaults",
    response_model=ConfigUpdateResponse,
    openapi_extra=body_of(ResetBody, required=False),
)
async def reset_config(
    request: HttpRequest,
    caller: Writer,
    service: str,
    reason: ReasonText = None,
    dry_run: DryRun = False,
    config_epoch: EpochText = None,
) -> Response:
    """A new version with defaults in place of the named settings, or of all."""
    return await _change(request, caller, "reset", service, (reason, dry_run, config_epoch))


@router.post(
    "/config/{service}/rollback",
    name="rollback",
    summary="An earlier version again",
    response_model=ConfigUpdateResponse,
    openapi_extra=body_of(RollbackBody),
)
async def rollback_config(
    request: HttpRequest,
    caller: Writer,
    service: str,
    reason: ReasonText = None,
    dry_run: DryRun = False,
    config_epoch: EpochText = None,
) -> Response:
    """A new version with the contents of an earlier one."""
    return await _change(request, caller, "rollback", service, (reason, dry_run, config_epoch))


@router.post(
    "/config/{service}/resend",
    name="resend",
    summary="Publish the settings again",
    response_model=EmptyBody,
)
async def resend_config(request: HttpRequest, caller: Reader, service: str) -> Response:
    """Signed anew, for a service that missed them."""
    body_model(EmptyBody, body_object(await raw_body(request)))
    return await _run(request, caller, "resend", service, {})


@router.post(
    "/config/{service}/restart",
    name="restart",
    summary="Start its processes anew",
    response_model=Restarted,
)
async def restart_service(
    request: HttpRequest, caller: Writer, service: str, dry_run: DryRun = False
) -> Response:
    """A signed order to every instance that lives; whatever looks after it starts it again."""
    body_model(EmptyBody, body_object(await raw_body(request)))
    return await _run(request, caller, "restart", service, {"dry_run": True} if dry_run else {})


@router.get(
    "/config/{service}/history",
    name="history",
    summary="What changed",
    response_model=list[dict[str, Any]],
)
async def history(
    request: HttpRequest,
    caller: Reader,
    service: str,
    key: Annotated[str | None, Query(max_length=128)] = None,
    before_id: Annotated[int | None, Query(ge=1, le=2**53 - 1)] = None,
    start: MomentText = None,
    end: MomentText = None,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
) -> Response:
    """Rows newest first, secrets masked; ``before_id`` pages on."""
    asked = {"key": key, "before_id": before_id, "start": start, "end": end, "limit": limit}
    return await _run(request, caller, "history", service, _given(asked))


@router.get(
    "/config/{service}/fields",
    name="describe",
    summary="What can be set",
    response_model=list[ConfigFieldMetadata],
)
async def describe(request: HttpRequest, caller: Reader, service: str) -> Response:
    """Every field with its type, limits and help."""
    return await _run(request, caller, "describe", service, {})


@router.post(
    "/search",
    name="search",
    summary="Find settings",
    response_model=ConfigSearchResponse,
    openapi_extra=body_of(ConfigSearchRequest, required=False),
)
async def search(request: HttpRequest, caller: Reader) -> Response:
    """Best first; ``total`` counts all that match."""
    asked = _only(body_object(await raw_body(request)), set(ConfigSearchRequest.model_fields))
    return await _run(request, caller, "search", ALL_SERVICES, asked)


@router.get(
    "/keysets", tags=["keys"], name="keyset", summary="Which keys may sign", response_model=Keysets
)
async def keysets(
    request: HttpRequest,
    caller: Reader,
    after: Annotated[int | None, Query(ge=0, le=2**53 - 1)] = None,
) -> Response:
    """Keysets after the given number, oldest first."""
    return await _run(request, caller, "keyset", ALL_SERVICES, _given({"after": after}))


Sending = tuple[str | None, bool, str | None]
_BODIES: dict[str, set[str]] = {
    "set": set(ConfigUpdateRequest.model_fields),
    "patch": set(PatchBody.model_fields),
    "reset": set(ResetBody.model_fields),
    "rollback": set(RollbackBody.model_fields),
}


async def _change(
    request: HttpRequest, caller: Caller, op: str, service: str, sending: Sending
) -> Response:
    """A write: body from bytes, what is about the sending from header and query."""
    raw = await raw_body(request)
    asked = _only(body_object(raw), _BODIES[op])
    reason, dry_run, config_epoch = sending
    asked |= _given({"reason": reason, "config_epoch": config_epoch})
    if dry_run:
        asked["dry_run"] = True
    return await _run(request, caller, op, service, asked, raw)


async def _run(
    request: HttpRequest,
    caller: Caller,
    op: str,
    service: str,
    asked: dict[str, Any],
    raw: bytes = b"",
) -> Response:
    transaction = idempotency_key(request)
    if service != ALL_SERVICES:
        checked_service(service)
    body = body_model(ConfigRequest, asked)
    if body.service not in (None, service):
        raise RefusedError("INVALID_REQUEST", "the service in the body is not the one of the path")
    topic = f"system/config-request/{caller.user}/{op}/{service}".encode()
    answer = await manager(request).commands.execute(
        Request(
            caller=caller,
            op=op,
            service=service,
            body=body,
            body_sha256=body_digest(op, service, body),
            transaction=transaction or derived_transaction(topic, raw + request.url.query.encode()),
            derived=transaction is None,
            via="rest",
        )
    )
    return answered(answer)


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _only(asked: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Refuse what this op does not know, with a word about what belongs elsewhere."""
    unknown = sorted(set(asked) - known)
    if unknown:
        elsewhere = _SENDING & set(unknown)
        raise RefusedError(
            "INVALID_REQUEST",
            f"the body may hold {', '.join(sorted(known))}; not {unknown[0][:64]!r}",
            hint="over REST, reason, dry_run and config_epoch are query parameters and the "
            "transaction is the header Idempotency-Key"
            if elsewhere
            else "leave it out",
        )
    return asked
