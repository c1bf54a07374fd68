"""A data directory for one run, with the models of another: a running fleet is not touched."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def data_of(named: Path | None) -> Path:
    """The data directory that holds the models, as the `parlour` command finds it."""
    if named is not None:
        return named.expanduser().resolve()
    if from_environment := os.environ.get("PARLOUR_DATA"):
        return Path(from_environment).expanduser().resolve()
    share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(share) / "parlour"


def scratch_data(
    data: Path, scratch: Path, settings: Mapping[str, Mapping[str, object]] | None = None
) -> Path:
    """A data directory below ``scratch`` whose models are those of ``data``.

    Args:
        data: where the models are.
        scratch: an empty folder.
        settings: service → what differs from its defaults.
    """
    own = scratch / "data"
    own.mkdir(mode=0o700)
    (own / "models").symlink_to(data / "models", target_is_directory=True)
    if settings:
        (own / "config").mkdir(mode=0o700)
    for service, values in (settings or {}).items():
        (own / "config" / f"{service}.json").write_text(json.dumps(values))
    return own
