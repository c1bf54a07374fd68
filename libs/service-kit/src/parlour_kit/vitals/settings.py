"""The temperatures at which a process does less: facts of a machine and its cooling."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from parlour_kit.vitals.throttling import Temperatures

Celsius = Annotated[float, Field(ge=20, le=120)]


class VitalsSettings(BaseSettings):
    """What the environment says of the machine's heat; part of every process's settings."""

    throttle_hot_c: Celsius = Field(
        85.0, validate_default=True, description="°C from which nothing new is computed"
    )
    throttle_resume_c: Celsius = Field(
        80.0, validate_default=True, description="°C below which work goes on"
    )
    throttle_warm_c: Celsius = Field(
        75.0, validate_default=True, description="°C from which speculation stops"
    )
    throttle_cool_c: Celsius = Field(
        72.0, validate_default=True, description="°C below which it is allowed again"
    )

    # A field that is wrong itself is not in the data, and is told as such.

    @field_validator("throttle_resume_c", "throttle_warm_c")
    @classmethod
    def _below_hot(cls, value: float, info: ValidationInfo) -> float:
        hot = info.data.get("throttle_hot_c")
        warm = info.field_name == "throttle_warm_c"
        if hot is not None and (value > hot or (value == hot and not warm)):
            raise ValueError(f"must be below THROTTLE_HOT_C, which is {hot:g}")
        return value

    @field_validator("throttle_cool_c")
    @classmethod
    def _below_warm(cls, value: float, info: ValidationInfo) -> float:
        warm = info.data.get("throttle_warm_c")
        if warm is not None and value >= warm:
            raise ValueError(f"must be below THROTTLE_WARM_C, which is {warm:g}")
        return value

    def temperatures(self) -> Temperatures:
        """Where the levels begin and end."""
        return Temperatures(
            self.throttle_hot_c, self.throttle_resume_c, self.throttle_warm_c, self.throttle_cool_c
        )
