"""``parlour config``: what reads the settings of the running fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from parlour_cli.config import changes
from parlour_cli.config.differences import differences
from parlour_cli.config.secrets import app as secret_app
from parlour_cli.config.values import cell, plain_key, shown, unknown_key
from parlour_cli.config.versions import undone
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_columns, print_json
from parlour_cli.options import Data, Json, Service
from parlour_cli.rest import Api, place
from parlour_cli.talk.errors import InputError

PAGE = 1000
"""As many rows of the history as config-manager gives at once."""

app = App(name="config", help="Read and change the settings of the running fleet.")
app.command(changes.set_values, name="set")
app.command(changes.patch)
app.command(changes.put)
app.command(changes.reset)
app.command(changes.rollback)
app.command(secret_app, name="secret")
app.command("parlour_cli.config.watching:watch", name="watch",
            help="Watch what is wanted and what each process runs with, live.")  # fmt: skip
app.command("parlour_cli.config.audit:app", name="audit", help="Check the log of changes.")
app.command("parlour_cli.config.profiles:app", name="profile",
            help="Keep settings of several services under one name, and set them.")  # fmt: skip
app.command("parlour_cli.config.operator:takeover", name="takeover",
            help="Let this config-manager lead again, after a restore or a conflict.")  # fmt: skip
app.command("parlour_cli.config.operator:confirm_floor", name="confirm-floor",
            help="Say that the time stamps ahead of the clock are right.")  # fmt: skip
app.command("parlour_cli.config.operator:rebuild", name="rebuild",
            help="Have a damaged database made anew; needs its REBUILD_TOKEN.")  # fmt: skip


@app.command
@in_words
def get(
    service: Annotated[str | None, Parameter(help="A service; none lists them.")] = None,
    key: Annotated[str | None, Parameter(help="One setting alone.")] = None,
    *,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show the settings of a service, or which services there are and whether they lag."""
    api = Api.of(resolve_data_dir(data))
    if service is None:
        return _list(api, as_json=as_json)
    found = api.call("GET", place("config", service))
    config, about = found["config"], found["metadata"]
    if key is not None:
        bare = plain_key(key, service)
        if bare not in config:
            raise unknown_key(key, config, service)
        if as_json:
            print_json(config[bare])
        else:
            print(config[bare] if isinstance(config[bare], str) else shown(config[bare]))
    elif as_json:
        print_json(found)
    else:
        sources = about.get("sources", {})
        print_columns(
            ("SETTING", "VALUE", "FROM"),
            [(name, shown(value), str(sources.get(name, ""))) for name, value in config.items()],
        )
        print(f"\nversion {about['version']} of {about['updated_at']} by {about['updated_by']}")
        print(sync_text(about["in_sync"], about["lagging"]))
    return 0


@app.command
@in_words
def history(
    service: Service,
    *,
    key: Annotated[str | None, Parameter(help="Of one setting alone.")] = None,
    limit: Annotated[int, Parameter(help="How many changes, at most 1000.")] = 20,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show who changed what, when and why, newest first."""
    asked = {"key": key and plain_key(key, service), "limit": limit}
    api = Api.of(resolve_data_dir(data))
    rows = api.call("GET", place("config", service, "history"), query=asked)
    if as_json:
        print_json(rows)
        return 0
    print_columns(
        ("VERSION", "WHEN", "BY", "SETTING", "BEFORE", "AFTER", "WHY"),
        [(str(r["version"] or ""), r["changed_at"], r["changed_by"] or "", r["key"],
          _cell(r["old_value_json"]), _cell(r["new_value_json"]), r["change_reason"] or "")
         for r in rows],
    )  # fmt: skip
    return 0


@app.command
@in_words
def diff(
    service: Service,
    first: Annotated[int | None, Parameter(help="A version; the defaults when none.")] = None,
    second: Annotated[int | None, Parameter(help="Another; today's when none.")] = None,
    *,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show what differs between two versions, or between the defaults and today."""
    api = Api.of(resolve_data_dir(data))
    now = api.call("GET", place("config", service))
    before = _defaults(service) if first is None else _version(api, now, first)
    found = differences(before, _version(api, now, second))
    if as_json:
        print_json([{"key": d.key, "before": d.before, "after": d.after} for d in found])
    elif found:
        print_columns(("SETTING", "BEFORE", "AFTER"), [(d.key, d.before, d.after) for d in found])
    else:
        print("no difference")
    return 0


@app.command
@in_words
def search(
    text: Annotated[str, Parameter(help="In names and descriptions.")],
    *,
    service: Annotated[str | None, Parameter(help="In one service alone.")] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Find settings of the whole fleet."""
    asked = {"query": text} | ({"service_filter": service} if service else {})
    found = Api.of(resolve_data_dir(data)).call("POST", "/v1/search", asked)
    results = found["results"]
    if as_json:
        print_json(found)
    elif not results:
        print("nothing found")
    else:
        print_columns(
            ("SERVICE", "SETTING", "VALUE", "WHAT IT IS"),
            [(r["service"], r["key"], _cell(r["value_json"]), r["description"]) for r in results],
        )
        if found["total"] > len(results):
            print(f"\nand {found['total'] - len(results)} more")
    return 0


@app.command
@in_words
def describe(service: Service, *, as_json: Json = False, data: Data = None) -> int:
    """Show what each setting does and which values it takes."""
    fields = Api.of(resolve_data_dir(data)).call("GET", place("config", service, "fields"))
    if as_json:
        print_json(fields)
        return 0
    print_columns(
        ("SETTING", "TYPE", "VALUES", "FOR", "WHAT IT IS"),
        [(plain_key(f["key"], service), f["type"], allowed(f), f["complexity"], f["description"])
         for f in fields],
    )  # fmt: skip
    return 0


def allowed(field: dict[str, Any]) -> str:
    """Which values a field takes, in a few characters."""
    if field.get("validation_allowed"):
        return "|".join(field["validation_allowed"])
    low, high = field.get("validation_min"), field.get("validation_max")
    if low is None and high is None:
        return ""
    return f"{'' if low is None else low}..{'' if high is None else high}"


def sync_text(in_sync: bool | None, lagging: list[str]) -> str:
    """Whether what is wanted runs, in words; None: no instance ever said what it runs with."""
    if lagging:
        return f"not yet applied by: {', '.join(lagging)}"
    return "every instance runs with it" if in_sync else "no instance has reported"


def _list(api: Api, *, as_json: bool) -> int:
    services = api.call("GET", "/v1/state")["services"]
    if as_json:
        print_json(services)
    else:
        print_columns(
            ("SERVICE", "VERSION", "CHECKSUM", "RUNS"),
            [(s["service"], str(s["version"]), (s["checksum"] or "-")[:12],
              sync_text(s["in_sync"], s["lagging"]))
             for s in services],
        )  # fmt: skip
    return 0


def _version(api: Api, now: dict[str, Any], version: int | None) -> dict[str, Any]:
    """The settings of a version; None is today's."""
    config: dict[str, Any] = now["config"]
    newest = now["metadata"]["version"]
    if version is None or version == newest:
        return config
    if not 0 < version < newest:
        raise InputError(
            f"{now['service']} has no version {version}", hint=f"the newest is {newest}"
        )
    return undone(config, _rows(api, now["service"]), version)


def _rows(api: Api, service: str) -> Iterator[dict[str, Any]]:
    """The whole history, newest first, a page at a time."""
    before: int | None = None
    while True:
        asked = {"limit": PAGE, "before_id": before}
        rows = api.call("GET", place("config", service, "history"), query=asked)
        yield from rows
        if len(rows) < PAGE:
            return
        before = rows[-1]["id"]


def _defaults(service: str) -> dict[str, Any]:
    from parlour_contracts.config import CONFIGS  # noqa: PLC0415  # only this command needs it

    if service not in CONFIGS:
        raise InputError(
            f"there is no service {service[:80]!r}", hint=f"known: {', '.join(CONFIGS)}"
        )
    found: dict[str, Any] = CONFIGS[service]().model_dump(mode="json")
    return found


def _cell(value_json: str | None) -> str:
    return "" if value_json is None else cell(json.loads(value_json))
