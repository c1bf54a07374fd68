"""Each setting of each service, changed through the signed path: it arrives under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parlour_contracts.config import CONFIGS, fields_of, type_of
from parlour_contracts.messages.configuration import ConfigFieldMetadata, ConfigType
from parlour_testkit import ConfigAuthority
from parlour_testkit.buses import connections
from satellite.virtual import VirtualRoom
from story_fleet import scripted_fleet

TEXTS: dict[str, str] = {
    "stt-worker.ws_url": "ws://127.0.0.1:2700/a",
    "stt-worker.language": "de-DE",
    "llm-worker.base_url": "http://127.0.0.1:9/v1",
    "llm-worker.api_key": "a-key-of-a-provider",
    "router.router_stream_boundary_regex": r"[.!?]\s",
    "router.time_zone": "Europe/Berlin",
}
TOGETHER: dict[str, dict[str, Any]] = {
    "stt-worker.stt_backend": {"ws_url": "ws://127.0.0.1:2700/a"},
    "llm-worker.backend": {"base_url": "http://127.0.0.1:9/v1"},
}
"""What a setting needs beside it."""


def another(service: str, key: str, field: ConfigFieldMetadata) -> Any:
    """A value that the setting may have and does not have by default."""
    default = CONFIGS[service].model_fields[key].default
    match type_of(CONFIGS[service].model_fields[key]):
        case ConfigType.BOOLEAN:
            return not default
        case ConfigType.INTEGER:
            return default + 1 if default != field.validation_max else default - 1
        case ConfigType.FLOAT:
            lower = (default + (field.validation_min or 0.0)) / 2
            return lower if lower != default else (default + field.validation_max) / 2
        case ConfigType.ENUM:
            return next(v for v in field.validation_allowed if v != default)
        case _:
            return TEXTS.get(f"{service}.{key}", f"another-{key.replace('_', '-')}")


@pytest.mark.req("F6", "C085")
@pytest.mark.parametrize("service", CONFIGS)
async def test_every_setting_arrives_through_the_signed_path_and_no_other_one_changes(
    service: str, tmp_path: Path
) -> None:
    defaults = CONFIGS[service]().model_dump()
    described = {field.key.partition(".")[2]: field for field in fields_of(service)}
    assert described.keys() == defaults.keys()
    async with connections("memory") as connect:
        authority = await ConfigAuthority(await connect("config-manager")).watch()
        async with scripted_fleet(
            connect, feed=authority.feed(tmp_path), room=VirtualRoom()
        ) as fleet:
            for key, field in described.items():
                value = another(service, key, field)
                wanted = {**defaults, **TOGETHER.get(f"{service}.{key}", {}), key: value}
                assert value != defaults[key], key
                sent = dict(wanted)
                if field.is_secret:
                    sent[key] = authority.seal(service, key, value)
                await authority.change(service, sent)
                assert fleet.services[service].config.model_dump() == wanted
