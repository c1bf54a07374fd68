"""``parlour users list|add|token|revoke|remove``: who may read and change the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from parlour_config.users import UsersFile

from parlour_cli.broker.users import ensure_users
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.keys.places import users_file
from parlour_cli.models.output import in_words, print_columns, print_json
from parlour_cli.options import Data, Json
from parlour_cli.up.members import INSTANCES

app = App(name="users", help="Who may read and change the settings.")
Name = Annotated[str, Parameter(help="The person's name, which is the broker user, too.")]


@app.command(name="list")
@in_words
def list_users(*, as_json: Json = False, data: Data = None) -> int:
    """Show everybody and what they may do."""
    found = [
        {"name": u.name, "role": u.role, "token": u.token_sha256 is not None}
        for u in _users(data).current()
    ]
    if as_json:
        print_json(found)
    else:
        print_columns(
            ("NAME", "ROLE", "TOKEN"),
            [(str(u["name"]), str(u["role"]), "yes" if u["token"] else "") for u in found],
        )
    return 0


@app.command
@in_words
def add(
    name: Name,
    *,
    role: Annotated[Literal["read", "write", "admin"], Parameter(help="What they may do.")],
    data: Data = None,
) -> int:
    """Add somebody, or change what somebody may do; gives a password for the broker."""
    _users(data).put(name, role)
    ensure_users(resolve_data_dir(data), [name])
    print(f"{name} may {role}; their password: parlour credentials --user {name}")
    print("the broker knows a new name from the next start of parlour up on")
    return 0


@app.command
@in_words
def token(name: Name, *, data: Data = None) -> int:
    """Make a new token for the REST interface; it is shown once, the old one ends."""
    print(_users(data).issue_token(name))
    return 0


@app.command
@in_words
def revoke(name: Name, *, data: Data = None) -> int:
    """End somebody's token."""
    _users(data).revoke_token(name)
    print(f"the token of {name} is no longer accepted")
    return 0


@app.command
@in_words
def remove(name: Name, *, data: Data = None) -> int:
    """Remove somebody."""
    _users(data).remove(name)
    print(f"{name} may do nothing any more")
    return 0


def _users(data: Path | None) -> UsersFile:
    return UsersFile(users_file(resolve_data_dir(data)), instances=lambda: frozenset(INSTANCES))
