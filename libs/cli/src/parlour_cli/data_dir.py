"""Where Parlour keeps its data."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "PARLOUR_DATA"


def resolve_data_dir(data: Path | None) -> Path:
    """The data directory as an absolute path; it need not exist.

    In this order: the argument, the environment variable PARLOUR_DATA, the folder
    ``parlour`` in the user's data directory (XDG_DATA_HOME or ~/.local/share).
    """
    if data is not None:
        return data.expanduser().absolute()
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    share = Path(os.environ.get("XDG_DATA_HOME", ""))
    # A relative XDG_DATA_HOME is invalid and to be ignored, says its specification.
    if not share.is_absolute():
        share = Path.home() / ".local" / "share"
    return share / "parlour"
