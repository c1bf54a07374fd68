"""The commands themselves: what is printed, and the exit code."""

import json
import socket

import numpy as np
import pytest
from parlour_audio import read_wav, wav_bytes
from parlour_cli.broker.running import RunRecord, holding, publish_record
from parlour_cli.broker.users import ensure_users
from parlour_cli.talk import asking, commands
from parlour_cli.talk.client import Outcome
from parlour_cli.talk.timings import Timings
from parlour_contracts.messages.llm import WireError
from rich.console import Console

KEYS = ["transcript", "reply", "reply_wav", "session_id", "turn_id", "timings", "error"]
TIMINGS = [
    "speech_end_to_final_ms", "final_to_first_token_ms", "first_token_to_first_sentence_ms",
    "first_sentence_to_first_audio_ms", "speech_end_to_first_audio_ms",
]  # fmt: skip


def outcome(error=None, seconds=1.0):
    sound = np.full(round(16_000 * seconds), 1000, np.int16)
    return Outcome("turn", "session", "what's the time", "It is noon.", sound, 16_000,
                   Timings(500.0, 100.0, 50.0, 150.0, 800.0), error)  # fmt: skip


def ask_json(capsys, **arguments):
    code = commands.ask(as_object=True, **arguments)
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "WAV_INVALID"),
        (wav_bytes(np.zeros(0, np.int16), 16_000), "WAV_EMPTY"),
        (wav_bytes(np.ones(16_000, np.int16), 16_000)[:9000], "WAV_TRUNCATED"),
        (wav_bytes(np.zeros(600 * 8000, np.int16), 8000), "WAV_TOO_LONG"),
    ],
)
def test_a_hostile_recording_is_refused_before_anything_is_sent(tmp_path, capsys, content, code):
    wav = tmp_path / "q.wav"
    wav.write_bytes(content)
    exit_code, found = ask_json(capsys, wav=wav, data=tmp_path)

    assert exit_code == 2
    assert found["error"]["code"] == code
    assert commands.ask(wav=wav, data=tmp_path) == 2
    assert code in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "USAGE"),
        ({"text": ""}, "TEXT_INVALID"),
        ({"text": "x" * 5001}, "TEXT_INVALID"),
        ({"text": "hello", "site": "Küche"}, "SITE_INVALID"),
        ({"text": "hello", "site": "#"}, "SITE_INVALID"),
    ],
)
def test_a_wrong_call_is_told_in_the_same_form(tmp_path, capsys, arguments, code):
    exit_code, found = ask_json(capsys, data=tmp_path, **arguments)

    assert exit_code == 2
    assert list(found) == KEYS
    assert list(found["timings"]) == TIMINGS
    assert found["error"]["code"] == code
    assert set(found["error"]) == {"code", "message", "hint"}


def test_without_a_fleet_each_command_says_how_to_start_one(tmp_path, capsys):
    code, found = ask_json(capsys, text="hello", data=tmp_path)
    assert (code, found["error"]["code"]) == (1, "NOT_RUNNING")
    for command in (
        lambda: commands.ask(text="hello", data=tmp_path),
        lambda: commands.say("kitchen", "hello", data=tmp_path),
        lambda: commands.watch(data=tmp_path),
    ):
        assert command() == 1
        assert "parlour up" in capsys.readouterr().err


def test_a_broker_that_does_not_answer_is_a_clear_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("parlour_cli.talk.connect.CONNECT_S", 0.5)
    with socket.socket() as taken, holding(tmp_path):
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ensure_users(tmp_path, ["admin"])
        publish_record(tmp_path, RunRecord(
            pid=1, port=port, url=f"mqtt://127.0.0.1:{port}", broker="foreign",
            started_at="2026-01-01T00:00:00.000000Z", anonymous=True,
        ))  # fmt: skip
        code, found = ask_json(capsys, text="hello", data=tmp_path)

    assert (code, found["error"]["code"]) == (1, "FLEET_UNREACHABLE")


def test_an_answered_question_is_one_object_and_its_sound_is_kept(tmp_path, capsys):
    out = tmp_path / "reply.wav"
    code = asking.finish(outcome(), out, None)
    found = json.loads(capsys.readouterr().out)

    assert code == 0
    assert list(found) == KEYS
    assert found["reply_wav"] == str(out)
    assert found["error"] is None
    assert found["timings"]["speech_end_to_first_audio_ms"] == 800.0
    assert read_wav(out).duration_s == 1.0


def test_without_json_the_waterfall_and_the_place_of_the_answer_are_shown(tmp_path, capsys):
    code = asking.finish(outcome(), tmp_path / "my [reply].wav", Console(width=40))
    shown = capsys.readouterr().out

    assert code == 0
    assert "end of speech → first sound" in shown
    assert "800 ms" in shown
    assert "my [reply].wav" in shown.replace("\n", "")


def test_a_spoken_apology_is_kept_but_the_exit_code_is_that_of_a_failure(tmp_path, capsys):
    error = WireError(code="LLM_AWAY", message="the model is away", hint="wait")
    out = tmp_path / "reply.wav"

    assert asking.finish(outcome(error), out, None) == 1
    assert json.loads(capsys.readouterr().out)["error"] == {
        "code": "LLM_AWAY", "message": "the model is away", "hint": "wait",
    }  # fmt: skip
    assert out.exists()


def test_an_answer_that_cannot_be_kept_is_told(tmp_path, capsys):
    code = asking.finish(outcome(), tmp_path / "none" / "reply.wav", None)

    assert code == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "OUT_UNWRITABLE"
