"""A satellite as a stranger starts one: `parlour prepare`, `parlour up`, a wake word, an answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parlour_audio.frames import to_pcm16
from parlour_audio.wav import write_wav
from parlour_cli.broker.users import secret_file
from parlour_cli.keys.places import keys_dir
from parlour_cli.prepare.accounts import prepare
from parlour_config.keyfolder import service_path
from parlour_testkit.brokers import find_mosquitto
from story_up import PARLOUR, Up, parlour_up
from test_story_wake import say

pytestmark = [pytest.mark.model, pytest.mark.broker]
ROOM = "kitchen"


@pytest.fixture(scope="module")
def up(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    data = tmp_path_factory.mktemp("sat") / "data"
    prepare(data, [ROOM])
    with parlour_up(data, models_dir, "--broker", "mosquitto") as running:
        yield running


@contextmanager
def satellite(up: Up, wav: Path) -> Iterator[subprocess.Popen[str]]:
    url = json.loads((up.data / "run" / "up.json").read_text())["url"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "CONFIG_"))}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "satellite"],
        env={
            **kept, "INSTANCE": ROOM, "DATA_DIR": str(up.data), "MQTT_URL": url, "MQTT_USER": ROOM,
            "MQTT_PASSWORD_FILE": str(secret_file(up.data, ROOM)), "AUDIO_WAV": str(wav),
            "CONFIG_KEYS_FILE": str(service_path(keys_dir(up.data), "satellite")),
        },
        cwd=wav.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=15)
    assert process.returncode == 0, log
    assert "light" not in log, "what was said is in no log"


@contextmanager
def watching(up: Up, path: Path) -> Iterator[Path]:
    """Every event of the room, one JSON line each."""
    with path.open("w") as file:
        process = subprocess.Popen(
            [*PARLOUR, "watch", "--json", "--site", ROOM, "--data", str(up.data)], stdout=file
        )
        try:
            yield path
        finally:
            process.terminate()
            process.wait(timeout=10)


def told(path: Path, topic: str) -> list[dict[str, Any]]:
    """The messages of a topic so far; a line that is being written is left for later."""
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    events = [json.loads(line) for line in lines]
    return [event["message"] for event in events if event["topic"] == topic]


def until(path: Path, topic: str, **wanted: Any) -> dict[str, Any]:
    """Wait for a message, also one that is already there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for message in told(path, topic):
            if wanted.items() <= message.items():
                return message
        time.sleep(0.2)
    raise AssertionError(f"no {topic} with {wanted}: {path.read_text()[-3000:]}")


@pytest.mark.req("R001", "R019", "C085")
def test_a_spoken_wake_word_and_a_question_are_heard_answered_and_played_to_the_end(
    up: Up, data_dir: Path, tmp_path: Path
) -> None:
    words = asyncio.run(say("Okay Nabu, turn on the light in the kitchen.", data_dir))
    wav = tmp_path / "question.wav"
    write_wav(wav, to_pcm16((words / np.abs(words).max() * 0.5).astype(np.float32)), 16_000)

    with watching(up, tmp_path / "events") as events, satellite(up, wav):
        final = until(events, "transcript", kind="final")
        assert "turn on the light" in final["text"].lower()
        trace = until(events, "turn_trace", outcome="replied")
        assert trace["turn_id"] == final["turn_id"]
        until(events, "health", instance=ROOM, status="healthy")
        until(events, "room_state", state="RESPONDING")
        end = time.monotonic() + 30
        while told(events, "room_state")[-1]["state"] != "LISTENING":
            assert time.monotonic() < end, "the loudspeaker never told its end"
            time.sleep(0.2)

        done = subprocess.run(
            [*PARLOUR, "config", "set", "satellite", "volume_percent=40", "--data", str(up.data)],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert "accepted" in done.stdout, done.stderr
