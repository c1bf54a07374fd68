"""The topics of signed configuration (``config-protocol.md`` section 3.1), and Home Assistant's."""

from __future__ import annotations

from parlour_contracts.messages.homeassistant import (
    ConfigSettings,
    DeviceDiscovery,
    HomeAssistantStatus,
)
from parlour_contracts.messages.requests import (
    ConfigAnswer,
    ConfigApplied,
    ConfigEvent,
    ConfigRequest,
)
from parlour_contracts.messages.signed import ConfigUpdatePayload, KeysetDocument, Lease, Restart
from parlour_contracts.topic import Topic

CONFIG = Topic(
    "config",
    "system/config/{service}",
    1,
    retain=True,
    writers=("config-manager",),
    readers=("own", "config-manager"),
    max_bytes=262_144,
    model=ConfigUpdatePayload,
    summary="The signed configuration of a service, complete.",
)
CONFIG_REQUEST = Topic(
    "config_request",
    "system/config-request/{user}/{op}/{config}",
    1,
    retain=False,
    writers=("user",),
    readers=("config-manager",),
    model=ConfigRequest,
    summary="Read or change configuration; the body is {} or more. Never retained.",
)
CONFIG_ACCEPTED = Topic(
    "config_accepted",
    "system/config-response/{user}/{op}/{config}/accepted",
    1,
    retain=False,
    writers=("config-manager",),
    readers=("user",),
    max_bytes=524_288,
    model=ConfigAnswer,
    summary="The request was carried out; a change is committed.",
)
CONFIG_REJECTED = Topic(
    "config_rejected",
    "system/config-response/{user}/{op}/{config}/rejected",
    1,
    retain=False,
    writers=("config-manager",),
    readers=("user",),
    max_bytes=524_288,
    model=ConfigAnswer,
    summary="Nothing was changed, and why.",
)
CONFIG_APPLIED = Topic(
    "config_applied",
    "system/config-applied/{service}/{instance}",
    1,
    retain=True,
    writers=("own",),
    readers=("config-manager", "person", "homeassistant"),
    model=ConfigApplied,
    summary="What an instance runs with, or why it refused the newest.",
)
CONFIG_KEYS = Topic(
    "config_keys",
    "system/config-keys",
    1,
    retain=True,
    writers=("config-manager",),
    readers=("*",),
    max_bytes=16_384,
    model=KeysetDocument,
    summary="The keys that may sign configuration, signed by the root keys.",
)
CONFIG_LEADER = Topic(
    "config_leader",
    "system/config-leader",
    1,
    retain=True,
    writers=("config-manager",),
    readers=("config-manager",),
    model=Lease,
    summary="Which config-manager leads.",
)
CONFIG_EVENT = Topic(
    "config_event",
    "system/config-event",
    1,
    retain=False,
    writers=("config-manager",),
    readers=("person",),
    model=ConfigEvent,
    summary="What an operator should know about the configuration.",
)
RESTART = Topic(
    "restart",
    "system/restart/{instance}",
    1,
    retain=False,
    writers=("config-manager",),
    readers=("own",),
    max_bytes=1_024,
    model=Restart,
    summary="This run of a process is to end, so that it starts anew; signed.",
)
CONFIG_STATE = Topic(
    "config_state",
    "system/config-state/{service}",
    1,
    retain=True,
    writers=("config-manager",),
    readers=("homeassistant",),
    model=ConfigSettings,
    summary="What a service should run with, as Home Assistant shows it; only where it is used.",
)
HOME_ASSISTANT_DEVICE = Topic(
    "home_assistant_device",
    "homeassistant/device/{device}/config",
    1,
    retain=True,
    writers=("config-manager",),
    readers=("homeassistant",),
    max_bytes=262_144,
    model=DeviceDiscovery,
    summary="A service as a device of Home Assistant; only where it is used.",
)
HOME_ASSISTANT_STATUS = Topic(
    "home_assistant_status",
    "homeassistant/status",
    1,
    retain=False,
    writers=("homeassistant",),
    readers=("config-manager",),
    model=HomeAssistantStatus,
    summary="Home Assistant's birth and will: online or offline, as plain text.",
)
