"""A secret reaches the one service that it is sealed for, or comes from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from parlour_config.client.reading import SettingsReader
from parlour_config.errors import RefusedUpdateError
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.fields import setting
from parlour_contracts.config.marks import SecretSetting
from parlour_testkit import ConfigAuthority, MemoryBroker

CANARY = "canary-0123456789"


class Example(ServiceConfigModel):
    size: int = setting(1, "Size", "A number.", ge=1, le=9)
    api_key: SecretSetting | None = setting(None, "Key", "A secret.")


@pytest.fixture
def authority(broker: MemoryBroker) -> ConfigAuthority:
    return ConfigAuthority(broker.client("config-manager"))


def read(
    authority: ConfigAuthority, config: Mapping[str, Any], env: Mapping[str, str] | None = None
) -> Example:
    reader = SettingsReader("llm-worker", Example, env or {})
    return reader.read(config, authority.keys("llm-worker").service_keys)


@pytest.mark.req("C068")
async def test_a_sealed_secret_is_opened_for_its_service(authority: ConfigAuthority) -> None:
    sealed = authority.seal("llm-worker", "api_key", CANARY)

    assert read(authority, {"size": 2, "api_key": sealed}).api_key == CANARY
    assert read(authority, {"size": 2, "api_key": None}).api_key is None
    assert read(authority, {"size": 2}).api_key is None


@pytest.mark.req("C068")
async def test_a_secret_that_is_not_sealed_for_this_place_is_unreadable(
    authority: ConfigAuthority,
) -> None:
    """Threat 17; and a secret in clear is refused as well."""
    wrong = [
        authority.seal("tts-worker", "api_key", CANARY),
        authority.seal("llm-worker", "other", CANARY),
        {"$secret": {"kid": "a", "nonce": "b", "ct": "c"}},
        CANARY,
        7,
    ]
    for sealed in wrong:
        with pytest.raises(RefusedUpdateError) as caught:
            read(authority, {"api_key": sealed})
        assert caught.value.code == "SECRET_UNREADABLE"
        assert CANARY not in str(caught.value)


async def test_a_sealed_value_of_a_setting_that_is_no_secret_is_refused(
    authority: ConfigAuthority,
) -> None:
    with pytest.raises(RefusedUpdateError, match="size"):
        read(authority, {"size": authority.seal("llm-worker", "size", "2")})


@pytest.mark.req("C068", "X9")
async def test_a_secret_of_the_environment_counts_most(authority: ConfigAuthority) -> None:
    sealed = authority.seal("llm-worker", "api_key", CANARY)
    env = {"CONFIG_ENV_API_KEY": "from-the-environment", "CONFIG_ENV_SIZE": "9"}

    found = read(authority, {"size": 2, "api_key": sealed}, env)

    assert found.api_key == "from-the-environment"
    assert found.size == 2, "only secrets may come from the environment"
    reader = SettingsReader("llm-worker", Example, env)
    assert reader.defaults().api_key == "from-the-environment"
    assert reader.from_environment


async def test_a_refused_setting_is_named_and_its_value_is_not(authority: ConfigAuthority) -> None:
    with pytest.raises(RefusedUpdateError) as caught:
        read(authority, {"size": CANARY, "surprise": CANARY})

    assert caught.value.code == "SCHEMA_INVALID"
    assert "size" in str(caught.value)
    assert "surprise" in str(caught.value)
    assert CANARY not in str(caught.value)
