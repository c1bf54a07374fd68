"""``parlour config set|patch|put|reset|rollback``: what makes a new version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from parlour_cli.config.values import parse_assignments, parse_object, plain_key
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, DryRun, IfVersion, Json, Reason, Service
from parlour_cli.rest import Api, place
from parlour_cli.talk.errors import InputError
from parlour_cli.typed import given

READ_FORM = frozenset({"service", "config", "metadata"})
"""What ``get --json`` prints; ``put`` takes it back."""


@Parameter(name="*")
@dataclass(frozen=True)
class How:
    """The options of every command here."""

    reason: Reason = None
    if_version: IfVersion = None
    dry_run: DryRun = False
    as_json: Json = False
    data: Data = None


USUAL = How()


@in_words
def set_values(
    service: Service,
    *assignments: Annotated[str, Parameter(help="KEY=VALUE, one or more.")],
    how: How = USUAL,
) -> int:
    """Change some settings: parlour config set tts-worker volume_percent=40."""
    if not assignments:
        raise InputError("nothing is to be set", hint=f"parlour config set {service} KEY=VALUE")
    api = Api.of(resolve_data_dir(how.data))
    fields = api.call("GET", place("config", service, "fields"))
    sent = {"config": parse_assignments(assignments, fields, service), "version": how.if_version}
    return _change(api, service, ("PATCH",), sent, how)


@in_words
def patch(
    service: Service,
    body: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True, help="A JSON object of settings, or - for standard input."
        ),
    ],
    *,
    how: How = USUAL,
) -> int:
    """Change some settings, given as JSON."""
    sent = {"config": _bare(parse_object(given(body)), service), "version": how.if_version}
    api = Api.of(resolve_data_dir(how.data))
    return _change(api, service, ("PATCH",), sent, how)


@in_words
def put(
    service: Service,
    body: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True,
            help="All settings, or what get --json printed; - for standard input.",
        ),
    ],
    *,
    how: How = USUAL,
) -> int:
    """Replace all settings of a service."""
    api = Api.of(resolve_data_dir(how.data))
    config = parse_object(given(body))
    version = how.if_version
    if config.keys() == READ_FORM and isinstance(config["config"], dict):
        # The version that was read: what changed meanwhile is not overwritten.
        if version is None and isinstance(config["metadata"], dict):
            version = config["metadata"].get("version")
        config = config["config"]
    if version is None:
        version = _newest(api, service)
    sent = {"service": service, "config": _bare(config, service), "version": version}
    return _change(api, service, ("PUT",), sent, how)


@in_words
def reset(
    service: Service,
    *keys: Annotated[str, Parameter(help="Settings; none resets all.")],
    how: How = USUAL,
) -> int:
    """Give settings their defaults again."""
    sent: dict[str, Any] = {"version": how.if_version}
    if keys:
        sent["keys"] = [plain_key(key, service) for key in keys]
    api = Api.of(resolve_data_dir(how.data))
    return _change(api, service, ("POST", "reset"), sent, how)


@in_words
def rollback(
    service: Service,
    to_version: Annotated[int, Parameter(help="The version to go back to (see history).")],
    *,
    how: How = USUAL,
) -> int:
    """Take the settings of an earlier version; it becomes a new version."""
    api = Api.of(resolve_data_dir(how.data))
    version = _newest(api, service) if how.if_version is None else how.if_version
    sent = {"to_version": to_version, "version": version}
    return _change(api, service, ("POST", "rollback"), sent, how)


def _change(api: Api, service: str, call: tuple[str, ...], body: dict[str, Any], how: How) -> int:
    method, *suffix = call
    sent = {name: value for name, value in body.items() if value is not None}
    query = {"reason": how.reason, "dry_run": how.dry_run or None}
    found = api.call(method, place("config", service, *suffix), sent, query=query)
    if how.as_json:
        print_json(found)
    elif how.dry_run:
        print(f"{service}: this would be accepted; nothing was changed")
    else:
        print(f"{service}: accepted, version {found['new_version']}")
    return 0


def _newest(api: Api, service: str) -> int:
    version: int = api.call("GET", place("config", service))["metadata"]["version"]
    return version


def _bare(config: dict[str, Any], service: str) -> dict[str, Any]:
    return {plain_key(key, service): value for key, value in config.items()}
