"""What is known of every setting comes from its model, and covers every model."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

import pytest
from parlour_contracts.base import NAME_PATTERN
from parlour_contracts.config import (
    CONFIGS,
    MASK,
    PathSetting,
    RouterConfig,
    SecretSetting,
    ServiceConfigModel,
    allowed_of,
    apply_of,
    bare_key,
    fields_of,
    full_key,
    needs_reload,
    secret_keys,
    setting,
    type_of,
)
from parlour_contracts.messages.configuration import (
    KEY_PATTERN,
    ConfigComplexity,
    ConfigFieldMetadata,
    ConfigItem,
    ConfigType,
    ServiceConfig,
)
from pydantic import Field, ValidationError

MOMENT = "2026-01-02T03:04:05.000006Z"
EPOCH = "550e8400-e29b-41d4-a716-446655440000"


class Everything(ServiceConfigModel):
    """One field of each kind."""

    text: Annotated[str, Field(pattern=r"^a+$", max_length=5)] = setting("a", "Text", "Some text.")
    count: int = setting(3, "Count", "How many.", gt=0, lt=10, complexity="simple")
    share: float = setting(0.5, "Share", "How much.", gt=0, le=1)
    flag: bool = setting(True, "Flag", "Whether.")
    choice: Literal["one", "two"] = setting("one", "Choice", "Which.", apply="reload")
    folder: PathSetting | None = setting(None, "Folder", "Where.")
    token: SecretSetting | None = setting(
        None, "Token", "A secret.", help_text="From the provider's page.", apply="reload"
    )


def field(name: str) -> ConfigFieldMetadata:
    return next(f for f in fields_of("every-thing", Everything) if f.key.endswith(f".{name}"))


@pytest.mark.req("C003", "C005")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text", ConfigType.STRING),
        ("count", ConfigType.INTEGER),
        ("share", ConfigType.FLOAT),
        ("flag", ConfigType.BOOLEAN),
        ("choice", ConfigType.ENUM),
        ("folder", ConfigType.PATH),
        ("token", ConfigType.SECRET),
    ],
)
def test_the_kind_of_a_setting_comes_from_its_annotation(name, kind):
    assert field(name).type is kind
    assert type_of(Everything.model_fields[name]) is kind
    assert field(name).is_secret is (kind is ConfigType.SECRET)


@pytest.mark.req("C005")
def test_bounds_pattern_and_choices_of_a_setting_are_known():
    count, share = field("count"), field("share")

    assert (count.validation_min, count.validation_max) == (1, 9)
    assert (share.validation_min, share.validation_max) == (0, 1)
    assert field("text").validation_pattern == "^a+$"
    assert field("choice").validation_allowed == ["one", "two"]
    assert field("token").help_text == "From the provider's page."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text", "at most 5 characters, text that matches ^a+$"),
        ("count", "1 to 9"),
        ("share", "more than 0, at most 1"),
        ("flag", "true or false"),
        ("choice", "one, two"),
        ("folder", "1 to 300 characters, or null"),
    ],
)
def test_what_a_setting_takes_can_be_said_in_words(name, words):
    assert allowed_of(Everything.model_fields[name]) == words


@pytest.mark.req("C002", "C005")
def test_a_field_is_simple_only_where_its_model_says_so():
    assert field("count").complexity is ConfigComplexity.SIMPLE
    assert field("share").complexity is ConfigComplexity.ADVANCED


@pytest.mark.req("C085")
def test_every_setting_says_whether_a_change_is_live_or_needs_an_engine():
    assert apply_of(Everything.model_fields["choice"]) == "reload"
    assert apply_of(Everything.model_fields["count"]) == "live"
    for model in CONFIGS.values():
        for name, info in model.model_fields.items():
            extra = info.json_schema_extra
            assert isinstance(extra, dict), name
            assert extra["apply"] == apply_of(info)


@pytest.mark.req("C085")
def test_a_change_needs_an_engine_only_where_a_setting_of_the_engine_changes():
    before = Everything()

    assert not needs_reload(before, Everything(count=4, text="aa"))
    assert needs_reload(before, Everything(choice="two"))
    assert needs_reload(before, Everything(token="correct horse battery"))


@pytest.mark.req("C002", "C004", "C005", "C048", "C049")
@pytest.mark.parametrize("service", CONFIGS)
def test_every_setting_of_every_service_is_described(service):
    fields = fields_of(service)

    assert re.fullmatch(NAME_PATTERN, service)
    assert [bare_key(service, f.key) for f in fields] == list(CONFIGS[service].model_fields)
    assert any(f.complexity is ConfigComplexity.SIMPLE for f in fields)
    for f in fields:
        assert re.fullmatch(KEY_PATTERN, f.key)
        assert len(f.key) <= 128
        assert f.description.strip()
        assert f.service == service
        assert f.secret_source is None
        assert ConfigFieldMetadata.model_validate_json(f.model_dump_json()) == f


@pytest.mark.parametrize(
    ("service", "key", "full"),
    [
        ("stt-worker", "whisper_model", "stt.whisper_model"),
        ("router", "history_messages", "router.history_messages"),
        ("config-manager", "a", "config_manager.a"),
    ],
)
def test_a_key_is_known_with_and_without_the_prefix_of_its_service(service, key, full):
    assert full_key(service, key) == full
    assert bare_key(service, full) == bare_key(service, key) == key


def test_a_setting_that_is_neither_text_nor_number_nor_choice_is_refused():
    class Odd(ServiceConfigModel):
        items: list[int] = setting([], "Items", "A list.")

    with pytest.raises(TypeError, match="a setting cannot be"):
        fields_of("odd", Odd)


def test_a_setting_of_two_types_is_refused():
    class Odd(ServiceConfigModel):
        either: int | str = setting(1, "Either", "Both.")

    with pytest.raises(TypeError, match="one type"):
        fields_of("odd", Odd)


def test_secrets_are_known_by_their_keys():
    assert secret_keys("every-thing", Everything) == {"token"}
    assert secret_keys("router") == frozenset()


@pytest.mark.req("C031")
def test_a_secret_is_in_no_text_form_of_its_settings():
    settings = Everything(token="correct horse battery")

    assert MASK in repr(settings)
    assert "horse" not in repr(settings) + str(settings)
    assert "token=None" in repr(Everything())


def test_a_secret_is_in_no_error_about_it():
    with pytest.raises(ValidationError) as caught:
        Everything(token="too short")

    assert "too short" not in str(caught.value)


@pytest.mark.req("C031")
def test_the_schema_says_what_is_secret():
    schema = Everything.model_json_schema()["properties"]["token"]
    kinds = schema["anyOf"]

    assert {"secret": True, "writeOnly": True, "format": "password"}.items() <= kinds[0].items()
    assert json.dumps(schema)


@pytest.mark.req("C006", "C007")
def test_stored_models_of_a_service_fit_its_settings():
    config = RouterConfig().model_dump()
    stored = ServiceConfig.model_validate_json(
        json.dumps(
            {"service": "router", "config": config, "updated_at": MOMENT, "config_epoch": EPOCH}
        )
    )
    assert RouterConfig.model_validate(stored.config) == RouterConfig()
    for f in fields_of("router"):
        key = bare_key("router", f.key)
        ConfigItem.model_validate_json(
            json.dumps(
                {
                    "service": "router",
                    "key": key,
                    "value_json": json.dumps(config[key]),
                    "type": f.type,
                    "complexity": f.complexity,
                    "description": f.description,
                    "updated_at": MOMENT,
                }
            )
        )
