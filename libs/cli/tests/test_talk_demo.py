"""The demo: what it starts it stops, and what is missing it names."""

import asyncio
import os
import sys

import pytest
from parlour_cli.talk import commands
from parlour_cli.talk.demo import DemoError, started
from rich.console import Console

READY = """
import os, sys, time
print("stt-worker     | something at length", flush=True)
open(sys.argv[1], "w").write(str(os.getpid()))
print("parlour: ready in 0.1 s at mqtt://127.0.0.1:1", flush=True)
time.sleep(60)
"""


def run(coroutine):
    """On a real loop: real processes are started."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(coroutine)


async def start(script, tmp_path, *arguments):
    log = tmp_path / "my logs" / "up.log"
    command = [sys.executable, "-c", script, *arguments]
    async with started(command, log, Console(width=200)):
        return log.read_text()


def test_a_fleet_is_waited_for_and_stopped_again(tmp_path, capfd):
    told = tmp_path / "pid"
    log = run(start(READY, tmp_path, str(told)))
    shown = capfd.readouterr().out

    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
    assert "something at length" in log
    assert "ready in 0.1 s" in shown
    assert "something at length" not in shown
    assert (tmp_path / "my logs" / "up.log").stat().st_mode & 0o777 == 0o600


def test_a_fleet_that_ends_at_once_is_told_with_the_place_of_its_log(tmp_path, capfd):
    with pytest.raises(DemoError, match="ended") as caught:
        run(start("print('parlour: error: no room')", tmp_path))

    assert "up.log" in caught.value.hint
    assert "no room" in capfd.readouterr().out


def test_a_fleet_that_is_never_ready_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("parlour_cli.talk.demo.READY_S", 0.5)
    with pytest.raises(DemoError, match="not ready"):
        run(start("import time; time.sleep(60)", tmp_path))


def test_missing_models_are_named_with_the_command_that_brings_them(tmp_path, capsys):
    data = tmp_path / "my data"

    assert commands.demo(data=data) == 1
    told = capsys.readouterr().err
    assert "MODEL_MISSING" in told
    assert f"parlour models pull --starter --data '{data}'" in told


def test_a_hostile_recording_is_refused_before_the_fleet_is_started(tmp_path, capsys):
    wav = tmp_path / "q.wav"
    wav.write_bytes(b"RIFF")

    assert commands.demo(wav=wav, data=tmp_path) == 2
    assert "WAV_INVALID" in capsys.readouterr().err
