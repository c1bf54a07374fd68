"""What every settings model shares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Apply = Literal["live", "reload"]


class ServiceConfigModel(BaseModel):
    """The settings of a service: strict, closed, complete by its defaults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def setting(
    default: Any,
    title: str,
    description: str,
    *,
    apply: Apply = "live",
    complexity: Literal["simple", "advanced"] = "advanced",
    **bounds: Any,
) -> Any:
    """A field of a settings model.

    Args:
        default: its value when nobody sets it.
        title: its short name for people.
        description: what it changes, with the unit.
        apply: ``live`` takes effect at once, ``reload`` with the next engine.
        complexity: ``simple`` is shown by default (C002).
        bounds: pydantic's constraints, such as ``ge`` and ``le``.
    """
    return Field(
        default,
        title=title,
        description=description,
        json_schema_extra={"apply": apply, "complexity": complexity},
        **bounds,
    )
