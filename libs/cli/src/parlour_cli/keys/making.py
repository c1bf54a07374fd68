"""What a first start makes: the fleet's keys, its first user and that user's token."""

from __future__ import annotations

from pathlib import Path

from parlour_config.provision import provision
from parlour_config.users import UsersFile
from parlour_contracts.config import CONFIGS

from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.users import ADMIN
from parlour_cli.keys.places import keys_dir, token_file, users_file

ROOT_KEY_ADVICE = "keep keys/root.key somewhere else: it alone can replace a stolen signing key"


def ensure_keys(data_dir: Path) -> list[str]:
    """Make what is missing of keys, users and the admin's token; idempotent.

    Returns:
        What was made, for people.

    Raises:
        KeysUnwritableError, KeysLostError: see :func:`parlour_config.provision.provision`.
        UsersError, DataDirError: the users file cannot be used.
    """
    made = list(provision(keys_dir(data_dir), CONFIGS).written)
    make_private_dir(data_dir / "secrets" / "api")
    users, token = UsersFile(users_file(data_dir)), token_file(data_dir, ADMIN)
    users.ensure()
    if not token.is_file():
        write_private(token, users.issue_token(ADMIN) + "\n")
        made.append("the admin's token")
    return made
