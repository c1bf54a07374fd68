"""``parlour config secret set|reveal``: what is never shown by the other commands."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

from cyclopts import App, Parameter

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.rest import Api
from parlour_cli.talk.errors import InputError

app = App(name="secret", help="Set or reveal a secret setting.")


@app.command(name="set")
@in_words
def set_secret(
    service: Annotated[str, Parameter(help="A service, such as llm-worker.")],
    key: Annotated[str, Parameter(help="A setting of type secret.")],
    *,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Set a secret; it is asked for, or read from standard input, and never on the command line."""
    api = Api.of(resolve_data_dir(data))
    version = api.call("GET", f"/v1/config/{service}")["metadata"]["version"]
    value = getpass.getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\n")
    if not value:
        raise InputError("no secret was given", hint="type it, or pipe it in")
    found = api.call("PUT", f"/v1/secrets/{service}/{key}", {"value": value, "version": version})
    if as_json:
        print_json(found)
    else:
        print(f"{service}: {key} is set, version {found['new_version']}")
    return 0


@app.command
@in_words
def reveal(
    service: Annotated[str, Parameter(help="A service.")],
    key: Annotated[str, Parameter(help="A setting of type secret.")],
    *,
    reason: Annotated[str, Parameter(help="Why; it stands in the audit log.")],
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show a secret. Who did and why is logged first."""
    found = Api.of(resolve_data_dir(data)).call(
        "POST", f"/v1/secrets/{service}/{key}/reveal", {"reason": reason}
    )
    if as_json:
        print_json(found)
    else:
        print(found["value"])
    return 0
