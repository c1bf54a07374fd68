"""A setting as an entity of Home Assistant: pure, from the model alone.

Every change is a ``patch`` request of the user ``homeassistant``, so it takes the way of any
other: rights, validation, history, signature. Entities show what :func:`shown` made of the
stored settings, never what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from parlour_contracts.acl import HOME_ASSISTANT
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.annotations import Shape, shape_of
from parlour_contracts.messages.configuration import ConfigType
from parlour_contracts.messages.homeassistant import (
    Availability,
    Component,
    ConfigSettings,
    SettingValue,
)
from parlour_contracts.topics import CONFIG_HEALTH, CONFIG_REQUEST, CONFIG_STATE
from pydantic.fields import FieldInfo

LONGEST_STATE = 255
"""Home Assistant keeps no longer states, in characters."""

LONGEST_TEXT = 2 * LONGEST_STATE
"""A text that may be longer than this is no matter for one line of input."""

MAX_KEY_IN_ID = 24
"""So much of a key makes a request's id readable; an id has at most 64 characters."""

SLIDER_STEPS = 200
WIDEST = 2**53 - 1
_UNITS = {"_ms": "ms", "_s": "s", "_sec": "s", "_percent": "%"}
_NUMBERS = (ConfigType.INTEGER, ConfigType.FLOAT)

KEEPER_THERE = Availability(
    topic=CONFIG_HEALTH.topic(),
    value_template="{{ 'offline' if (value_json.event or '').split(' ')[0] "
    "in ('lwt', 'stopping') else 'online' }}",
)
"""config-manager takes changes; the service itself may be down meanwhile."""


def left_out(field: FieldInfo) -> str | None:
    """Why a setting has no entity, or None when it has one."""
    shape = shape_of(field)
    if shape.type is ConfigType.SECRET:
        return "a secret is never shown, nor set over MQTT"
    if _is_text(shape) and (shape.longest or 0) > LONGEST_TEXT:
        return "it may be longer than Home Assistant can show"
    return None


def entity(service: str, key: str, field: FieldInfo) -> Component | None:
    """The entity of a setting; None for one that is left out."""
    if left_out(field) is not None:
        return None
    shape = shape_of(field)
    found: dict[str, Any] = {
        "unique_id": f"parlour_{service}_{key}",
        "name": field.title or key,
        "state_topic": CONFIG_STATE.topic(service=service),
        "command_topic": command_topic("patch", service),
        "entity_category": "config",
        "availability": [KEEPER_THERE],
    }
    value = f"value_json.settings.{key}"
    if shape.type is ConfigType.BOOLEAN:
        found |= {
            "p": "switch",
            "payload_on": "true",
            "payload_off": "false",
            "value_template": f"{{{{ {value} | tojson }}}}",
            "command_template": _command(key, "{{ value }}"),
        }
    elif shape.type is ConfigType.ENUM:
        found |= {
            "p": "select",
            "options": list(shape.allowed or ()),
            "value_template": f"{{{{ {value} }}}}",
            "command_template": _command(key, "{{ value | tojson }}"),
        }
    elif shape.type in _NUMBERS:
        found |= {
            "p": "number",
            **_range(shape),
            "unit_of_measurement": unit_of(key),
            "value_template": f"{{{{ {value} }}}}",
            "command_template": _command(key, "{{ value | tojson }}"),
        }
    else:
        found |= _text(key, shape, value)
    return Component(**found)


def entities(service: str, model: type[ServiceConfigModel]) -> dict[str, Component]:
    """Key → entity, for every setting that has one."""
    made = {key: entity(service, key, field) for key, field in model.model_fields.items()}
    return {key: found for key, found in made.items() if found is not None}


def shown(
    service: str, model: type[ServiceConfigModel], config: Mapping[str, Any]
) -> ConfigSettings:
    """What the entities of a service show: no secret, nothing that is left out.

    Args:
        service: its name.
        model: of its settings.
        config: as stored; keys that the model does not know are dropped.
    """
    found: dict[str, SettingValue] = {}
    for key, field in model.model_fields.items():
        if key in config and left_out(field) is None:
            value = config[key]
            found[key] = _short(value) if isinstance(value, str) else value
    return ConfigSettings(service=service, settings=found)


def command_topic(op: str, service: str) -> str:
    """Where Home Assistant asks for something."""
    return CONFIG_REQUEST.topic(user=HOME_ASSISTANT, op=op, config=service)


def transaction(what: str) -> str:
    """A template of a request's id: the same change a moment later is another request.

    Without an id of its own, a switch that is turned on, off and on again within half a minute
    would stay off, since config-manager takes the same body for a request that was sent twice.
    """
    return f"ha-{what[:MAX_KEY_IN_ID]}-{{{{ now().timestamp() }}}}"


def unit_of(key: str) -> str | None:
    """The unit that a key ends with."""
    return next((unit for end, unit in _UNITS.items() if key.endswith(end)), None)


def _command(key: str, value: str) -> str:
    return f'{{"transaction":"{transaction(key)}","config":{{{json.dumps(key)}:{value}}}}}'


def _is_text(shape: Shape) -> bool:
    return shape.type in (ConfigType.STRING, ConfigType.PATH)


def _text(key: str, shape: Shape, value: str) -> dict[str, Any]:
    """A line of text; an empty one stands for null where null is a value."""
    pattern = shape.pattern
    if shape.nullable and pattern is not None:
        pattern = f"^$|{pattern}"
    return {
        "p": "text",
        "mode": "text",
        "min": 0 if shape.nullable else shape.shortest or 0,
        "max": min(shape.longest or LONGEST_STATE, LONGEST_STATE),
        "pattern": pattern,
        "value_template": f"{{{{ {value} or '' }}}}",
        "command_template": _command(
            key, "{{ (value or none) | tojson }}" if shape.nullable else "{{ value | tojson }}"
        ),
    }


def _range(shape: Shape) -> dict[str, Any]:
    low = -WIDEST if shape.minimum is None else shape.minimum
    high = WIDEST if shape.maximum is None else shape.maximum
    step: float = 1
    if shape.type is ConfigType.FLOAT:
        step = 0.01 if high - low <= 10 else 0.1 if high - low <= 1000 else 1
    if shape.above:  # Home Assistant's bounds belong to the range
        low += step
    few = (high - low) / step <= SLIDER_STEPS
    return {"min": low, "max": high, "step": step, "mode": "slider" if few else "box"}


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_STATE else value[: LONGEST_STATE - 1] + "…"
