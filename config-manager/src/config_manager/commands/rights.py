"""What each op is, who may ask for it, and what its body may hold. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from parlour_contracts.messages.requests import ALL_SERVICES

from config_manager.commands.model import Caller, Request
from config_manager.commands.refusal import RefusedError

_SENDING = frozenset({"transaction", "reason", "dry_run", "expires_at", "config_epoch", "service"})
_FILTERS = frozenset({"query", "service_filter", "complexity_filter", "type_filter", "max_results"})
_RANKS = {"read": 1, "write": 2, "admin": 3}


@dataclass(frozen=True)
class OpRule:
    """An op.

    Attributes:
        right: the least role; ``anyone`` also takes instances.
        fields: what its body may hold besides what is about the sending.
        required: what it must hold.
        overall: whether it is about no single service.
        writes: whether it needs the database to be writable.
    """

    right: Literal["anyone", "read", "write"]
    fields: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    overall: bool = False
    writes: bool = False


OPS: dict[str, OpRule] = {
    "get": OpRule("read"),
    "list": OpRule("read", overall=True),
    "describe": OpRule("read"),
    "search": OpRule("read", _FILTERS, overall=True),
    "history": OpRule("read", frozenset({"key", "before_id", "start", "end", "limit"})),
    "set": OpRule("write", frozenset({"config", "version"}), ("config", "version"), writes=True),
    "patch": OpRule("write", frozenset({"config", "version"}), ("config",), writes=True),
    "reset": OpRule("write", frozenset({"keys", "version"}), writes=True),
    "rollback": OpRule(
        "write", frozenset({"to_version", "version"}), ("to_version", "version"), writes=True
    ),
    "resend": OpRule("read", writes=True),
    "restart": OpRule("write", writes=True),
    "keyset": OpRule("anyone", frozenset({"after"}), overall=True),
}
"""Every op (section 3.10)."""


def rule_of(op: str) -> OpRule:
    """The rule of an op.

    Raises:
        RefusedError: there is no such op.
    """
    rule = OPS.get(op)
    if rule is None:
        near = get_close_matches(op, OPS, n=1)
        raise RefusedError(
            "UNKNOWN_OP",
            "there is no such operation",
            hint=(f"did you mean {near[0]}? " if near else "") + f"there are {', '.join(OPS)}",
        )
    return rule


def check_right(caller: Caller, op: str, service: str) -> None:
    """See that the caller may ask for this.

    Raises:
        RefusedError: ``FORBIDDEN``.
    """
    rule = rule_of(op)
    if rule.right == "anyone":
        return
    if caller.role == "instance":
        if op == "resend" and caller.service == service:
            return
        raise RefusedError(
            "FORBIDDEN",
            f"{caller.user} is a service; it may only ask for its own settings to be sent again",
            hint="ask as a person who has the right",
        )
    if _RANKS[caller.role] < _RANKS[rule.right]:
        raise RefusedError(
            "FORBIDDEN",
            f"{op} needs the role {rule.right}; {caller.user} has the role {caller.role}",
            hint="an administrator can change the role with: parlour users",
        )


def check_form(request: Request) -> None:
    """See that the body holds what the op needs and nothing that it does not know.

    Raises:
        RefusedError: ``INVALID_REQUEST``.
    """
    rule, op = OPS[request.op], request.op
    given = request.body.model_fields_set
    unknown = sorted(given - _SENDING - rule.fields)
    if unknown:
        raise RefusedError(
            "INVALID_REQUEST",
            f"{op} does not know {', '.join(unknown)}",
            hint=f"{op} takes {', '.join(sorted(rule.fields)) or 'no fields of its own'}",
        )
    missing = [name for name in rule.required if getattr(request.body, name) is None]
    if missing:
        raise RefusedError(
            "INVALID_REQUEST",
            f"{op} needs {' and '.join(missing)}",
            hint="version is the row version that get shows"
            if "version" in missing
            else f"send {', '.join(missing)} in the body",
        )
    if rule.overall and request.service != ALL_SERVICES:
        raise RefusedError(
            "INVALID_REQUEST",
            f"{op} is about all services",
            hint=f"write {ALL_SERVICES} in place of the service",
        )
    if not rule.overall and request.service == ALL_SERVICES:
        raise RefusedError(
            "INVALID_REQUEST", f"{op} is about one service", hint="write the service's name"
        )
    if request.body.service not in (None, request.service):
        raise RefusedError(
            "INVALID_REQUEST",
            "the service in the body is not the one that the request is about",
            hint="leave service out of the body, or make both the same",
        )
