"""Profiles as they are asked for and told of, in every front and below them."""

from __future__ import annotations

from typing import Annotated, Any

from parlour_contracts.messages.signed import Closed, Moment
from pydantic import Field

ProfileName = Annotated[str, Field(min_length=1, max_length=100)]


class ProfileBody(Closed):
    """A profile to be kept; without ``settings`` it takes what is set now."""

    description: Annotated[str, Field(max_length=500)] = ""
    settings: dict[str, dict[str, Any]] | None = None


class ProfileInfo(Closed):
    """A profile without its contents."""

    name: ProfileName
    description: str
    services: list[str]
    created_at: Moment
    created_by: str
    updated_at: Moment
    updated_by: str


class Profile(ProfileInfo):
    """A profile: the settings of several services under one name, secrets left out."""

    settings: dict[str, dict[str, Any]]


class ProfileList(Closed):
    """Every profile, in order of its name."""

    profiles: list[ProfileInfo]


class ProfileActivated(Closed):
    """The new row version of each service; all of them changed, or none would have."""

    versions: dict[str, int]
