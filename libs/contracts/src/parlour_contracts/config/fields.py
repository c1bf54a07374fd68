"""What every settings model shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parlour_contracts.config.annotations import is_secret
from parlour_contracts.config.marks import MASK

Apply = Literal["live", "reload"]
Complexity = Literal["simple", "advanced"]


class ServiceConfigModel(BaseModel):
    """The settings of a service: strict, closed, complete by its defaults.

    Neither its text form nor its errors show what was given for a value.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The values for people and logs, secrets masked."""
        for key, value in super().__repr_args__():
            field = type(self).model_fields.get(key or "")
            hidden = field is not None and value is not None and is_secret(field)
            yield key, MASK if hidden else value


def setting(
    default: Any,
    title: str,
    description: str,
    *,
    apply: Apply = "live",
    complexity: Complexity = "advanced",
    help_text: str = "",
    **bounds: Any,
) -> Any:
    """A field of a settings model.

    Args:
        default: its value when nobody sets it.
        title: its short name for people.
        description: what it changes, with the unit.
        apply: ``live`` takes effect at once, ``reload`` with the next engine.
        complexity: ``simple`` is shown by default (C002).
        help_text: more than the description says, where that is needed.
        bounds: pydantic's constraints, such as ``ge`` and ``le``.
    """
    extra: dict[str, Any] = {"apply": apply, "complexity": complexity}
    if help_text:
        extra["help_text"] = help_text
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)
