"""``parlour config audit verify``: whether the log of changes is whole."""

from __future__ import annotations

from cyclopts import App

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import FAILED, complain, in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.rest import Api

app = App(name="audit", help="Check the log of changes.")


@app.command
@in_words
def verify(*, as_json: Json = False, data: Data = None) -> int:
    """Check the chain of the audit log from its first row to its head."""
    found = Api.of(resolve_data_dir(data)).call("GET", "/v1/audit/verify")
    if as_json:
        print_json(found)
    elif found["ok"]:
        print(f"the audit log is whole: {found['rows']} rows, head {found['head'][:16]}")
    else:
        complain(
            f"the audit log was altered at row {found['first_bad']}",
            "compare it with a backup; see docs/configuration.md",
        )
    return 0 if found["ok"] else FAILED
