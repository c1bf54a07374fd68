"""``parlour credentials``: how a client reaches the broker of the running fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from parlour_cli.broker.running import Access, access
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.up.command import Data


def load(data_dir: Path, user: str) -> Access:
    """How to reach the running fleet's broker as a user.

    Raises:
        NotRunningError: no fleet runs on this data directory.
        UnknownUserError: its broker has no such user.
    """
    return access(data_dir, user)


@in_words
def credentials(
    *,
    user: Annotated[str, Parameter(help="A broker user, such as admin.")],
    as_json: Annotated[
        bool, Parameter(name="--json", negative="", help="Print JSON for programs.")
    ] = False,
    data: Data = None,
) -> int:
    """Show where the running fleet's broker is, and a user's password."""
    found = load(resolve_data_dir(data), user)
    shown = {"url": found.url, "user": found.user, "password": found.password}
    if as_json:
        print_json(shown)
        return 0
    for name, value in shown.items():
        print(f"{name + ':':10}{value or '(none)'}")
    return 0
