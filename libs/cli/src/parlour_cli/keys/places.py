"""Where keys, users and tokens lie in a data directory."""

from __future__ import annotations

from pathlib import Path

from parlour_config.keyfolder import ROOT_FILE

REBUILD_VARIABLE = "REBUILD_TOKEN"
"""What config-manager and who asks it for a rebuild have in common, in the environment of both."""


def keys_dir(data_dir: Path) -> Path:
    """The key files: config-manager's, one per service, and the root key."""
    return data_dir / "keys"


def users_file(data_dir: Path) -> Path:
    """Who may do what, with the digests of their tokens."""
    return data_dir / "secrets" / "users.json"


def token_file(data_dir: Path, user: str) -> Path:
    """The token of a user of this machine."""
    return data_dir / "secrets" / "api" / f"{user}.token"


def root_key_file(data_dir: Path) -> Path:
    """The private root key, until it is moved off the machine."""
    return keys_dir(data_dir) / ROOT_FILE
