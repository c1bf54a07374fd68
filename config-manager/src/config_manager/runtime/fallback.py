"""Reads without a database: answered from the manager's last-known-good file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from parlour_config.canonical import checksum
from parlour_config.lkg import LastKnownGood
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.configuration import ConfigReadResponse
from parlour_contracts.messages.requests import ConfigAnswer

from config_manager.commands import RefusedError, Request, rejected
from config_manager.commands.answers import accepted
from config_manager.commands.refusal import WRITES
from config_manager.commands.rights import OPS, check_form, check_right, rule_of
from config_manager.commands.rules import Rules, rules_of
from config_manager.secrets_box import masked

_HINT = "repair or restore the database; until then only get, list and describe are answered"


class Fallback:
    """Answers what can be answered from the file."""

    def __init__(
        self,
        load: Callable[[], LastKnownGood | None],
        models: Mapping[str, type[ServiceConfigModel]],
        why: Callable[[], RefusedError | None],
    ) -> None:
        """Make it.

        Args:
            load: reads and checks the file.
            models: service → the model of its settings.
            why: why nothing may be changed.
        """
        self._load = load
        self._models = models
        self._why = why

    def execute(self, request: Request) -> ConfigAnswer:
        """The answer; never raises."""
        try:
            rule_of(request.op)
            check_right(request.caller, request.op, request.service)
            check_form(request)
            return self._answer(request)
        except RefusedError as error:
            return rejected(
                error, op=request.op, service=request.service, transaction=request.transaction
            )

    def _answer(self, request: Request) -> ConfigAnswer:
        if request.op in WRITES or OPS[request.op].writes:
            raise self._why() or RefusedError("READ_ONLY", "only reads are answered", hint=_HINT)
        if request.op == "describe":
            rules = model_rules(request.service, self._models)
            return accepted(
                request, [f.model_dump(mode="json") for f in rules.metadata()], epoch=None
            )
        if request.op not in ("get", "list"):
            raise _unavailable(f"{request.op} needs the database, which cannot be used now")
        held = self._load()
        if held is None:
            raise _unavailable("neither the database nor its last-known-good copy can be used")
        data: Any
        if request.op == "list":
            unknown = dict.fromkeys(("version", "updated_at", "updated_by"))
            data = {"services": [{"service": s, **unknown} for s in sorted(held.payload)]}
        else:
            data = self._get(request.service, held)
        return accepted(request, data, epoch=held.config_epoch)

    def _get(self, service: str, held: LastKnownGood) -> dict[str, Any]:
        rules = model_rules(service, self._models)
        config = held.payload.get(service)
        if config is None:
            raise RefusedError(
                "UNKNOWN_SERVICE", f"the last-known-good copy has no settings for {service}"
            )
        return ConfigReadResponse(
            service=service,
            config=masked(config, rules.secret),
            metadata={
                "version": None,
                "config_epoch": held.config_epoch,
                "checksum": checksum(config),
                "issued_at": None,  # the file tells of no message
                "source": "last-known-good",
            },
        ).model_dump(mode="json")


def model_rules(service: str, models: Mapping[str, type[ServiceConfigModel]]) -> Rules:
    """The rules of a service; raises RefusedError for one that is not known."""
    model = models.get(service)
    if model is None:
        raise RefusedError(
            "UNKNOWN_SERVICE",
            f"there is no service {service[:63]} with settings",
            hint=f"the services are {', '.join(sorted(models)[:10])}",
        )
    return rules_of(service, model, frozenset())


def _unavailable(message: str) -> RefusedError:
    return RefusedError("DB_UNAVAILABLE", message, hint=_HINT)
