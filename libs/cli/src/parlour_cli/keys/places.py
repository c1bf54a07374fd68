"""Where keys, users and tokens lie in a data directory."""

from __future__ import annotations

from pathlib import Path


def keys_dir(data_dir: Path) -> Path:
    """The key files: config-manager's, one per service, and the root key."""
    return data_dir / "keys"


def users_file(data_dir: Path) -> Path:
    """Who may do what, with the digests of their tokens."""
    return data_dir / "secrets" / "users.json"


def token_file(data_dir: Path, user: str) -> Path:
    """The token of a user of this machine."""
    return data_dir / "secrets" / "api" / f"{user}.token"
