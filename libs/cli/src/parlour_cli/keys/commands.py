"""``parlour keys status|rotate``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from parlour_config.keyfiles import read_root_key
from parlour_config.keyset import sign_keyset
from parlour_kit.errors import ParlourError

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.keys.places import keys_dir
from parlour_cli.models.output import FAILED, complain, in_words, print_columns, print_json
from parlour_cli.options import Data, Json
from parlour_cli.rest import Api

app = App(name="keys", help="Show and replace the keys of the fleet.")
POLL_S = 0.5


@app.command
@in_words
def status(*, as_json: Json = False, data: Data = None) -> int:
    """Show which keys are in use; public keys in base64, private ones never."""
    found = Api.of(resolve_data_dir(data)).call("GET", "/v1/keys")
    if as_json:
        print_json(found)
        return 0
    rows = [
        (name, str(found[name].get("id", "")), str(found[name].get("state", "")),
         str(found[name].get("grace_until") or ""))
        for name in ("signing", "hmac", "master")
    ]  # fmt: skip
    print_columns(("KEY", "ID", "ROTATION", "OLD ONE VALID UNTIL"), rows)
    for key in found["signing"].get("public_keys", []):
        print(f"public key {key['kid']}  {key['pub']}  {key.get('status', '')}".rstrip())
    return 0


@app.command
@in_words
def rotate(
    name: Annotated[Literal["signing", "hmac", "master"], Parameter(help="Which key.")],
    *,
    root_key: Annotated[
        Path | None, Parameter(help="The root key's file (default: keys/root.key).")
    ] = None,
    wait: Annotated[float, Parameter(help="Seconds to wait until the new key is in use.")] = 60.0,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Replace a key. Run it again after an interruption: it goes on where it stopped."""
    data_dir = resolve_data_dir(data)
    api = Api.of(data_dir)
    found = api.call("POST", f"/v1/keys/{name}/rotate", {})
    if found.get("keysets"):
        root = read_root_key(root_key or keys_dir(data_dir) / "root.key")
        for body in found["keysets"]:
            _post_keyset(api, sign_keyset(body, [root]))
    found = _wait(api, name, wait)
    if as_json:
        print_json(found)
    else:
        print(f"{name}: {found['state']}, key {found['id']} is in use")
        if found.get("grace_until"):
            print(f"the old one is accepted until {found['grace_until']}")
    if found["state"] == "in-progress":
        complain(
            f"the new {name} key is not in use everywhere yet",
            "it goes on by itself; parlour keys status shows how far it is",
        )
        return FAILED
    return 0


def _post_keyset(api: Api, document: bytes) -> None:
    api.call_bytes("POST", "/v1/keysets", document)


def _wait(api: Api, name: str, seconds: float) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        try:
            found: dict[str, Any] = api.call("GET", "/v1/keys")[name]
        except ParlourError as error:
            if not error.retryable or time.monotonic() > end:
                raise
        else:
            if found["state"] != "in-progress" or time.monotonic() > end:
                return found
        time.sleep(POLL_S)
