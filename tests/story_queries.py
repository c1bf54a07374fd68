"""The queries that Parlour ships: those of the dashboard and those of the alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OBSERVE = Path(__file__).resolve().parents[1] / "observe"
DASHBOARD = OBSERVE / "grafana/dashboards/parlour.json"
ALERTS = OBSERVE / "alerts.yml"

WORDS = frozenset({
    "by", "or", "and", "unless", "sum", "max", "min", "rate", "increase", "histogram_quantile",
    "time", "vector",
})  # fmt: skip
"""Of the query language, as far as it is used here."""


@dataclass(frozen=True)
class Query:
    """An expression and where it stands."""

    where: str
    expr: str

    @property
    def names(self) -> set[str]:
        """The series that it asks for."""
        bare = re.sub(r'"[^"]*"', "", self.expr)
        bare = re.sub(r"\{[^}]*\}|\bby \([^)]*\)|\[[^\]]*\]", "", bare)
        return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - WORDS

    @property
    def matchers(self) -> Iterator[tuple[str, str, str]]:
        """Series, label and what it is compared with."""
        for name, inside in re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", self.expr):
            for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', inside):
                yield name, label, value

    @property
    def groupings(self) -> set[str]:
        """The labels that it groups by."""
        found = re.findall(r"\bby \(([^)]*)\)", self.expr)
        return {label.strip() for labels in found for label in labels.split(",")}

    def evaluable(self, window: str, span: str) -> str:
        """With what Grafana would put in for its variables."""
        return self.expr.replace("$__rate_interval", window).replace("$__range", span)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def alerts() -> list[dict[str, Any]]:
    """All rules."""
    loaded = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard_queries() -> list[Query]:
    """What each panel asks."""
    return [
        Query(panel["title"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    ]


def alert_queries() -> list[Query]:
    """What each rule asks."""
    return [Query(rule["alert"], rule["expr"]) for rule in alerts()]
