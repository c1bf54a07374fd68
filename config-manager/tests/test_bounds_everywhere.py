"""What the models forbid comes in through no door: MQTT, REST, or SQL behind our back (F16)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from config_manager.condition import Condition
from config_manager.store import Store
from desk import Desk
from parlour_config.canonical import canonical
from parlour_contracts.config import CONFIGS, fields_of, type_of
from parlour_contracts.messages.configuration import ConfigType

BETWEEN: list[tuple[str, dict[str, Any]]] = [
    ("router", {"router_stream_min_chars": 300, "router_stream_max_chars": 200}),
    ("stt-worker", {"stt_backend": "ws", "ws_url": None}),
    ("llm-worker", {"backend": "openai", "base_url": None}),
    ("router", {"router_stream_boundary_regex": "(a+)+$"}),
]
WRONG_KIND: dict[ConfigType, Any] = {
    ConfigType.BOOLEAN: 1,
    ConfigType.INTEGER: "1",
    ConfigType.FLOAT: "0.5",
    ConfigType.ENUM: "something else",
    ConfigType.STRING: 7,
    ConfigType.PATH: 7,
    ConfigType.SECRET: 7,
}


def forbidden() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each bound from its other side, each kind by another, and each rule between settings."""
    for service, model in CONFIGS.items():
        for field in fields_of(service):
            key = field.key.partition(".")[2]
            kind = type_of(model.model_fields[key])
            values = [WRONG_KIND[kind]]
            if field.validation_min is not None:
                values += [field.validation_min - 1]
            if field.validation_max is not None:
                values += [field.validation_max + 1]
            pattern = field.validation_pattern
            if pattern is not None:
                wrong = ("", "\n", "no such form\n")
                values += [value for value in wrong if re.fullmatch(pattern, value) is None]
            yield from ((service, {key: value}) for value in values)
        yield service, {"no_such_setting": 1}
    yield from BETWEEN


CASES = list(forbidden())


@pytest.mark.req("F16", "C075")
@pytest.mark.parametrize("via", ["mqtt", "rest"])
async def test_a_value_beyond_its_bounds_is_refused_and_nothing_is_stored(
    desk: Desk, via: Any
) -> None:
    before = desk.rows("SELECT * FROM service_configs")
    for service, config in CASES:
        answer = await desk.ask("patch", service, config=config, via=via)
        assert answer.error in ("VALIDATION_FAILED", "UNKNOWN_KEY", "SECRET_OVER_MQTT"), config
        assert answer.details or answer.error == "SECRET_OVER_MQTT"
    for name in ("Tts-worker", "1tts", "tts_worker", "tts-worker\n", "a" * 64, "", "../tts"):
        answer = await desk.ask("patch", name, config={"volume_percent": 1}, via=via)
        assert answer.status == "rejected"

    assert len(CASES) > 100
    assert desk.rows("SELECT * FROM service_configs") == before


@pytest.mark.req("F16", "C066")
async def test_a_value_that_was_written_past_us_is_never_broadcast(tmp_path: Path) -> None:
    desk = await Desk(tmp_path).open()
    good = dict(desk.rows("SELECT service, config_json FROM service_configs"))
    await desk.close()

    async def found(service: str, config: dict[str, Any]) -> Condition:
        text = canonical({**json.loads(good[service]), **config}).decode()
        desk.write("UPDATE service_configs SET config_json = ? WHERE service = ?", text, service)
        store = Store(desk.path, busy_ms=50)
        condition = await store.open()
        await store.close()
        desk.write(
            "UPDATE service_configs SET config_json = ? WHERE service = ?", good[service], service
        )
        return condition

    assert (await found("tts-worker", {})).ok
    within_bounds = ("tts-worker", {"volume_percent": 41})  # and yet nobody asked us for it
    for service, config in [within_bounds, *CASES[::5], *BETWEEN]:
        condition = await found(service, config)
        assert (condition.status, condition.mode) == ("corrupted", "read-only-fallback"), config
    again = await Desk(tmp_path).open()
    assert again.store.condition.ok
    await again.close()
