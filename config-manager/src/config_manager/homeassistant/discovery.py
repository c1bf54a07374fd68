"""The devices of a fleet, as Home Assistant discovers them: pure."""

from __future__ import annotations

from collections.abc import Mapping

from parlour_contracts.acl import DISCOVERY_PREFIX, KEEPER
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.messages.homeassistant import Component, Device, DeviceDiscovery, Origin
from parlour_contracts.topics import HOME_ASSISTANT_DEVICE, HOME_ASSISTANT_STATUS, TopicBase

from config_manager.homeassistant import sensors, settings

ORIGIN = "Parlour"
HEALTH_INTERVAL_S = 30.0
"""How often an instance tells its health, until it says so itself."""


def device(
    service: str, model: type[ServiceConfigModel], instances: Mapping[str, float], version: str
) -> DeviceDiscovery:
    """A service: its settings, its share of a turn, and the health of each instance.

    Args:
        service: its name.
        model: of its settings.
        instances: name of each known instance → seconds between two of its health messages.
        version: of the software.
    """
    known = instances or {service: HEALTH_INTERVAL_S}
    entities: dict[str, Component] = {}
    for instance, interval_s in sorted(known.items()):
        entities |= sensors.of_instance(service, instance, interval_s)
    entities |= sensors.times(service, known)
    entities |= settings.entities(service, model)
    entities["refused"] = sensors.refused(service)
    entities["restart"] = sensors.restart(service, known)
    return _device(service, entities, version)


def keeper(version: str) -> DeviceDiscovery:
    """The device of config-manager, through which the others are reached."""
    return _device(KEEPER, sensors.of_keeper(), version)


def device_topic(service: str, prefix: str) -> str:
    """Where Home Assistant looks for a device."""
    return _below(HOME_ASSISTANT_DEVICE, prefix, device=f"parlour-{service}")


def status_topic(prefix: str) -> str:
    """Where Home Assistant says that it is there."""
    return _below(HOME_ASSISTANT_STATUS, prefix)


def _below(topic: TopicBase, prefix: str, **levels: str) -> str:
    return prefix + topic.topic(**levels).removeprefix(DISCOVERY_PREFIX)


def _device(service: str, entities: dict[str, Component], version: str) -> DeviceDiscovery:
    return DeviceDiscovery(
        dev=Device(
            ids=[_identifier(service)],
            name=f"{ORIGIN} {service}",
            mf=ORIGIN,
            mdl=service,
            sw=version,
            via_device=None if service == KEEPER else _identifier(KEEPER),
        ),
        o=Origin(name=ORIGIN, sw=version),
        cmps=entities,
    )


def _identifier(service: str) -> str:
    return f"parlour_{service}"
