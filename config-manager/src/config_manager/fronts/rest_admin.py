"""What only an administrator does: keys, take-over, users. And what anybody may look at."""

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest
from parlour_config.canonical import MAX_KEYSET_BYTES
from parlour_config.users import User
from parlour_contracts.messages.configuration import ConfigHealthPayload
from parlour_contracts.messages.signed import KeysetDocument, moment_text

from config_manager.commands import RefusedError
from config_manager.fronts.rest_answers import success
from config_manager.fronts.rest_door import Admin, Reader, manager, raw_body, read_body
from config_manager.fronts.rest_models import (
    Alive,
    AuditReport,
    EmptyBody,
    FleetState,
    IssuedToken,
    KeyName,
    KeysetAccepted,
    KeysReport,
    OperatorDone,
    ReasonBody,
    RebuildBody,
    RotateBody,
    TakeoverBody,
    UserBody,
    UserInfo,
    UserList,
)
from config_manager.fronts.rest_openapi import body_of, failures

router = APIRouter(prefix="/v1", responses=failures())
open_router = APIRouter()
NO_STORE = {"Cache-Control": "no-store"}


@open_router.get("/healthz", tags=["health"], summary="Whether it answers", name="healthz")
async def healthz() -> Alive:
    """For probes; says nothing else, and needs no token."""
    return Alive()


@router.get(
    "/health", tags=["health"], name="health", summary="The health of config-manager",
    response_model=ConfigHealthPayload,
    responses={503: {"model": ConfigHealthPayload, "description": "The same, and not ok"}},
)  # fmt: skip
async def health(request: HttpRequest, _caller: Reader) -> Response:
    """As on ``system/health/config-manager``; the status code tells ``ok`` too."""
    told = manager(request).health()
    return success(told, status=200 if told.ok else 503)


@router.get(
    "/state", tags=["health"], name="state", summary="Desired and reported settings",
    response_model=FleetState,
)  # fmt: skip
async def state(request: HttpRequest, _caller: Reader) -> Response:
    """What every instance runs with, and who lags."""
    return success(await manager(request).state())


@router.get("/keys", tags=["keys"], name="keys", summary="Keys", response_model=KeysReport)
async def keys(request: HttpRequest, _caller: Admin) -> Response:
    """Public halves, ids and rotations; never a private half."""
    return success(await manager(request).keys.report())


@router.post(
    "/keys/{name}/rotate", tags=["keys"], name="rotate", summary="Begin a rotation",
    response_model=KeysReport, status_code=202, openapi_extra=body_of(RotateBody),
)  # fmt: skip
async def rotate(request: HttpRequest, caller: Admin, name: KeyName) -> Response:
    """Goes on by itself where it can; a rotation under way is left where it is."""
    body = await read_body(request, RotateBody)
    desk = manager(request).keys
    await desk.start(name, by=caller.user, reason=body.reason, compromised=body.compromised)
    return success(await desk.report(), status=202)


@router.post(
    "/keysets", tags=["keys"], name="accept-keyset", summary="The next keyset",
    response_model=KeysetAccepted, openapi_extra=body_of(KeysetDocument),
)  # fmt: skip
async def accept_keyset(
    request: HttpRequest, caller: Admin, reason: str = "keyset posted"
) -> Response:
    """Signed by the threshold of the root keys; services get it at once."""
    document = await raw_body(request, MAX_KEYSET_BYTES)
    version = await manager(request).keys.accept_keyset(
        document, by=caller.user, reason=reason[:500]
    )
    return success(KeysetAccepted(keyset_version=version))


@router.get(
    "/audit/verify", tags=["audit"], name="verify-audit", summary="Whether the audit is whole",
    response_model=AuditReport,
)  # fmt: skip
async def verify_audit(request: HttpRequest, _caller: Reader) -> Response:
    """Goes through the whole hash chain."""
    return success(await manager(request).operator.verify_audit())


@router.post(
    "/takeover", tags=["operator"], name="takeover", summary="Become the active manager",
    response_model=OperatorDone, openapi_extra=body_of(TakeoverBody),
)  # fmt: skip
async def takeover(request: HttpRequest, caller: Admin) -> Response:
    """With a new epoch, after a restore or a conflict."""
    body = await read_body(request, TakeoverBody)
    above = moment_text(body.above) if body.above else None
    done = await manager(request).operator.takeover(caller, reason=body.reason, above=above)
    return success(done)


@router.post(
    "/confirm-floor", tags=["operator"], name="confirm-floor", summary="Sign ahead of the clock",
    response_model=OperatorDone, openapi_extra=body_of(ReasonBody),
)  # fmt: skip
async def confirm_floor(request: HttpRequest, caller: Admin) -> Response:
    """For a floor that is more than a day ahead of a trusted clock."""
    body = await read_body(request, ReasonBody)
    return success(await manager(request).operator.confirm_floor(caller, reason=body.reason))


@router.post(
    "/rebuild", tags=["operator"], name="rebuild", summary="Build the database anew",
    response_model=EmptyBody, status_code=202, openapi_extra=body_of(RebuildBody),
)  # fmt: skip
async def rebuild(request: HttpRequest, caller: Admin) -> Response:
    """From a backup or from last-known-good settings; needs the token of the process."""
    body = await read_body(request, RebuildBody)
    await manager(request).operator.rebuild(caller, reason=body.reason, token=body.rebuild_token)
    return success({}, status=202)


@router.get(
    "/users", tags=["users"], name="users", summary="Everybody", response_model=UserList
)  # fmt: skip
async def users(request: HttpRequest, _caller: Admin) -> Response:
    """Names, roles, and who has a token."""
    found = [_info(user) for user in manager(request).users.current()]
    return success(UserList(users=found))


@router.put(
    "/users/{name}", tags=["users"], name="put-user", summary="Create, or change the role",
    response_model=UserInfo, openapi_extra=body_of(UserBody),
)  # fmt: skip
async def put_user(request: HttpRequest, caller: Admin, name: str) -> Response:
    """A new user has no token yet."""
    body = await read_body(request, UserBody)
    api = manager(request)
    await api.operator.record(caller, "user-put", name=name[:64], role=body.role)
    return success(_info(api.users.put(name, body.role)))


@router.delete(
    "/users/{name}", tags=["users"], name="delete-user", summary="Remove", response_model=EmptyBody
)
async def delete_user(request: HttpRequest, caller: Admin, name: str) -> Response:
    """The token ends with the user."""
    api = manager(request)
    await api.operator.record(caller, "user-deleted", name=name[:64])
    api.users.remove(name)
    return success({})


@router.post(
    "/users/{name}/token", tags=["users"], name="issue-token", summary="A new token",
    response_model=IssuedToken,
)  # fmt: skip
async def issue_token(request: HttpRequest, caller: Admin, name: str) -> Response:
    """Shown once; the old one ends."""
    api = manager(request)
    await api.operator.record(caller, "token-issued", name=name[:64])
    token = api.users.issue_token(name)
    return success(IssuedToken(name=name, token=token), NO_STORE)


@router.delete(
    "/users/{name}/token", tags=["users"], name="revoke-token", summary="End the token",
    response_model=EmptyBody,
)  # fmt: skip
async def revoke_token(request: HttpRequest, caller: Admin, name: str) -> Response:
    """Counts from the next request on."""
    if name == caller.user:
        raise RefusedError(
            "INVALID_REQUEST", "this would end the token of this request",
            hint="issue a new one instead; that ends this one",
        )  # fmt: skip
    api = manager(request)
    await api.operator.record(caller, "token-revoked", name=name[:64])
    api.users.revoke_token(name)
    return success({})


def _info(user: User) -> UserInfo:
    return UserInfo(name=user.name, role=user.role, has_token=user.token_sha256 is not None)
