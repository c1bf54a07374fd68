"""``parlour config takeover|confirm-floor|rebuild``: what config-manager leaves to a person."""

from __future__ import annotations

import os
from typing import Annotated, Any

from cyclopts import Parameter

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.keys.places import REBUILD_VARIABLE
from parlour_cli.models.output import FAILED, complain, in_words, print_json
from parlour_cli.options import Data, Json, Why, Yes
from parlour_cli.rest import Api
from parlour_cli.typed import agreed, hidden


@in_words
def takeover(
    *,
    reason: Why,
    above: Annotated[
        str | None, Parameter(help="A time that new settings must be later than, as issued_at.")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Let this config-manager lead again, after a restore or a conflict."""
    sent = {"reason": reason} | ({"above": above} if above else {})
    return _done(Api.of(resolve_data_dir(data)).call("POST", "/v1/takeover", sent), as_json)


@in_words
def confirm_floor(*, reason: Why, as_json: Json = False, data: Data = None) -> int:
    """Say that the time stamps ahead of the clock are right."""
    found = Api.of(resolve_data_dir(data)).call("POST", "/v1/confirm-floor", {"reason": reason})
    return _done(found, as_json)


@in_words
def rebuild(*, reason: Why, yes: Yes = False, as_json: Json = False, data: Data = None) -> int:
    """Have a damaged database made anew, from the best copy that is left.

    The token is config-manager's REBUILD_TOKEN, taken from this environment too, else asked for.
    """
    api = Api.of(resolve_data_dir(data))
    if not yes and not agreed("Make the database anew? The damaged files are kept aside."):
        complain("nothing was made anew", "answer y, or add --yes")
        return FAILED
    token = os.environ.get(REBUILD_VARIABLE) or hidden(REBUILD_VARIABLE)
    found = api.call("POST", "/v1/rebuild", {"reason": reason, "rebuild_token": token})
    if as_json:
        print_json(found)
    else:
        print("begun; parlour health shows config-manager healthy once it is done")
    return 0


def _done(found: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(found)
    else:
        print(f"done; epoch {found['config_epoch']}, settings are signed after {found['floor']}")
    return 0
