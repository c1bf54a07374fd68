"""Home Assistant's documented form of a device discovery message, as JSON Schema.

From the pages of the MQTT integration and of its platforms (sensor, select, number, switch, text,
button): which keys a platform knows, which of them it requires, and of which type they are. Keys
that a platform does not know are ignored by Home Assistant; here they are an error, since each
would be a misspelling.
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema
from jinja2 import Environment

TEXT = {"type": "string", "minLength": 1}
TOPIC = {"type": "string", "pattern": r"^[^+#]+$"}
FILTER = {"type": "string", "pattern": r"^(?:[^+#/]+|\+)(?:/(?:[^+#/]+|\+))*$"}
TEMPLATE = {"type": "string", "format": "jinja"}
NUMBER = {"type": "number"}
FLAG = {"type": "boolean"}

AVAILABILITY = {
    "type": "object",
    "required": ["topic"],
    "additionalProperties": False,
    "properties": {
        "topic": FILTER,
        "value_template": TEMPLATE,
        "payload_available": TEXT,
        "payload_not_available": TEXT,
    },
}
COMMON: dict[str, Any] = {
    "p": TEXT,
    "unique_id": TEXT,
    "name": {"type": ["string", "null"]},
    "availability": {"type": "array", "minItems": 1, "items": AVAILABILITY},
    "availability_mode": {"enum": ["all", "any", "latest"]},
    "availability_topic": FILTER,
    "availability_template": TEMPLATE,
    "enabled_by_default": FLAG,
    "encoding": {"type": "string"},
    "entity_category": {"enum": ["config", "diagnostic"]},
    "icon": {"type": "string", "pattern": r"^mdi:[a-z-]+$"},
    "json_attributes_topic": FILTER,
    "json_attributes_template": TEMPLATE,
    "object_id": TEXT,
    "qos": {"enum": [0, 1, 2]},
}
READ = {"state_topic": FILTER, "value_template": TEMPLATE}
WRITE = {"command_topic": TOPIC, "command_template": TEMPLATE, "retain": FLAG}
BOTH = {**READ, **WRITE, "optimistic": FLAG}

PLATFORMS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "sensor": (
        ["state_topic"],
        {
            **READ,
            "device_class": {"enum": ["enum", "duration"]},
            "options": {"type": "array", "minItems": 1, "items": TEXT},
            "expire_after": {"type": "integer", "minimum": 0},
            "force_update": FLAG,
            "state_class": {"enum": ["measurement", "total", "total_increasing"]},
            "unit_of_measurement": TEXT,
            "suggested_display_precision": {"type": "integer", "minimum": 0},
        },
    ),
    "select": (
        ["command_topic", "options"],
        {**BOTH, "options": {"type": "array", "items": TEXT, "uniqueItems": True}},
    ),
    "number": (
        ["command_topic"],
        {
            **BOTH,
            "min": NUMBER,
            "max": NUMBER,
            "step": {"type": "number", "minimum": 0.001},
            "mode": {"enum": ["auto", "box", "slider"]},
            "unit_of_measurement": {"type": ["string", "null"]},
            "device_class": {"enum": ["duration"]},
            "payload_reset": TEXT,
        },
    ),
    "switch": (
        ["command_topic"],
        {
            **BOTH,
            "payload_on": TEXT,
            "payload_off": TEXT,
            "state_on": TEXT,
            "state_off": TEXT,
            "device_class": {"enum": ["outlet", "switch"]},
        },
    ),
    "text": (
        ["command_topic"],
        {
            **BOTH,
            "min": {"type": "integer", "minimum": 0, "maximum": 255},
            "max": {"type": "integer", "minimum": 0, "maximum": 255},
            "mode": {"enum": ["text", "password"]},
            "pattern": {"type": "string", "format": "regex"},
        },
    ),
    "button": (
        ["command_topic"],
        {
            **WRITE,
            "payload_press": TEXT,
            "device_class": {"enum": ["identify", "restart", "update"]},
        },
    ),
}
"""Platform → required keys, and its own keys beside the common ones."""


def _component(platform: str) -> dict[str, Any]:
    required, own = PLATFORMS[platform]
    return {
        "type": "object",
        "required": ["p", "unique_id", *required],
        "additionalProperties": False,
        "properties": {**COMMON, **own, "p": {"const": platform}},
    }


DEVICE: dict[str, Any] = {
    "type": "object",
    "required": ["dev", "o", "cmps"],
    "additionalProperties": False,
    "properties": {
        "dev": {
            "type": "object",
            "required": ["ids", "name"],
            "additionalProperties": False,
            "properties": {
                "ids": {"type": ["array", "string"], "minItems": 1, "items": TEXT},
                **dict.fromkeys(("name", "mf", "mdl", "mdl_id", "sw", "hw", "sn", "sa"), TEXT),
                "cu": {"type": "string", "pattern": "^(https?|homeassistant)://"},
                "cns": {"type": "array"},
                "via_device": TEXT,
            },
        },
        "o": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": TEXT, "sw": TEXT, "url": {"type": "string"}},
        },
        "cmps": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-zA-Z0-9_-]+$"},
            "additionalProperties": {"type": "object", "required": ["p"]},
        },
        "qos": {"enum": [0, 1, 2]},
        "state_topic": FILTER,
        "command_topic": TOPIC,
        "encoding": {"type": "string"},
        "availability": {"type": "array", "items": AVAILABILITY},
    },
}
_FORMATS = jsonschema.FormatChecker()


@_FORMATS.checks("jinja", raises=Exception)
def _is_jinja(text: object) -> bool:
    Environment(autoescape=False).parse(str(text))
    return True


@_FORMATS.checks("regex", raises=re.error)
def _is_regex(text: object) -> bool:
    re.compile(str(text))
    return True


def check_device(message: Any) -> None:
    """See that a message has the form that Home Assistant documents.

    Raises:
        jsonschema.ValidationError: it has not.
        AssertionError: it breaks a rule between two keys.
    """
    jsonschema.validate(message, DEVICE, format_checker=_FORMATS)
    unique = [component["unique_id"] for component in message["cmps"].values()]
    assert len(set(unique)) == len(unique), "two entities have one unique_id"
    for key, component in message["cmps"].items():
        jsonschema.validate(component, _component(component["p"]), format_checker=_FORMATS)
        assert not {"availability", "availability_topic"} <= component.keys(), key
        if component["p"] in ("number", "text"):
            assert component.get("min", 0) < component.get("max", 255), key
        if component.get("device_class") == "enum":
            assert component["options"], key
            assert not {"state_class", "unit_of_measurement"} & component.keys(), key
        elif component["p"] == "sensor":
            assert "options" not in component, key
