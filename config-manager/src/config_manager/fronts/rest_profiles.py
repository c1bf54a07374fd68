"""Profiles: the settings of several services under one name, set together or not at all."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi import Request as HttpRequest

from config_manager.fronts.rest_answers import success
from config_manager.fronts.rest_door import Reader, Writer, manager, read_body
from config_manager.fronts.rest_models import EmptyBody, ReasonBody
from config_manager.fronts.rest_openapi import body_of, failures
from config_manager.profile_models import Profile, ProfileActivated, ProfileBody, ProfileList

router = APIRouter(prefix="/v1/profiles", tags=["profiles"], responses=failures())
Named = Annotated[str, Path(min_length=1, max_length=100)]


@router.get("", name="profiles", summary="Every profile", response_model=ProfileList)
async def listed(request: HttpRequest, _caller: Reader) -> Response:
    """Without their contents."""
    return success(ProfileList(profiles=await manager(request).profiles.listed()))


@router.get("/{name}", name="get-profile", summary="One profile", response_model=Profile)
async def get(request: HttpRequest, _caller: Reader, name: Named) -> Response:
    """With its settings; secrets are no part of a profile."""
    return success(await manager(request).profiles.get(name))


@router.put(
    "/{name}", name="put-profile", summary="Keep a profile", response_model=Profile,
    openapi_extra=body_of(ProfileBody, required=False),
)  # fmt: skip
async def put(request: HttpRequest, caller: Writer, name: Named) -> Response:
    """Of the settings in the body, or of what is set now."""
    body = await read_body(request, ProfileBody)
    return success(await manager(request).profiles.put(caller, name, body))


@router.delete(
    "/{name}", name="delete-profile", summary="Forget a profile", response_model=EmptyBody
)
async def delete(request: HttpRequest, caller: Writer, name: Named) -> Response:
    """The settings of the services stay as they are."""
    await manager(request).profiles.delete(caller, name)
    return success({})


@router.post(
    "/{name}/activate", name="activate-profile", summary="Set it",
    response_model=ProfileActivated, openapi_extra=body_of(ReasonBody),
)  # fmt: skip
async def activate(request: HttpRequest, caller: Writer, name: Named) -> Response:
    """A new version of every service in it, in one transaction."""
    body = await read_body(request, ReasonBody)
    return success(await manager(request).profiles.activate(caller, name, body.reason))
