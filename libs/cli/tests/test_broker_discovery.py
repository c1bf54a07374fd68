"""The access list follows the prefix that Home Assistant was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from parlour_cli.broker.choice import choose_broker
from parlour_cli.broker.discovery import discovery_prefix
from parlour_cli.broker.errors import BrokerError
from parlour_cli.broker.mosquitto import find_mosquitto

KEEPER = {"config-manager": "config-manager"}


def acl(folder: Path) -> str:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    choose_broker("mosquitto", 0, folder, KEEPER, ["homeassistant"])
    return (folder / "broker" / "acl").read_text(encoding="utf-8")


def test_home_assistant_s_account_sees_devices_and_says_that_it_is_there(tmp_path: Path) -> None:
    its_own = acl(tmp_path).partition("user homeassistant\n")[2]

    assert "topic read homeassistant/device/+/config" in its_own
    assert "topic write homeassistant/status" in its_own
    assert "voice/+/say" not in its_own


def test_another_prefix_is_in_the_access_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME_ASSISTANT_PREFIX", "smart_home")

    text = acl(tmp_path)
    assert "topic write smart_home/device/+/config" in text
    assert "homeassistant/" not in text


@pytest.mark.parametrize("prefix", ["a/b", "#", "+", "a b", "x\ntopic readwrite #", "ä"])
def test_a_prefix_that_is_no_level_is_refused(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_ASSISTANT_PREFIX", prefix)

    with pytest.raises(BrokerError):
        discovery_prefix()
