"""What can be asked without changing anything. Secrets are masked in every answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from parlour_config.canonical import checksum
from parlour_config.sealing import is_sealed
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.configuration import (
    ConfigReadResponse,
    ConfigSearchResponse,
    ConfigSource,
)
from parlour_contracts.messages.signed import moment_text
from parlour_contracts.topics import CONFIG

from config_manager.commands.issue import issued_at_of
from config_manager.commands.model import Request, SyncState
from config_manager.commands.refusal import RefusedError
from config_manager.commands.rules import Rules, rules_of
from config_manager.secrets_box import masked
from config_manager.tables import configs, history, items, keysets, outbox
from config_manager.tables.configs import ConfigRow
from config_manager.tables.history import HistoryQuery
from config_manager.tables.items import Query

KEYSETS = 16
HISTORY_ROWS = 50
SEARCH_ROWS = 50


class Reads:
    """Answers read requests on a view of the database."""

    def __init__(
        self,
        models: Mapping[str, type[ServiceConfigModel]],
        read_only: Mapping[str, frozenset[str]],
        status: Callable[[str], SyncState],
    ) -> None:
        self._models = models
        self._read_only = read_only
        self._status = status

    def rules(self, service: str) -> Rules:
        """The rules of a service.

        Raises:
            RefusedError: ``UNKNOWN_SERVICE``.
        """
        model = self._models.get(service)
        if model is None:
            raise RefusedError(
                "UNKNOWN_SERVICE",
                f"there is no service {service[:63]} with settings",
                hint=f"the services are {', '.join(sorted(self._models)[:10])}",
            )
        return rules_of(service, model, self._read_only.get(service, frozenset()))

    def answer(self, db: sqlite3.Connection, request: Request) -> Any:
        """The data of an answer; raises RefusedError."""
        match request.op:
            case "get":
                return self._get(db, request)
            case "list":
                return self._list(db)
            case "describe":
                fields = self.rules(request.service).metadata()
                return [field.model_dump(mode="json") for field in fields]
            case "search":
                return self._search(db, request)
            case "history":
                return self._history(db, request)
            case _:
                documents = keysets.after(db, request.body.after or 0, KEYSETS)
                return {"keysets": [json.loads(document) for document in documents]}

    def _get(self, db: sqlite3.Connection, request: Request) -> dict[str, Any]:
        rules = self.rules(request.service)
        row = configs.find(db, request.service)
        if row is None:
            raise RefusedError(
                "UNKNOWN_SERVICE",
                f"config-manager holds no settings for {request.service}",
                hint="list/_all names the services",
            )
        config = row.config
        return ConfigReadResponse(
            service=row.service,
            config=masked(config, rules.secret),
            metadata=self._metadata(db, rules, row, config),
        ).model_dump(mode="json")

    def _metadata(
        self, db: sqlite3.Connection, rules: Rules, row: ConfigRow, config: Mapping[str, Any]
    ) -> dict[str, Any]:
        waiting = outbox.newest(db, CONFIG.topic(service=row.service))
        state = self._status(row.service)
        return {
            "version": row.version,
            "updated_at": row.updated_at,
            "updated_by": row.updated_by,
            "config_epoch": row.config_epoch,
            "checksum": checksum(config),
            "issued_at": issued_at_of(waiting) if waiting else state.issued_at,
            "sources": sources(rules, config),
            "in_sync": state.in_sync,
            "lagging": list(state.lagging),
        }

    def _list(self, db: sqlite3.Connection) -> dict[str, Any]:
        names = ("service", "version", "updated_at", "updated_by")
        rows = db.execute(f"SELECT {', '.join(names)} FROM service_configs ORDER BY service")  # noqa: S608  # constants
        return {"services": [dict(zip(names, row, strict=True)) for row in rows]}

    def _search(self, db: sqlite3.Connection, request: Request) -> dict[str, Any]:
        body = request.body
        found, total = items.search(
            db,
            Query(
                body.query or "", body.service_filter, body.complexity_filter, body.type_filter,
                body.max_results or SEARCH_ROWS,
            ),
        )  # fmt: skip
        return ConfigSearchResponse(results=found, total=total).model_dump(mode="json")

    def _history(self, db: sqlite3.Connection, request: Request) -> list[dict[str, Any]]:
        rules, body = self.rules(request.service), request.body
        key = rules.bare(body.key) if body.key else None
        rows = history.page(
            db,
            HistoryQuery(
                request.service,
                key,
                before_id=body.before_id,
                start=moment_text(body.start) if body.start else None,
                end=moment_text(body.end) if body.end else None,
                limit=body.limit or HISTORY_ROWS,
            ),
        )
        if not rows and key is not None and key not in rules.fields:
            raise RefusedError(
                "UNKNOWN_KEY",
                f"{request.service} never had a setting {key[:60]}",
                hint=f"ask for describe/{request.service} to see what there is",
            )
        return rows


def sources(rules: Rules, config: Mapping[str, Any]) -> dict[str, str]:
    """Where each value comes from: the environment, the database, or its default (C004)."""
    found = {
        key: ConfigSource.DEFAULT
        if not is_sealed(value) and value == rules.defaults.get(key)
        else ConfigSource.DATABASE
        for key, value in config.items()
    }
    return {**found, **dict.fromkeys(rules.read_only, ConfigSource.ENV)}
