"""``parlour config secret set|reveal``: what is never shown by the other commands."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from parlour_cli.config.values import plain_key
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, Json, Reason, Service, Why
from parlour_cli.rest import Api, place
from parlour_cli.typed import hidden

app = App(name="secret", help="Set or reveal a secret setting.")
Key = Annotated[str, Parameter(help="A setting of type secret.")]


@app.command(name="set")
@in_words
def set_secret(
    service: Service,
    key: Key,
    *,
    reason: Reason = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Set a secret; it is asked for, or read from standard input, and never on the command line."""
    api = Api.of(resolve_data_dir(data))
    version = api.call("GET", place("config", service))["metadata"]["version"]
    value = hidden(key)
    found = api.call(
        "PUT",
        place("secrets", service, plain_key(key, service)),
        {"value": value, "version": version},
        query={"reason": reason},
    )
    if as_json:
        print_json(found)
    else:
        print(f"{service}: {key} is set, version {found['new_version']}")
    return 0


@app.command
@in_words
def reveal(
    service: Service,
    key: Key,
    *,
    reason: Why,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show a secret. Who did and why is logged first."""
    found = Api.of(resolve_data_dir(data)).call(
        "POST", place("secrets", service, plain_key(key, service), "reveal"), {"reason": reason}
    )
    if as_json:
        print_json(found)
    else:
        print(found["value"])
    return 0
