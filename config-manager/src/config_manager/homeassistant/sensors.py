"""What Home Assistant sees of a service beside its settings: health, configuration, times. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from parlour_contracts.acl import HOME_ASSISTANT
from parlour_contracts.messages.configuration import DatabaseStatus
from parlour_contracts.messages.health import Status
from parlour_contracts.messages.homeassistant import Availability, Component
from parlour_contracts.messages.requests import AppliedStatus
from parlour_contracts.topics import (
    CONFIG_APPLIED,
    CONFIG_HEALTH,
    CONFIG_REJECTED,
    HEALTH,
    TURN_LATENCY,
)

from config_manager.homeassistant.settings import command_topic, transaction

STATUSES = list(get_args(Status))
MISSED = 3
"""A state that was not told again for so many intervals is unknown."""

KEEPER_INTERVAL_S = 10.0
TIMES: dict[str, dict[str, str]] = {
    "stt-worker": {
        "endpoint_wait_ms": "Wait for the end of speech",
        "transcribe_ms": "Transcription",
    },
    "llm-worker": {
        "final_to_first_token_ms": "Time to the first token",
        "first_token_to_first_sentence_ms": "Time to the first sentence",
    },
    "tts-worker": {"first_sentence_to_first_audio_ms": "Time to the first sound"},
    "router": {"final_to_end_ms": "Whole answer"},
}
"""Service → its share of a turn, as the router times it → its name."""

_GONE = "(value_json.event or '').split(' ')[0] in ('lwt', 'stopping')"


def is_there(instance: str) -> Availability:
    """An instance lives, by its health and by its last will."""
    return Availability(
        topic=HEALTH.topic(instance=instance),
        value_template="{{ 'offline' if value_json.status == 'offline' else 'online' }}",
    )


def of_instance(service: str, instance: str, interval_s: float) -> dict[str, Component]:
    """Health and configuration of one instance.

    Args:
        service: what it runs.
        instance: its name; behind the entity's where it is not the service's own.
        interval_s: between two of its health messages.
    """
    behind = "" if instance == service else f" ({instance})"
    topic = HEALTH.topic(instance=instance)
    return {
        f"health_{instance}": Component(
            p="sensor",
            unique_id=f"parlour_{instance}_health",
            name=f"Health{behind}",
            state_topic=topic,
            value_template="{{ value_json.status }}",
            device_class="enum",
            options=STATUSES,
            expire_after=math.ceil(MISSED * interval_s),
            json_attributes_topic=topic,
            json_attributes_template="{{ {'version': value_json.version, "
            "'ready': value_json.ready, 'components': value_json.components, "
            "'error': value_json.err.code if value_json.err else none, "
            "'hint': value_json.err.hint if value_json.err else none} | tojson }}",
            entity_category="diagnostic",
            icon="mdi:heart-pulse",
        ),
        f"configuration_{instance}": Component(
            p="sensor",
            unique_id=f"parlour_{instance}_configuration",
            name=f"Configuration{behind}",
            state_topic=CONFIG_APPLIED.topic(service=service, instance=instance),
            value_template="{{ value_json.status }}",
            device_class="enum",
            options=list(get_args(AppliedStatus)),
            availability=[is_there(instance)],
            entity_category="diagnostic",
            icon="mdi:check-decagram",
        ),
    }


def refused(service: str) -> Component:
    """Why the last change from Home Assistant was not taken, if one was not."""
    return Component(
        p="sensor",
        unique_id=f"parlour_{service}_refused",
        name="Last refused change",
        state_topic=CONFIG_REJECTED.filter(user=HOME_ASSISTANT, config=service),
        value_template="{{ (value_json.error ~ ': ' ~ "
        "(value_json.details[0].key ~ ' ' ~ value_json.details[0].problem "
        "if value_json.get('details') else value_json.message))[:255] }}",
        entity_category="diagnostic",
        icon="mdi:message-alert",
    )


def restart(service: str, instances: Mapping[str, float]) -> Component:
    """A button that has every instance of a service start anew, by a signed order."""
    return Component(
        p="button",
        unique_id=f"parlour_{service}_restart",
        name="Restart",
        command_topic=command_topic("restart", service),
        command_template=f'{{"transaction":"{transaction("restart")}"}}',
        payload_press="PRESS",
        device_class="restart",
        availability=[is_there(instance) for instance in sorted(instances)],
        availability_mode="any",
        entity_category="config",
    )


def times(service: str, instances: Mapping[str, float]) -> dict[str, Component]:
    """How long this service took in the last turn, of any room; an unknown part keeps its value."""
    return {
        key: Component(
            p="sensor",
            unique_id=f"parlour_{service}_{key}",
            name=name,
            state_topic=TURN_LATENCY.filter(),
            value_template=f"{{{{ '' if value_json.timings.{key} is none "
            f"else value_json.timings.{key} | round(1) }}}}",
            device_class="duration",
            state_class="measurement",
            unit_of_measurement="ms",
            suggested_display_precision=0,
            availability=[is_there(instance) for instance in sorted(instances)],
            availability_mode="any",
        )
        for key, name in TIMES.get(service, {}).items()
    }


def of_keeper() -> dict[str, Component]:
    """What is to be seen of config-manager itself."""
    common: dict[str, Any] = {
        "p": "sensor",
        "state_topic": CONFIG_HEALTH.topic(),
        "device_class": "enum",
        "expire_after": math.ceil(MISSED * KEEPER_INTERVAL_S),
        "entity_category": "diagnostic",
    }
    return {
        "health": Component(
            **common,
            unique_id="parlour_config-manager_health",
            name="Health",
            value_template=f"{{{{ 'offline' if {_GONE} else 'healthy' if value_json.ok "
            "else 'unhealthy' if value_json.operational_mode != 'normal' else 'degraded' }}",
            options=STATUSES,
            icon="mdi:heart-pulse",
        ),
        "database": Component(
            **common,
            unique_id="parlour_config-manager_database",
            name="Database",
            value_template="{{ value_json.database_status }}",
            options=list(get_args(DatabaseStatus)),
            icon="mdi:database-check",
        ),
    }
