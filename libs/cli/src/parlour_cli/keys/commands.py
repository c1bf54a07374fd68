"""``parlour keys status|rotate|draft|sign|accept``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from parlour_config.canonical import MAX_KEYSET_BYTES, load
from parlour_config.errors import RefusedJsonError
from parlour_config.keyfiles import read_root_key
from parlour_config.keyset import sign_keyset
from parlour_config.signing import SigningKey

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.keys.places import root_key_file
from parlour_cli.keys.rotating import follow, status_of
from parlour_cli.models.output import FAILED, complain, in_words, print_columns, print_json
from parlour_cli.options import Data, Json, Why
from parlour_cli.rest import Api
from parlour_cli.talk.errors import InputError

app = App(name="keys", help="Show and replace the keys of the fleet.")
RootKeys = Annotated[
    list[Path] | None,
    Parameter(name="--root-key", negative="", help="A root key's file (default: keys/root.key)."),
]
Document = Annotated[
    str, Parameter(allow_leading_hyphen=True, help="A file, or - for standard input.")
]
ELSEWHERE = (
    "give its file with --root-key; or, where the key is on another machine: parlour keys draft "
    "here, parlour keys sign there, parlour keys accept here"
)


@app.command
@in_words
def status(*, as_json: Json = False, data: Data = None) -> int:
    """Show which keys are in use; public keys in base64, private ones never."""
    found = _api(data).call("GET", "/v1/keys")
    if as_json:
        print_json(found)
        return 0
    print_columns(
        ("KEY", "ID", "ROTATION", ""),
        [(key["name"], key["id"], key["state"], about(key)) for key in found["keys"]],
    )
    print(f"\nkeyset {found['keyset_version']}, signed by {found['root_threshold']} root key(s)")
    for kind in ("signing", "root"):
        for key in found[f"{kind}_public_keys"]:
            print(f"{kind} public key {key['kid']}  {key['pub']}")
    return 0


@app.command
@in_words
def rotate(
    name: Annotated[Literal["signing", "hmac", "master"], Parameter(help="Which key.")],
    *,
    reason: Why = "rotated by parlour keys",
    compromised: Annotated[
        bool,
        Parameter(
            name="--compromised", negative="",
            help="The signing key may be in wrong hands: revoke it at once.",
        ),
    ] = False,
    root_key: RootKeys = None,
    wait: Annotated[float, Parameter(help="Seconds to wait until the new key is in use.")] = 60.0,
    as_json: Json = False,
    data: Data = None,
) -> int:  # fmt: skip
    """Replace a key. Run it again after an interruption: it goes on where it stopped."""
    api = _api(data)
    sent = {"reason": reason} | ({"compromised": True} if compromised else {})
    begun = api.call("POST", f"/v1/keys/{name}/rotate", sent)
    key = status_of(follow(api, name, begun, lambda: _roots(root_key, data), wait), name)
    if as_json:
        print_json(key)
    elif key["state"] in ("idle", "grace"):
        print(f"{name}: key {key['id']} is in use")
        if key["grace_until"]:
            print(f"the old one is accepted until {key['grace_until']}")
    if key["state"] in ("idle", "grace"):
        return 0
    complain(
        f"the new {name} key is not in use everywhere yet: {about(key) or key['state']}",
        "it goes on by itself; parlour keys status shows how far it is",
    )
    return FAILED


@app.command
@in_words
def draft(*, data: Data = None) -> int:
    """Print the keyset that a root key has to sign now."""
    found = _api(data).call("GET", "/v1/keys")["draft"]
    if found is None:
        raise InputError("no keyset waits for a signature", hint="parlour keys rotate signing")
    print_json(found)
    return 0


@app.command
@in_words
def sign(document: Document = "-", *, root_key: RootKeys = None, data: Data = None) -> int:
    """Sign a drafted keyset; needs no running fleet, only the root key's file."""
    try:
        drafted = load(_bytes(document), MAX_KEYSET_BYTES)
    except RefusedJsonError as error:
        raise InputError(f"the keyset cannot be read: {error}", hint="parlour keys draft") from None
    if not isinstance(drafted, dict):
        raise InputError("this is no keyset", hint="parlour keys draft")
    drafted.pop("signatures", None)
    print(sign_keyset(drafted, _roots(root_key, data)).decode())
    return 0


@app.command
@in_words
def accept(document: Document = "-", *, as_json: Json = False, data: Data = None) -> int:
    """Give a signed keyset to the fleet."""
    found = _api(data).call_bytes("POST", "/v1/keysets", _bytes(document))
    if as_json:
        print_json(found)
    else:
        print(f"keyset {found['keyset_version']} is accepted and on its way to the services")
    return 0


def about(key: dict[str, Any]) -> str:
    """What a rotation waits for, in words."""
    if key["problem"]:
        return f"problem: {key['problem']}"
    if key["state"] in ("awaiting-keyset", "awaiting-retirement"):
        return "a root key must sign: parlour keys rotate signing"
    if key["waiting_for"]:
        return f"waiting for {', '.join(key['waiting_for'])}"
    if key["remaining"]:
        return f"{key['remaining']} secrets are under an old key"
    return f"the old one is accepted until {key['grace_until']}" if key["grace_until"] else ""


def _api(data: Path | None) -> Api:
    return Api.of(resolve_data_dir(data))


def _roots(paths: list[Path] | None, data: Path | None) -> Sequence[SigningKey]:
    wanted = paths or [root_key_file(resolve_data_dir(data))]
    for path in wanted:
        if not path.is_file():
            raise InputError(f"the root key is not at {path}", hint=ELSEWHERE)
    return [read_root_key(path) for path in wanted]


def _bytes(document: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if document == "-" else Path(document).read_bytes()
    except OSError as error:
        raise InputError(
            f"{document} cannot be read: {error.strerror}",
            hint="give a file, or - for standard input",
        ) from None
