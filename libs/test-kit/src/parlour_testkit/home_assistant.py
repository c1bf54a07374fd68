"""Home Assistant as far as MQTT discovery goes: a client that believes what it is told.

It reads devices, renders their templates with Jinja as Home Assistant does, holds states to the
rules of their platform, and sends commands. It knows nothing of Parlour: topics and payloads come
from the discovery messages alone. What Home Assistant would log as an error is kept in
``complaints``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from parlour_kit.bus import Bus, Message, matches

LONGEST_STATE = 255
SHORT = {"dev": "device", "o": "origin", "cmps": "components"}


def moments() -> Callable[[], datetime]:
    """A clock for templates that is never the same twice."""
    count = 0

    def now() -> datetime:
        nonlocal count
        count += 1
        return datetime.fromtimestamp(1_800_000_000 + count / 1000, UTC)

    return now


@dataclass
class Entity:
    """One entity; ``state`` is None while unknown."""

    device: str
    key: str
    config: dict[str, Any]
    state: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)

    @property
    def platform(self) -> str:
        """Which kind of entity it is."""
        return str(self.config["p"])

    @property
    def available(self) -> bool:
        """Whether its availability topics say so; one without any always is."""
        asked = [entry["topic"] for entry in self.config.get("availability", [])]
        told = [self.there.get(topic, False) for topic in asked]
        mode = self.config.get("availability_mode", "all" if len(asked) == 1 else "latest")
        return not asked or (any(told) if mode == "any" else all(told))


class HomeAssistant:
    """Discovers on one bus; call :meth:`start` first."""

    def __init__(self, bus: Bus, prefix: str = "homeassistant") -> None:
        self.bus = bus
        self.devices: dict[str, dict[str, Any]] = {}
        self.entities: dict[tuple[str, str], Entity] = {}
        self.complaints: list[str] = []
        self._prefix = prefix
        self._last: dict[str, Message] = {}
        self._filters: set[str] = set()
        self._new: list[str] = []
        self._jinja = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        self._jinja.globals["now"] = moments()

    async def start(self) -> None:
        """Subscribe to discovery, then say that it is there."""
        await self.bus.subscribe(f"{self._prefix}/device/+/config", self._discovered)
        await self.say("online")

    async def say(self, status: str) -> None:
        """Its birth message or its will."""
        await self.bus.publish(f"{self._prefix}/status", status.encode(), qos=1)

    async def settle(self) -> None:
        """Subscribe to what newly discovered entities need."""
        for topic_filter in self._new:
            if topic_filter not in self._filters:
                self._filters.add(topic_filter)
                await self.bus.subscribe(topic_filter, self._message)
        self._new.clear()

    def entity(self, device: str, key: str) -> Entity:
        """The entity of a device; ``device`` is its id in the topic."""
        return self.entities[device, key]

    async def press(self, entity: Entity) -> None:
        """Press a button."""
        await self._command(entity, entity.config.get("payload_press", "PRESS"))

    async def turn(self, entity: Entity, *, on: bool) -> None:
        """Turn a switch."""
        key, default = ("payload_on", "ON") if on else ("payload_off", "OFF")
        await self._command(entity, entity.config.get(key, default))

    async def set_to(self, entity: Entity, value: str | float) -> None:
        """Choose an option, a number or a text; what the platform refuses is a ValueError."""
        config = entity.config
        if entity.platform == "select" and value not in config["options"]:
            raise ValueError(f"{value} is no option of {entity.key}")
        if entity.platform == "number":
            assert not isinstance(value, str)
            if not config["min"] <= value <= config["max"]:
                raise ValueError(f"{value} is out of the range of {entity.key}")
            value = int(value) if float(value).is_integer() else float(value)
        if entity.platform == "text" and self._text_problem(config, str(value)):
            raise ValueError(f"{value!r} does not fit {entity.key}")
        await self._command(entity, value)

    def rendered(self, template: str, **variables: Any) -> str:
        """A template's text."""
        return self._jinja.from_string(template).render(**variables).strip()

    def command(self, entity: Entity, value: object) -> str:
        """The payload of a command."""
        template = entity.config.get("command_template")
        return str(value) if template is None else self.rendered(template, value=value)

    async def _command(self, entity: Entity, value: object) -> None:
        await self.bus.publish(
            entity.config["command_topic"],
            self.command(entity, value).encode(),
            qos=entity.config.get("qos", 0),
            retain=entity.config.get("retain", False),
        )

    # What comes

    def _discovered(self, message: Message) -> None:
        device = message.topic.split("/")[-2]
        if not message.payload:
            self.devices.pop(device, None)
            self.entities = {at: e for at, e in self.entities.items() if at[0] != device}
            return
        told = {SHORT.get(key, key): v for key, v in json.loads(message.payload).items()}
        self.devices[device] = told
        kept = {at: e for at, e in self.entities.items() if at[0] != device}
        for key, config in told["components"].items():
            known = self.entities.get((device, key))
            entity = known or Entity(device, key, config)
            entity.config = config
            kept[device, key] = entity
            self._new += _topics(config)
        self.entities = kept
        for past in self._last.values():
            self._message(past)

    def _message(self, message: Message) -> None:
        self._last[message.topic] = message
        for entity in self.entities.values():
            self._take(entity, message)

    def _take(self, entity: Entity, message: Message) -> None:
        config, text = entity.config, message.payload.decode()
        for entry in config.get("availability", []):
            if matches(entry["topic"], message.topic):
                entity.there[entry["topic"]] = self._value(entry, text) == "online"
        if "state_topic" in config and matches(config["state_topic"], message.topic):
            self._state(entity, self._value(config, text))
        attributes = config.get("json_attributes_topic")
        if attributes is not None and matches(attributes, message.topic):
            template = config["json_attributes_template"]
            entity.attributes = json.loads(
                self.rendered(template, value=text, value_json=_json(text))
            )

    def _value(self, config: dict[str, Any], text: str) -> str:
        template = config.get("value_template")
        if template is None or not text:
            return text
        return self.rendered(template, value=text, value_json=_json(text))

    def _state(self, entity: Entity, value: str) -> None:
        """Take a state as the platform does; an empty one leaves a sensor or number as it was."""
        config = entity.config
        if entity.platform == "switch":
            states = {config["payload_on"]: "on", config["payload_off"]: "off"}
            entity.state = states.get(value, entity.state)
        elif not value and entity.platform != "text":
            return
        elif problem := self._problem(entity.platform, config, value):
            self.complaints.append(f"{entity.device} {entity.key}: {value!r} {problem}")
        else:
            entity.state = value

    def _problem(self, platform: str, config: dict[str, Any], value: str) -> str:
        """Why the platform would not take a state; empty when it does."""
        if len(value) > LONGEST_STATE:
            return "is too long"
        if platform == "text":
            return self._text_problem(config, value)
        if value not in config.get("options", [value]):
            return "is no option"
        if platform == "number" or "state_class" in config:
            try:
                number = float(value)
            except ValueError:
                return "is no number"
            if not config.get("min", number) <= number <= config.get("max", number):
                return "is out of range"
        return ""

    def _text_problem(self, config: dict[str, Any], value: str) -> str:
        if not config.get("min", 0) <= len(value) <= config.get("max", LONGEST_STATE):
            return "has a wrong length"
        pattern = config.get("pattern")
        return "" if pattern is None or re.match(pattern, value) else "does not match"


def _topics(config: dict[str, Any]) -> list[str]:
    own = [config[key] for key in ("state_topic", "json_attributes_topic") if key in config]
    return own + [entry["topic"] for entry in config.get("availability", [])]


def _json(text: str) -> Any:
    return json.loads(text) if text else None
