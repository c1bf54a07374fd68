"""config-manager's REST description, and JSON Schemas of what services can be set to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from config_manager.fronts.rest import create_app
from parlour_contracts.config import CONFIGS
from parlour_contracts.messages import configuration
from parlour_contracts.messages.configuration import S2Model
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"
NOTE = "# Generated from the code by `make docs`.\n"


def page() -> str:
    """The OpenAPI document as YAML."""
    document = create_app(None).openapi()
    return NOTE + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def schemas(folder: Path) -> dict[Path, str]:
    """One JSON Schema per service, and one with the data model of config-manager."""
    pages = {
        folder / f"{service}.json": _text({"$schema": DRAFT, **model.model_json_schema()})
        for service, model in CONFIGS.items()
    }
    return {**pages, folder / "config-manager.json": _text(_data_model())}


def _data_model() -> dict[str, Any]:
    models: list[type[BaseModel]] = [
        found
        for found in vars(configuration).values()
        if isinstance(found, type)
        and issubclass(found, BaseModel)
        and found.__module__ == configuration.__name__
        and found is not S2Model
    ]
    _, document = models_json_schema(
        [(model, "serialization") for model in models], title="Data model of config-manager"
    )
    return {"$schema": DRAFT, **document}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
