"""``parlour config get|set|patch|put|reset|history|diff|rollback|search|describe|secret``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from parlour_cli.config.differences import Difference, differences
from parlour_cli.config.secrets import app as secret_app
from parlour_cli.config.values import bare, parse_assignments, shown, unknown_key
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_columns, print_json
from parlour_cli.options import Data, DryRun, IfVersion, Json, Reason
from parlour_cli.rest import Api
from parlour_cli.talk.errors import InputError

app = App(name="config", help="Read and change the settings of the running fleet.")
app.command(secret_app, name="secret")
app.command("parlour_cli.config.watching:watch", name="watch",
            help="Watch what is wanted and what each process runs with, live.")  # fmt: skip
app.command("parlour_cli.config.audit:app", name="audit", help="Check the log of changes.")

Service = Annotated[str, Parameter(help="A service, such as tts-worker.")]


@app.command
@in_words
def get(
    service: Annotated[str | None, Parameter(help="A service; none lists them.")] = None,
    key: Annotated[str | None, Parameter(help="One setting alone.")] = None,
    *,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show the settings of a service, or which services there are."""
    api = _api(data)
    if service is None:
        found = api.call("GET", "/v1/config")
        if as_json:
            print_json(found)
        else:
            rows = [(str(s["service"]), str(s["version"]), str(s["updated_at"]),
                     str(s.get("updated_by") or "")) for s in _rows(found, "services")]  # fmt: skip
            print_columns(("SERVICE", "VERSION", "CHANGED", "BY"), rows)
        return 0
    found = api.call("GET", f"/v1/config/{service}")
    config, about = found["config"], found["metadata"]
    if key is not None:
        if bare_key(key, service) not in config:
            raise unknown_key(key, config, service)
        value = config[bare_key(key, service)]
        if as_json:
            print_json(value)
        else:
            print(value if isinstance(value, str) else shown(value))
        return 0
    if as_json:
        print_json(found)
        return 0
    sources = about.get("sources", {})
    print_columns(
        ("SETTING", "VALUE", "FROM"),
        [(name, shown(value), str(sources.get(name, ""))) for name, value in config.items()],
    )
    print(f"\nversion {about['version']} of {about['updated_at']} by {about.get('updated_by')}")
    print(_sync(about))
    return 0


@app.command(name="set")
@in_words
def set_values(
    service: Service,
    *assignments: Annotated[str, Parameter(help="KEY=VALUE, one or more.")],
    reason: Reason = None,
    if_version: IfVersion = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Change some settings: parlour config set tts-worker volume_percent=40."""
    if not assignments:
        raise InputError("nothing is to be set", hint="parlour config set SERVICE KEY=VALUE")
    api = _api(data)
    fields = _rows(api.call("GET", f"/v1/config/{service}/fields"), "fields")
    values = parse_assignments(assignments, fields, service)
    return _change(api, service, "PATCH", "", {"config": values, "version": if_version},
                   reason, dry_run=dry_run, as_json=as_json)  # fmt: skip


@app.command
@in_words
def patch(
    service: Service,
    body: Annotated[str, Parameter(help="A JSON object of settings, or - for standard input.")],
    *,
    reason: Reason = None,
    if_version: IfVersion = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Change some settings, given as JSON."""
    sent = {"config": _object(body), "version": if_version}
    return _change(_api(data), service, "PATCH", "", sent, reason, dry_run=dry_run,
                   as_json=as_json)  # fmt: skip


@app.command
@in_words
def put(
    service: Service,
    body: Annotated[str, Parameter(help="All settings as JSON, or - for standard input.")],
    *,
    if_version: IfVersion = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Replace all settings of a service."""
    api = _api(data)
    version = if_version
    if version is None:
        version = api.call("GET", f"/v1/config/{service}")["metadata"]["version"]
    sent = {"service": service, "config": _object(body), "version": version}
    return _change(api, service, "PUT", "", sent, reason, dry_run=dry_run, as_json=as_json)


@app.command
@in_words
def reset(
    service: Service,
    *keys: Annotated[str, Parameter(help="Settings; none resets all.")],
    reason: Reason = None,
    if_version: IfVersion = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Give settings their defaults again."""
    sent: dict[str, Any] = {"version": if_version}
    if keys:
        sent["keys"] = [bare_key(k, service) for k in keys]
    return _change(_api(data), service, "POST", "/reset", sent, reason, dry_run=dry_run,
                   as_json=as_json)  # fmt: skip


@app.command
@in_words
def rollback(
    service: Service,
    to_version: Annotated[int, Parameter(help="The version to go back to (see history).")],
    *,
    reason: Reason = None,
    if_version: IfVersion = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Take the settings of an earlier version; it becomes a new version."""
    api = _api(data)
    version = if_version
    if version is None:
        version = api.call("GET", f"/v1/config/{service}")["metadata"]["version"]
    sent = {"to_version": to_version, "version": version}
    return _change(api, service, "POST", "/rollback", sent, reason, dry_run=dry_run,
                   as_json=as_json)  # fmt: skip


@app.command
@in_words
def history(
    service: Service,
    *,
    key: Annotated[str | None, Parameter(help="Of one setting alone.")] = None,
    limit: Annotated[int, Parameter(help="How many changes, at most 200.")] = 20,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show who changed what, when and why, newest first."""
    asked = {"key": key and bare_key(key, service), "limit": limit}
    found = _api(data).call("GET", f"/v1/config/{service}/history", query=asked)
    rows = _rows(found, "rows")
    if as_json:
        print_json(rows)
        return 0
    print_columns(
        ("VERSION", "WHEN", "BY", "SETTING", "BEFORE", "AFTER", "WHY"),
        [(str(r.get("version") or ""), str(r["changed_at"]), str(r.get("changed_by") or ""),
          str(r["key"]), _cell(r.get("old_value")), _cell(r.get("new_value")),
          str(r.get("change_reason") or "")) for r in rows],
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
    api = _api(data)
    before = _defaults(service) if first is None else _version(api, service, first)
    after = _version(api, service, second)
    found = differences(before, after)
    if as_json:
        print_json([{"key": d.key, "before": d.before, "after": d.after} for d in found])
    elif found:
        _print_differences(found)
    else:
        print("no difference")
    return 0


@app.command
@in_words
def search(
    text: Annotated[str, Parameter(help="In names, values and descriptions.")],
    *,
    service: Annotated[str | None, Parameter(help="In one service alone.")] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Find settings of the whole fleet."""
    asked = {"query": text, "service_filter": service}
    found = _api(data).call("POST", "/v1/search", asked)
    if as_json:
        print_json(found)
        return 0
    print_columns(
        ("SERVICE", "SETTING", "VALUE", "WHAT IT IS"),
        [(r["service"], r["key"], _cell_text(r["value_json"]), r["description"])
         for r in found["results"]],
    )  # fmt: skip
    return 0


@app.command
@in_words
def describe(service: Service, *, as_json: Json = False, data: Data = None) -> int:
    """Show what each setting does and which values it takes."""
    fields = _rows(_api(data).call("GET", f"/v1/config/{service}/fields"), "fields")
    if as_json:
        print_json(fields)
        return 0
    print_columns(
        ("SETTING", "TYPE", "VALUES", "SHOWN", "WHAT IT IS"),
        [(bare(f["key"]), f["type"], allowed(f), f["complexity"], f["description"])
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


def bare_key(key: str, service: str) -> str:
    """A key with or without its service in front."""
    short = service.removesuffix("-worker")
    for prefix in (f"{service}.", f"{short}."):
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def _api(data: Path | None) -> Api:
    return Api.of(resolve_data_dir(data))


def _change(
    api: Api, service: str, method: str, suffix: str, body: dict[str, Any],
    reason: str | None, *, dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    sent = {name: value for name, value in body.items() if value is not None}
    found = api.call(method, f"/v1/config/{service}{suffix}", sent,
                     query={"reason": reason, "dry_run": dry_run or None})  # fmt: skip
    if as_json:
        print_json(found)
    elif dry_run:
        print(f"{service}: this would be accepted; nothing was changed")
    else:
        print(f"{service}: accepted, version {found['new_version']}")
    return 0


def _version(api: Api, service: str, version: int | None) -> dict[str, Any]:
    asked = {"version": version}
    found: dict[str, Any] = api.call("GET", f"/v1/config/{service}", query=asked)["config"]
    return found


def _defaults(service: str) -> dict[str, Any]:
    from parlour_contracts.config import CONFIGS  # noqa: PLC0415  # only this command needs it

    if service not in CONFIGS:
        raise InputError(f"there is no service {service!r}", hint=f"known: {', '.join(CONFIGS)}")
    found: dict[str, Any] = CONFIGS[service]().model_dump(mode="json")
    return found


def _object(body: str) -> dict[str, Any]:
    text = sys.stdin.read() if body == "-" else body
    try:
        found = json.loads(text)
    except ValueError:
        raise InputError("the settings are no JSON", hint="""such as '{"speed": 1.1}'""") from None
    if not isinstance(found, dict):
        raise InputError("the settings are no JSON object", hint="""such as '{"speed": 1.1}'""")
    return found


def _rows(found: Any, name: str) -> list[dict[str, Any]]:
    """A list, or the list within an answer."""
    rows: list[dict[str, Any]] = found[name] if isinstance(found, dict) else found
    return rows


def _cell(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _cell_text(value_json: str) -> str:
    return _cell(json.loads(value_json))


def _sync(about: dict[str, Any]) -> str:
    if about.get("in_sync"):
        return "every instance runs with it"
    lagging = about.get("lagging") or []
    return f"not yet applied by: {', '.join(lagging)}" if lagging else "no instance runs"


def _print_differences(found: list[Difference]) -> None:
    print_columns(("SETTING", "BEFORE", "AFTER"), [(d.key, d.before, d.after) for d in found])
