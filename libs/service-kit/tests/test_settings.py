"""The settings of a process: complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from parlour_kit.errors import StartupError
from parlour_kit.settings import ProcessSettings, load_settings
from pydantic import SecretStr


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ProcessSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.req("F5")
def test_user_and_password_of_the_url_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_URL", "mqtt://stt-worker:p%40ss@broker:1884")
    monkeypatch.setenv("DATA_DIR", "/data")

    options = load_settings(ProcessSettings).mqtt_options()

    assert (options.host, options.port) == ("broker", 1884)
    assert (options.user, options.password) == ("stt-worker", "p@ss")
    assert "p@ss" not in repr(options)


def test_the_password_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-the-file\n")
    monkeypatch.setenv("MQTT_URL", "mqtts://broker")
    monkeypatch.setenv("MQTT_USER", "router")
    monkeypatch.setenv("MQTT_PASSWORD_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("DATA_DIR", "/data")

    options = load_settings(ProcessSettings).mqtt_options()

    assert (options.port, options.tls) == (8883, True)
    assert (options.user, options.password) == ("router", "from-the-file")


@pytest.mark.req("D018", "F44")
def test_names_and_levels_may_be_written_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("mqtt_url", "mqtt://broker")
    monkeypatch.setenv("DATA_DIR", "/data")
    monkeypatch.setenv("LOG_LEVEL", "debug")

    assert load_settings(ProcessSettings).log_level == "DEBUG"


@pytest.mark.req("P001", "P007")
def test_every_problem_is_named_at_once_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_URL", "redis://canary:secret@host")
    monkeypatch.setenv("LOG_LEVEL", "CANARY")

    with pytest.raises(StartupError) as caught:
        load_settings(ProcessSettings)

    text = str(caught.value)
    assert all(name in text for name in ("MQTT_URL", "LOG_LEVEL", "DATA_DIR"))
    assert "secret" not in text
    assert "CANARY" not in text


def test_a_password_is_never_shown() -> None:
    settings = ProcessSettings(
        mqtt_url="mqtt://u:canary@h", mqtt_password="canary", data_dir=Path("/")
    )

    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)


@pytest.mark.req("D010")
def test_every_secret_of_the_settings_is_one_that_no_log_may_hold(tmp_path: Path) -> None:
    class Settings(ProcessSettings):
        api_key: SecretStr = SecretStr("key-of-an-api")

    (tmp_path / "secret").write_text("from-the-file\n")
    common = {"mqtt_password": "of-its-own", "data_dir": tmp_path}
    inside = Settings(mqtt_url="mqtt://u:p%40ss@h", **common)
    beside = Settings(mqtt_url="mqtt://h", mqtt_password_file=tmp_path / "secret", **common)
    (tmp_path / "secret").unlink()

    assert set(inside.secrets()) == {"of-its-own", "key-of-an-api", "p@ss"}
    assert set(beside.secrets()) == {"of-its-own", "key-of-an-api"}, "the file is gone"
