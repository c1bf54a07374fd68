"""``parlour config takeover|confirm-floor``: what config-manager leaves to a person."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.rest import Api

Why = Annotated[str, Parameter(name="--reason", help="Why; it stands in the audit log.")]


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


def _done(found: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(found)
    else:
        print(f"done; epoch {found['config_epoch']}, settings are signed after {found['floor']}")
    return 0
