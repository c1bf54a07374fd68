"""A service's settings from a local JSON file, until signed configuration reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from parlour_contracts.config import ServiceConfigModel
from pydantic import ValidationError

from parlour_kit.errors import StartupError

C = TypeVar("C", bound=ServiceConfigModel)
MAX_BYTES = 262_144


def read_config(model: type[C], path: Path | None) -> tuple[C, Literal["default", "file"]]:
    """The settings of a service and where they come from.

    Raises:
        StartupError: naming every wrong setting at once, never a value.
    """
    if path is None:
        return model(), "default"
    if path.stat().st_size > MAX_BYTES:
        raise StartupError(f"{path.name} is larger than {MAX_BYTES} bytes")
    try:
        return model.model_validate_json(path.read_bytes()), "file"
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise StartupError(
            f"cannot start, {path.name} is wrong:\n"
            + "\n".join(
                f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in problems
            ),
            hint="correct the settings named above",
        ) from None
