"""What a first start makes: the fleet's keys, its first user and that user's token."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from parlour_config.keyfolder import SERVICE_FILE
from parlour_config.provision import KeysUnwritableError, provision
from parlour_config.users import UsersError, UsersFile
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
    written = provision(keys_dir(data_dir), CONFIGS).written
    made = [name.removesuffix(f"/{SERVICE_FILE}") for name in written]
    make_private_dir(data_dir / "secrets")
    make_private_dir(data_dir / "secrets" / "api")
    users, token = UsersFile(users_file(data_dir)), token_file(data_dir, ADMIN)
    users.ensure()
    if not token.is_file() and users.get(ADMIN) is not None:
        write_private(token, users.issue_token(ADMIN) + "\n")
        made.append("the admin's token")
    return made


def people_of(data_dir: Path, instances: Iterable[str]) -> list[str]:
    """Everybody who has an account.

    Raises:
        UsersError: the users file cannot be used, or gives a process's name to a person.
    """
    users = UsersFile(users_file(data_dir))
    users.ensure()
    names = [user.name for user in users.current()]
    taken = sorted(set(names) & set(instances))
    if taken:
        raise UsersError(
            f"{users_file(data_dir)} has a person named {taken[0]}, as a process is",
            hint=f"remove it: parlour users remove {taken[0]}",
        )
    return names


def keys_to_keep(error: KeysUnwritableError) -> str:
    """What a person is shown, this once, when the new keys cannot be stored."""
    return (
        "These keys were made for the fleet. They are stored nowhere and not shown again.\n"
        "To use them, store each part below as the file that its heading names, readable for\n"
        "you alone (chmod 600), and start parlour up again. To have new ones made instead,\n"
        f"mend what is in the way.\n\n{error.text}"
    )
