"""``parlour config profile``: settings of several services under one name."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from parlour_cli.config.values import parse_object, plain_key, shown
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_columns, print_json
from parlour_cli.options import Data, Json, Why
from parlour_cli.rest import Api, RefusedError, place
from parlour_cli.talk.errors import InputError
from parlour_cli.typed import given

READ_FORM = frozenset({
    "name", "description", "services", "settings",
    "created_at", "created_by", "updated_at", "updated_by",
})  # fmt: skip
"""What ``show --json`` prints; ``save`` takes it back."""

EXAMPLE = """such as '{"tts-worker": {"volume_percent": 20}}'"""

app = App(name="profile", help="Keep settings of several services under one name, and set them.")
Name = Annotated[str, Parameter(help="The name of a profile.")]


@app.command(name="list")
@in_words
def list_profiles(*, as_json: Json = False, data: Data = None) -> int:
    """Show which profiles there are."""
    found = Api.of(resolve_data_dir(data)).call("GET", place("profiles"))["profiles"]
    if as_json:
        print_json(found)
    elif not found:
        print("there is no profile yet")
    else:
        print_columns(
            ("PROFILE", "SERVICES", "CHANGED", "BY", "WHAT IT IS FOR"),
            [(p["name"], ", ".join(p["services"]), p["updated_at"], p["updated_by"],
              p["description"]) for p in found],
        )  # fmt: skip
    return 0


@app.command
@in_words
def show(name: Name, *, as_json: Json = False, data: Data = None) -> int:
    """Show the settings of a profile."""
    found = _call(data, "GET", name)
    if as_json:
        print_json(found)
        return 0
    print_columns(
        ("SERVICE", "SETTING", "VALUE"),
        [
            (service, key, shown(value))
            for service, settings in found["settings"].items()
            for key, value in settings.items()
        ],
    )
    print()
    if found["description"]:
        print(found["description"])
    print(f"made {found['created_at']} by {found['created_by']}")
    print(f"changed {found['updated_at']} by {found['updated_by']}")
    return 0


@app.command
@in_words
def save(
    name: Name,
    body: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="A JSON object of services and their settings, or what show --json printed; - for "
            "standard input. Without it, everything that is set now.",
        ),
    ] = None,
    *,
    description: Annotated[
        str | None, Parameter(name="--description", help="What it is for.")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Keep settings under a name, in place of what was kept there. Secrets are left out."""
    sent = {} if body is None else to_keep(parse_object(given(body), EXAMPLE))
    if description is not None:
        sent["description"] = description
    found = _call(data, "PUT", name, body=sent)
    if as_json:
        print_json(found)
    else:
        print(f"{name}: kept, with settings of {', '.join(found['services'])}")
    return 0


@app.command
@in_words
def apply(name: Name, *, reason: Why, as_json: Json = False, data: Data = None) -> int:
    """Set a profile: a new version of every service in it, or of none."""
    found = _call(data, "POST", name, "activate", body={"reason": reason})
    if as_json:
        print_json(found)
        return 0
    for service, version in found["versions"].items():
        print(f"{service}: accepted, version {version}")
    return 0


@app.command
@in_words
def delete(name: Name, *, as_json: Json = False, data: Data = None) -> int:
    """Forget a profile; the settings of the services stay as they are."""
    found = _call(data, "DELETE", name)
    if as_json:
        print_json(found)
    else:
        print(f"{name}: forgotten; the settings stay as they are")
    return 0


def to_keep(typed: dict[str, Any]) -> dict[str, Any]:
    """The body of a request that keeps what was typed: service → settings, or what was read.

    Raises:
        InputError: what belongs to a service is no JSON object.
    """
    if typed.keys() == READ_FORM and isinstance(typed["settings"], dict):
        return to_keep(typed["settings"]) | {"description": typed["description"]}
    kept = {}
    for service, settings in typed.items():
        if not isinstance(settings, dict):
            raise InputError(f"{service[:80]!r} has no JSON object of settings", hint=EXAMPLE)
        kept[service] = {plain_key(key, service): value for key, value in settings.items()}
    return {"settings": kept}


def _call(data: Data, method: str, name: str, *more: str, body: Any = None) -> Any:
    if not name or "/" in name or name in (".", ".."):
        # As one level of a path such a name does not arrive.
        raise InputError(
            f"{name[:80]!r} cannot name a profile",
            hint="1 to 100 characters without a slash, such as 'at night'",
        )
    try:
        return Api.of(resolve_data_dir(data)).call(method, place("profiles", name, *more), body)
    except RefusedError as error:
        # An unknown setting comes with details; without any the profile itself is unknown.
        if error.code == "UNKNOWN_KEY" and not error.answer.get("details"):
            error.hint = "parlour config profile list"
        raise
