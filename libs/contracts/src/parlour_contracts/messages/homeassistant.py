"""What config-manager tells Home Assistant, in the forms that Home Assistant reads.

Names of fields are Home Assistant's (MQTT integration, device discovery). What is None is left
out on the wire, since a null means something there.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, RootModel

from parlour_contracts.base import Name
from parlour_contracts.messages.signed import Closed

Platform = Literal["sensor", "select", "number", "switch", "text", "button"]
SettingValue = str | bool | int | float | None
Template = Annotated[str, Field(max_length=2000)]
Text = Annotated[str, Field(max_length=300)]


class ConfigSettings(Closed):
    """What a service should run with now: the settings that Home Assistant shows. No secrets."""

    service: Name
    settings: dict[str, SettingValue]


class Sparse(Closed):
    """Leaves out what is None."""

    def encode(self) -> bytes:
        """The bytes that go on the wire."""
        return self.model_dump_json(exclude_none=True).encode()


class Availability(Sparse):
    """A topic that says whether something is there; the template makes online or offline of it."""

    topic: Text
    value_template: Template


class Component(Sparse):
    """One entity. ``p`` says which fields are read: see the documentation of that platform."""

    p: Platform
    unique_id: Text
    name: Text
    qos: Literal[0, 1] = 1
    state_topic: Text | None = None
    value_template: Template | None = None
    command_topic: Text | None = None
    command_template: Template | None = None
    payload_press: Text | None = None
    payload_on: Text | None = None
    payload_off: Text | None = None
    options: list[Text] | None = None
    min: float | int | None = None
    max: float | int | None = None
    step: float | int | None = None
    mode: Literal["auto", "box", "slider", "text"] | None = None
    pattern: Text | None = None
    unit_of_measurement: Text | None = None
    device_class: Literal["enum", "duration", "restart"] | None = None
    state_class: Literal["measurement"] | None = None
    suggested_display_precision: Annotated[int, Field(ge=0)] | None = None
    expire_after: Annotated[int, Field(gt=0)] | None = None
    entity_category: Literal["config", "diagnostic"] | None = None
    icon: Text | None = None
    json_attributes_topic: Text | None = None
    json_attributes_template: Template | None = None
    availability: list[Availability] | None = None
    availability_mode: Literal["all", "any", "latest"] | None = None


class Device(Sparse):
    """Which device the entities belong to."""

    ids: Annotated[list[Text], Field(min_length=1)]
    name: Text
    mf: Text
    mdl: Text
    sw: Text
    via_device: Text | None = None


class Origin(Sparse):
    """Who says so."""

    name: Text
    sw: Text


class DeviceDiscovery(Sparse):
    """A device with all its entities: component id → entity."""

    dev: Device
    o: Origin
    cmps: dict[str, Component]


class HomeAssistantStatus(RootModel[Literal["online", "offline"]]):
    """Whether Home Assistant is there; plain text, not JSON."""

    model_config = ConfigDict(strict=True, frozen=True)

    def encode(self) -> bytes:
        """The bytes that go on the wire."""
        return self.root.encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the bytes of a message; raises ValueError."""
        return cls.model_validate(payload.decode("utf-8"))
