"""``parlour users list|add|token|revoke|remove``: who may read and change the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from parlour_config.users import UsersFile

from parlour_cli.broker.files import make_private_dir, write_private
from parlour_cli.broker.running import elsewhere
from parlour_cli.broker.users import ADMIN, ensure_users, secret_file
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.keys.places import token_file, users_file
from parlour_cli.models.output import in_words, print_columns, print_json
from parlour_cli.options import Data, Json
from parlour_cli.up.members import INSTANCES

app = App(name="users", help="Who may read and change the settings.")
Name = Annotated[str, Parameter(help="The person's name, which is the broker user, too.")]


@app.command(name="list")
@in_words
def list_users(*, as_json: Json = False, data: Data = None) -> int:
    """Show everybody and what they may do."""
    users = _users(resolve_data_dir(data))
    found = [
        {"name": u.name, "role": u.role, "token": u.token_sha256 is not None}
        for u in users.current()
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
    role: Annotated[
        Literal["read", "write", "admin"], Parameter(name="--role", help="What they may do.")
    ],
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Add somebody, or change what somebody may do; gives a password for the broker."""
    data_dir = resolve_data_dir(data)
    users = _users(data_dir)
    new = users.get(name) is None
    users.put(name, role)
    its_own_broker = elsewhere() is not None
    if not its_own_broker:
        ensure_users(data_dir, [name])
    if as_json:
        print_json({"name": name, "role": role})
        return 0
    print(f"{name} may {'do everything' if role == 'admin' else role}")
    if new and its_own_broker:
        print(f"the broker must know them, too; a token for REST: parlour users token {name}")
    elif new:
        print("the broker knows a new name from the next start of parlour up on")
        print(f"their password then: parlour credentials --user {name}")
        print(f"a token for REST: parlour users token {name}")
    return 0


@app.command
@in_words
def token(name: Name, *, as_json: Json = False, data: Data = None) -> int:
    """Make a new token for the REST interface; it is shown once, the old one ends."""
    data_dir = resolve_data_dir(data)
    made = _users(data_dir).issue_token(name)
    kept = token_file(data_dir, name)
    if name == ADMIN or kept.is_file():
        make_private_dir(kept.parent)
        write_private(kept, made + "\n")  # what the commands of this machine use
    if as_json:
        print_json({"name": name, "token": made})
    else:
        print(made)
    return 0


@app.command
@in_words
def revoke(name: Name, *, as_json: Json = False, data: Data = None) -> int:
    """End somebody's token."""
    data_dir = resolve_data_dir(data)
    _users(data_dir).revoke_token(name)
    token_file(data_dir, name).unlink(missing_ok=True)
    return _told(f"the token of {name} is no longer accepted", name, as_json)


@app.command
@in_words
def remove(name: Name, *, as_json: Json = False, data: Data = None) -> int:
    """Remove somebody."""
    data_dir = resolve_data_dir(data)
    _users(data_dir).remove(name)
    token_file(data_dir, name).unlink(missing_ok=True)
    if name != ADMIN:  # as whom parlour itself speaks with the broker
        secret_file(data_dir, name).unlink(missing_ok=True)
    text = f"{name} may change nothing any more; the broker forgets them when parlour up starts"
    return _told(text, name, as_json)


def _told(text: str, name: str, as_json: bool) -> int:
    if as_json:
        print_json({"name": name})
    else:
        print(text)
    return 0


def _users(data_dir: Path) -> UsersFile:
    """The users of this data directory, the first of them made if there is none yet.

    Raises:
        UsersError: the file cannot be used.
    """
    make_private_dir(data_dir)
    make_private_dir(data_dir / "secrets")
    users = UsersFile(users_file(data_dir), instances=lambda: frozenset(INSTANCES))
    users.ensure()
    return users
