"""What Home Assistant is told of a service: forms, templates, and values that may be set."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from config_manager.fronts.mqtt_request import addressed, checked, identified
from config_manager.homeassistant import discovery, sensors, settings
from homeassistant_schema import check_device
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.config import CONFIGS, ServiceConfigModel
from parlour_contracts.config.annotations import shape_of
from parlour_contracts.config.fields import setting
from parlour_contracts.config.marks import PathSetting, SecretSetting
from parlour_contracts.config.validation import validate_config
from parlour_contracts.messages.health import Health
from parlour_contracts.messages.llm import WireError
from parlour_contracts.messages.requests import ConfigAnswer, Problem
from parlour_contracts.messages.room import TurnLatency, TurnTimings
from parlour_contracts.topics import CONFIG_REJECTED, CONFIG_STATE, HEALTH, TURN_LATENCY, find
from parlour_kit.bus import Message, matches
from parlour_kit.ids import new_id
from parlour_testkit import MemoryBroker
from parlour_testkit.home_assistant import Entity, HomeAssistant

OFFERED = [
    (service, key)
    for service, model in CONFIGS.items()
    for key in settings.entities(service, model)
]


def a_home_assistant() -> HomeAssistant:
    return HomeAssistant(MemoryBroker().client("homeassistant"))


def entity_of(service: str, key: str, model: type[ServiceConfigModel] | None = None) -> Entity:
    found = settings.entities(service, model or CONFIGS[service])[key]
    return Entity(f"parlour-{service}", key, json.loads(found.encode()))


def feed(home: HomeAssistant, entity: Entity, topic: str, payload: bytes) -> None:
    home.entities = {(entity.device, entity.key): entity}
    home._message(Message(topic, payload))


@pytest.mark.parametrize("service", CONFIGS)
def test_every_device_has_the_form_that_home_assistant_documents(service: str) -> None:
    alone = discovery.device(service, CONFIGS[service], {}, "1.2.3")
    two = discovery.device(service, CONFIGS[service], {service: 5, f"{service}-2": 30}, "1.2.3")

    check_device(json.loads(alone.encode()))
    check_device(json.loads(two.encode()))
    assert set(two.cmps) - set(alone.cmps) == {
        f"health_{service}-2", f"configuration_{service}-2",
    }  # fmt: skip


def test_the_device_of_config_manager_has_that_form_too() -> None:
    check_device(json.loads(discovery.keeper("1.2.3").encode()))


def test_no_two_devices_share_an_entity() -> None:
    made = [discovery.device(s, model, {}, "1.2.3") for s, model in CONFIGS.items()]
    ids = [c.unique_id for d in (*made, discovery.keeper("1.2.3")) for c in d.cmps.values()]

    assert len(set(ids)) == len(ids)


def test_every_topic_that_is_named_is_declared() -> None:
    for service, model in CONFIGS.items():
        for component in discovery.device(service, model, {}, "1.2.3").cmps.values():
            named = [
                component.state_topic,
                component.command_topic,
                component.json_attributes_topic,
            ]
            named += [entry.topic for entry in component.availability or []]
            for topic in filter(None, named):
                assert find(topic.replace("+", "patch")) is not None, topic


def test_every_setting_has_an_entity_or_a_reason_to_have_none() -> None:
    missing = {
        key: settings.left_out(model.model_fields[key])
        for service, model in CONFIGS.items()
        for key in model.model_fields.keys() - settings.entities(service, model).keys()
    }

    assert missing.keys() == {"api_key", "system_prompt"}
    assert all(missing.values())


@pytest.mark.parametrize(
    ("service", "key", "platform"),
    [
        ("tts-worker", "volume_percent", "number"), ("tts-worker", "tts_pipeline", "switch"),
        ("stt-worker", "stt_backend", "select"), ("tts-worker", "piper_voice", "text"),
        ("router", "think_timeout_s", "number"), ("llm-worker", "base_url", "text"),
    ],
)  # fmt: skip
def test_each_kind_of_setting_has_its_platform(service: str, key: str, platform: str) -> None:
    assert entity_of(service, key).platform == platform


def test_bounds_units_and_choices_come_from_the_model() -> None:
    volume = entity_of("tts-worker", "volume_percent").config
    wait = entity_of("router", "think_timeout_s").config
    backend = entity_of("stt-worker", "stt_backend").config

    assert (volume["min"], volume["max"], volume["step"]) == (0, 200, 1)
    assert (volume["unit_of_measurement"], volume["mode"]) == ("%", "slider")
    assert (wait["min"], wait["max"], wait["unit_of_measurement"]) == (0.1, 120, "s")
    assert backend["options"] == ["whisper", "ws"]


@pytest.mark.parametrize(("service", "key"), OFFERED, ids=lambda x: x)
def test_the_default_of_every_setting_is_shown_as_it_is(service: str, key: str) -> None:
    model, home, entity = CONFIGS[service], a_home_assistant(), entity_of(service, key)
    defaults = model().model_dump()
    state = settings.shown(service, model, defaults)

    feed(home, entity, CONFIG_STATE.topic(service=service), state.encode())

    value = defaults[key]
    wanted = {True: "on", False: "off"}.get(value) if isinstance(value, bool) else str(value or "")
    assert home.complaints == []
    if entity.platform == "number":
        assert float(entity.state or "nan") == value
    else:
        assert entity.state == (wanted if isinstance(value, bool | str) else "")


def values_for(config: dict[str, Any], key: str) -> st.SearchStrategy[Any]:
    """What somebody may enter; rules that Home Assistant cannot know are left to config-manager."""
    if config["p"] == "switch":
        return st.sampled_from(["true", "false"])
    if config["p"] == "select":
        return st.sampled_from(config["options"])
    if config["p"] == "number":
        low, high, step = config["min"], config["max"], config["step"]
        found = st.integers(0, int((high - low) / step)).map(lambda n: low + n * step)
        return found if step == 1 else found.map(lambda value: min(round(value, 3), high))
    return texts_for(config, key)


def texts_for(config: dict[str, Any], key: str) -> st.SearchStrategy[str]:
    if key == "language":
        return st.from_regex(r"[a-z]{2}-[A-Z]{2}", fullmatch=True)
    if key == "router_stream_boundary_regex":
        return st.sampled_from([r"[.!?]\s", r'"', r"\\", "[<>&']"])
    if "pattern" in config:
        matching = st.from_regex(config["pattern"].replace("$", r"\Z"), fullmatch=True)
        return matching.filter(lambda text: config["min"] <= len(text) <= config["max"])
    # Control characters are nothing that a line of input takes.
    letters = st.characters(exclude_categories=("C", "Z"), include_characters="\"'\\<>{}%é😀")
    return st.text(letters, min_size=config["min"], max_size=config["max"])


@given(data=st.data())
def test_whatever_home_assistant_lets_somebody_set_is_a_request_that_config_manager_takes(
    data: st.DataObject,
) -> None:
    service, key = data.draw(st.sampled_from(OFFERED))
    entity = entity_of(service, key)
    value = data.draw(values_for(entity.config, key))
    home = a_home_assistant()
    payload = home.command(entity, value).encode()
    message = Message(entity.config["command_topic"], payload)

    asked = addressed(message)
    assert asked is not None
    asked, body = identified(asked, payload)
    request = checked(asked, body, retained=False, now=None)
    assert (asked.user, asked.op, asked.service) == ("homeassistant", "patch", service)
    assert not asked.derived
    assert request.config is not None
    assert set(request.config) == {key}
    field = CONFIGS[service].model_fields[key]
    _, problems = validate_config(service, {**CONFIGS[service]().model_dump(), **request.config})
    # Rules between two settings depend on the other one's value, which nobody told anybody.
    others = CONFIGS[service].model_fields.keys() - {key}
    wrong = [problem.problem for problem in problems if problem.key == key]
    assert [text for text in wrong if not any(other in text for other in others)] == []
    got = request.config[key]
    if isinstance(value, str) and entity.platform in ("text", "select"):
        assert got == (value or None if shape_of(field).nullable else value)


def test_the_same_change_twice_is_two_requests() -> None:
    home, entity = a_home_assistant(), entity_of("tts-worker", "tts_pipeline")

    assert home.command(entity, "true") != home.command(entity, "true")


class Odd(ServiceConfigModel):
    """One of each kind that a setting can be."""

    token: SecretSetting | None = setting(None, "Token", "A secret.")
    folder: PathSetting = setting("/tmp", "Folder", "A path.")
    open_end: int = setting(3, "Open", "A number without bounds.")
    share: float = setting(0.5, "Share", "More than nothing.", gt=0, lt=1)
    maybe: int | None = setting(None, "Maybe", "A number or null.", ge=0, le=5)
    choice: Literal["a", "b"] | None = setting(None, "Choice", "One or null.")
    quoted: str = setting("x", 'Say "hi"', "A text.", max_length=20)


def test_kinds_that_no_service_has_yet_have_valid_entities_as_well() -> None:
    made = discovery.device("odd", Odd, {}, "1.2.3")

    check_device(json.loads(made.encode()))
    assert "token" not in made.cmps
    assert {"folder", "open_end", "share", "maybe", "choice", "quoted"} <= made.cmps.keys()


def test_a_secret_and_what_is_left_out_are_in_no_state() -> None:
    config = {**CONFIGS["llm-worker"]().model_dump(), "api_key": {"$secret": {"ct": "canary"}}}
    state = settings.shown("llm-worker", CONFIGS["llm-worker"], config).encode()

    assert b"canary" not in state
    assert b"api_key" not in state
    prompt = settings.shown("router", CONFIGS["router"], CONFIGS["router"]().model_dump())
    assert "system_prompt" not in prompt.settings


def test_a_text_too_long_for_home_assistant_is_cut_where_one_sees_it() -> None:
    config = {**CONFIGS["router"]().model_dump(), "line_slow": "ä" * 300}
    shown = settings.shown("router", CONFIGS["router"], config).settings["line_slow"]

    assert isinstance(shown, str)
    assert (len(shown), shown[-1]) == (255, "…")


# Sensors


def health(status: str, **more: Any) -> Health:
    return Health(
        service="stt-worker", instance="stt-worker", status=status, ok=status == "healthy",
        ready=True, version="1.2.3", boot=new_id(), conn=1, seq=1, interval_s=5.0,
        issued_at="2026-01-02T03:04:05.000006Z", event="heartbeat", **more,
    )  # fmt: skip


def sensor(key: str, service: str = "stt-worker") -> Entity:
    made = discovery.device(service, CONFIGS[service], {service: 5.0}, "1.2.3")
    return Entity(f"parlour-{service}", key, json.loads(made.cmps[key].encode()))


@pytest.mark.parametrize("status", sensors.STATUSES)
def test_health_is_shown_with_its_error(status: str) -> None:
    home, entity = a_home_assistant(), sensor("health_stt-worker")
    error = WireError(code="MODEL_MISSING", message="no model", hint="parlour models pull")
    said = health(status, err=None if status == "healthy" else error)

    feed(home, entity, HEALTH.topic(instance="stt-worker"), said.encode())

    assert (entity.state, home.complaints) == (status, [])
    assert entity.attributes["error"] == (None if status == "healthy" else "MODEL_MISSING")
    assert entity.config["expire_after"] == 15


def test_times_are_there_while_an_instance_lives_and_keep_what_a_turn_did_not_have() -> None:
    home, entity = a_home_assistant(), sensor("transcribe_ms")
    topic = TURN_LATENCY.topic(site="kitchen")
    turn = TurnLatency(
        turn_id=new_id(), outcome="replied", timings=TurnTimings(transcribe_ms=812.3456)
    )
    typed = TurnLatency(turn_id=new_id(), outcome="replied")

    assert not entity.available
    feed(home, entity, HEALTH.topic(instance="stt-worker"), health("healthy").encode())
    assert entity.available
    feed(home, entity, topic, turn.encode())
    feed(home, entity, topic, typed.encode())
    assert (entity.state, home.complaints) == ("812.3", [])
    feed(home, entity, HEALTH.topic(instance="stt-worker"), health("offline").encode())
    assert not entity.available


def test_every_part_of_a_turn_s_time_belongs_to_one_service() -> None:
    named = [key for parts in sensors.TIMES.values() for key in parts]

    assert sorted(named) == sorted(TurnTimings.model_fields)


def test_a_refused_change_says_why() -> None:
    home, entity = a_home_assistant(), sensor("refused")
    answer = ConfigAnswer(
        status="rejected", code=422, op="patch", service="stt-worker", transaction="t",
        error="VALIDATION_FAILED", message="a value is wrong",
    )  # fmt: skip
    more = answer.model_copy(
        update={"details": [Problem(key="beam_size", problem="too large", allowed="1 to 5")]}
    )
    topic = CONFIG_REJECTED.topic(user="homeassistant", op="patch", config="stt-worker")
    assert matches(entity.config["state_topic"], topic)

    feed(home, entity, topic, answer.encode())
    assert entity.state == "VALIDATION_FAILED: a value is wrong"
    feed(home, entity, topic, more.encode())
    assert entity.state == "VALIDATION_FAILED: beam_size too large"


@pytest.mark.parametrize(
    ("ok", "mode", "event", "state"),
    [
        (True, "normal", "heartbeat boot=x", "healthy"), (False, "normal", None, "degraded"),
        (False, "read-only-fallback", "birth boot=x", "unhealthy"),
        (False, "normal", "lwt boot=x", "offline"), (False, "normal", "stopping boot=x", "offline"),
    ],
)  # fmt: skip
def test_config_manager_s_health_is_told_in_the_words_of_the_others(
    ok: bool, mode: str, event: str | None, state: str
) -> None:
    home = a_home_assistant()
    said = {"ok": ok, "operational_mode": mode, "event": event, "database_status": "healthy"}
    component = json.loads(discovery.keeper("1.2.3").cmps["health"].encode())
    value = SimpleNamespace(**said)

    assert home.rendered(component["value_template"], value_json=value.__dict__) == state
    there = settings.KEEPER_THERE.value_template
    expected = "offline" if state == "offline" else "online"
    assert home.rendered(there, value_json=said) == expected
