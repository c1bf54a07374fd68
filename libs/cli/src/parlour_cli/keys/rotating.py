"""Follows a rotation that config-manager carries out, and signs what only a root key may sign."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from parlour_config.keyset import sign_keyset
from parlour_config.signing import SigningKey
from parlour_kit.errors import ParlourError

from parlour_cli.rest import Api

POLL_S = 0.5
Step = Literal["sign", "wait", "done"]


def status_of(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the report says of one key."""
    found: dict[str, Any] = next(key for key in report["keys"] if key["name"] == name)
    return found


def next_step(report: Mapping[str, Any], name: str) -> Step:
    """What is to be done about a rotation now."""
    state = status_of(report, name)["state"]
    if state in ("awaiting-keyset", "awaiting-retirement") and report.get("draft"):
        return "sign"
    return "done" if state in ("idle", "grace") else "wait"


def follow(
    api: Api,
    name: str,
    report: Mapping[str, Any],
    roots: Callable[[], Sequence[SigningKey]],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Help a rotation along until the new key is in use, or the time is over.

    Args:
        api: of an administrator.
        name: which key.
        report: what config-manager answered when the rotation began.
        roots: the root keys; asked for when a keyset must be signed.
        seconds: how long to wait.
        clock: monotonic seconds.
        pause: waits so many seconds.

    Returns:
        The last report.

    Raises:
        ParlourError: config-manager refused, stayed away, or there is no root key.
    """
    end = clock() + seconds
    found = dict(report)
    while (step := next_step(found, name)) != "done":
        if step == "sign":
            api.call_bytes("POST", "/v1/keysets", sign_keyset(found["draft"], roots()))
        elif clock() >= end:
            break
        else:
            pause(POLL_S)
        found = _report(api, found, over=clock() >= end)
    return found


def _report(api: Api, before: dict[str, Any], *, over: bool) -> dict[str, Any]:
    """The report of now; one that does not come for a while is waited for."""
    try:
        found: dict[str, Any] = api.call("GET", "/v1/keys")
    except ParlourError as error:
        if over or not error.retryable:
            raise
        return before | {"draft": None}
    return found
