"""Unit: why `parlour up` does not begin, in words and with an exit code for supervisors."""

from __future__ import annotations

import pytest
from parlour_cli.keys.making import ensure_keys
from parlour_cli.keys.places import keys_dir, users_file
from parlour_cli.up.command import up
from parlour_cli.up.policy import BAD_CONFIGURATION


@pytest.fixture
def no_broker(monkeypatch):
    """The start must end before a broker is looked for."""
    monkeypatch.setattr(
        "parlour_cli.up.command.choose_broker", lambda *_: pytest.fail("a broker was chosen")
    )


pytestmark = pytest.mark.usefixtures("no_broker")


@pytest.mark.req("C069")
def test_keys_that_cannot_be_stored_are_printed_once_with_what_to_do(tmp_path, capsys):
    keys_dir(tmp_path).write_text("a file in the way")
    assert up(data=tmp_path) == BAD_CONFIGURATION

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: the keys of the fleet cannot be stored")
    assert "shown again" in shown.err
    assert shown.err.count("CONFIG_MASTER_KEY=") == 1
    assert f"# --- {keys_dir(tmp_path) / 'router/keys.env'} ---" in shown.err
    assert "Traceback" not in shown.err
    assert keys_dir(tmp_path).read_text() == "a file in the way"


def test_keys_that_were_lost_are_not_made_anew_in_silence(tmp_path, capsys):
    ensure_keys(tmp_path)
    (keys_dir(tmp_path) / "config-manager.env").unlink()
    assert up(data=tmp_path) == BAD_CONFIGURATION

    err = capsys.readouterr().err
    assert "config-manager.env is gone" in err
    assert "backup" in err
    assert not (keys_dir(tmp_path) / "config-manager.env").exists()


def test_a_key_file_that_is_wrong_is_named_without_its_values(tmp_path, capsys):
    ensure_keys(tmp_path)
    path = keys_dir(tmp_path) / "config-manager.env"
    path.write_text(path.read_text().replace("CONFIG_MASTER_KEY=", "CONFIG_MASTER_KEY=hunter2"))
    assert up(data=tmp_path) == BAD_CONFIGURATION

    err = capsys.readouterr().err
    assert "CONFIG_MASTER_KEY" in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[{}]", "wrong at 0.name"),
        ('[{"name":"admin","role":"admin"},{"name":"router","role":"read"}]', "named router"),
    ],
)
def test_a_users_file_that_is_wrong_is_told_in_words(tmp_path, capsys, content, said):
    ensure_keys(tmp_path)
    users_file(tmp_path).write_text(content)
    assert up(data=tmp_path) == BAD_CONFIGURATION
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [('{"speed": 9000}', "speed"), ('{"sped": 1}', "sped"), ('{"speed": "fast"}', "speed")],
)
def test_settings_to_begin_with_that_no_service_takes_end_it(tmp_path, capsys, content, said):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tts-worker.json").write_text(content)
    assert up(data=tmp_path) == BAD_CONFIGURATION

    err = capsys.readouterr().err
    assert f"tts-worker.json: {said} " in err
    assert "mend or remove it" in err
