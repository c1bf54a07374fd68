"""The AsyncAPI 3.0 document and the table of topics, made from the registry."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from parlour_contracts.topics import TOPICS, FrameTopic, Topic, TopicBase, models

_REF = "#/components/schemas/{model}"

PROPERTY_DOCS = {
    "seq": "number of the frame, from 0",
    "rate": "samples per second",
    "channels": "1 or 2",
    "encoding": "pcm (little-endian 16 bit) or ulaw",
    "start_ms": "milliseconds from the first sample of the sentence",
    "sentence": "number of the sentence within the utterance, from 0",
    "end": "1 on the last frame (of the turn, or of the sentence)",
    "last": "1 on the last frame of the utterance",
}
"""MQTT 5 user properties of binary frames; all values are text."""


def document(version: str) -> dict[str, Any]:
    """The whole AsyncAPI document as plain values."""
    classes: list[type[BaseModel]] = [m for m in models() if issubclass(m, BaseModel)]
    _, schemas = models_json_schema([(m, "validation") for m in classes], ref_template=_REF)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parlour voice protocol",
            "version": version,
            "description": "A private voice assistant as a fleet of processes over MQTT 5. "
            "Generated from the topic registry.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "home": {
                "host": "localhost:1883",
                "protocol": "mqtt",
                "protocolVersion": "5.0",
                "description": "The broker of the household.",
            }
        },
        "channels": {t.name: _channel(t) for t in TOPICS},
        "operations": {k: v for t in TOPICS for k, v in _operations(t).items()},
        "components": {"schemas": schemas["$defs"]},
    }


def _channel(topic: TopicBase) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": topic.pattern,
        "description": topic.summary,
        "messages": {topic.name: _message(topic)},
    }
    if topic.params:
        channel["parameters"] = {p: {"description": f"one level, {p}"} for p in topic.params}
    return channel


def _message(topic: TopicBase) -> dict[str, Any]:
    if isinstance(topic, FrameTopic):
        properties = {
            p: {"type": "string", "description": PROPERTY_DOCS[p]} for p in topic.properties
        }
        return {
            "contentType": "application/octet-stream",
            "summary": topic.summary,
            "headers": {"type": "object", "properties": properties},
            "payload": {"type": "string", "format": "binary", "maxLength": topic.max_bytes},
        }
    assert isinstance(topic, Topic)
    return {
        "contentType": "application/json",
        "summary": topic.summary,
        "payload": {"$ref": _REF.format(model=topic.model.__name__)},
    }


def _operations(topic: TopicBase) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{topic.name}"}
    bindings = {"mqtt": {"qos": topic.qos, "retain": topic.retain, "bindingVersion": "0.2.0"}}
    return {
        f"{topic.name}_send": {
            "action": "send",
            "channel": channel,
            "summary": f"Written by {people(topic.writers)}.",
            "bindings": bindings,
        },
        f"{topic.name}_receive": {
            "action": "receive",
            "channel": channel,
            "summary": f"Read by {people(topic.readers)}.",
            "bindings": {"mqtt": {"qos": topic.qos, "bindingVersion": "0.2.0"}},
        },
    }


def people(roles: tuple[str, ...]) -> str:
    """Roles as words."""
    return ", ".join("every process" if r == "*" else r for r in roles)


def table() -> str:
    """The topics as a Markdown page."""
    lines = [
        "# Topics",
        "",
        "Generated from the topic registry (`libs/contracts`); `make docs` writes it anew. The",
        "payloads are in [asyncapi.yaml](asyncapi.yaml). Binary frames carry their format in MQTT",
        "5 user properties.",
        "",
        "| topic | from → to | QoS, retain | payload | |",
        "|---|---|---|---|---|",
    ]
    for topic in TOPICS:
        payload = (
            topic.model.__name__
            if isinstance(topic, Topic)
            else "binary; " + ", ".join(getattr(topic, "properties", ()))
        )
        qos = f"{topic.qos}"
        if isinstance(topic, Topic) and topic.streaming is not None:
            qos = f"0 or {topic.qos}"
        shared = " (shared)" if topic.shared else ""
        address = topic.pattern.replace("{", "<").replace("}", ">")
        lines.append(
            f"| `{address}` | {people(topic.writers)} → {people(topic.readers)}{shared} "
            f"| {qos}{', retained' if topic.retain else ''} | {payload} | {topic.summary} |"
        )
    lines += ["", "## User properties of frames", "", "| property | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in PROPERTY_DOCS.items()]
    return "\n".join(lines) + "\n"
