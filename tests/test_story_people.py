"""The settings of a running fleet are changed with Mosquitto's own clients, real models and all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parlour_audio.frames import to_float
from parlour_audio.wav import read_wav
from story_clients import Person, need_clients
from story_models import EARS, MIND, VOICE, with_second_models
from story_up import Up, parlour_up

pytestmark = [pytest.mark.model, pytest.mark.broker, pytest.mark.timeout(600)]
PIRATE = "You are a pirate. Answer every question with: Arr, matey!"
SENTENCE = "Say exactly this: the kettle is on the stove"


@pytest.fixture(scope="module")
def up(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A fleet on the mosquitto binary that answers with the likeliest words."""
    need_clients()
    data = tmp_path_factory.mktemp("settings") / "my data"
    with_second_models(data, models_dir)
    (data / "config").mkdir(mode=0o700)
    (data / "config" / "llm-worker.json").write_text('{"temperature": 0.0, "max_tokens": 40}')
    with parlour_up(data, models_dir, "--broker", "mosquitto") as running:
        yield running


@pytest.fixture
def admin(up: Up) -> Person:
    return Person(up.data)


def reply(up: Up, out: Path, text: str = SENTENCE) -> tuple[float, float, dict[str, Any]]:
    """Loudness (RMS), length in seconds and the outcome of a spoken reply."""
    code, answer = up.ask("--text", text, "--out", str(out))
    assert code == 0, answer
    sound = read_wav(out)
    samples = to_float(sound.mono())
    loud = samples[np.abs(samples) > 0.001]
    return float(np.sqrt(np.mean(loud**2))), len(samples) / sound.rate, answer


@pytest.mark.req("C025", "C035", "C085", "F1", "F2", "SC003", "F6")
def test_a_change_of_volume_is_accepted_signed_applied_and_heard_and_so_is_its_rollback(
    up: Up, admin: Person, tmp_path: Path
) -> None:
    loud, _, _ = reply(up, tmp_path / "loud.wav")
    before = admin.request("get", "tts-worker", {})["data"]["metadata"]["version"]

    answer = admin.change("tts-worker", volume_percent=40)

    assert answer["data"]["new_version"] == before + 1
    keeper = Person(up.data, "config-manager")
    signed = keeper.retained("system/config/tts-worker")
    assert signed["config"]["volume_percent"] == 40
    assert signed["issued_at"] == answer["issued_at"]
    assert len(signed) == 7
    quiet, _, _ = reply(up, tmp_path / "quiet.wav")
    assert quiet < 0.55 * loud

    back = admin.request("rollback", "tts-worker", {"to_version": before, "version": before + 1})
    assert back["status"] == "accepted", back
    admin.applied("tts-worker", back["issued_at"])
    again, _, _ = reply(up, tmp_path / "again.wav")
    assert again == pytest.approx(loud, rel=0.15)


@pytest.mark.req("C020", "C085")
def test_another_voice_speaks_the_next_sentence_while_a_conversation_runs(
    up: Up, admin: Person, tmp_path: Path
) -> None:
    _, short, _ = reply(up, tmp_path / "first.wav")
    failures: list[str] = []
    asking = threading.Thread(target=talk, args=(up, tmp_path, 3, failures))
    asking.start()

    admin.change("tts-worker", piper_voice=VOICE)
    asking.join()

    assert failures == []
    _, long, _ = reply(up, tmp_path / "second.wav")
    assert long > 1.25 * short
    admin.change("tts-worker", piper_voice="en_US-joe-medium")


@pytest.mark.req("C011", "C085", "F6")
def test_another_whisper_model_takes_over_between_turns_and_no_turn_is_lost(
    up: Up, admin: Person, recordings: Path, tmp_path: Path
) -> None:
    wav = recordings / "en" / "what's the date.wav"
    failures: list[str] = []
    asking = threading.Thread(target=talk, args=(up, tmp_path, 3, failures, wav))
    asking.start()

    admin.change("stt-worker", whisper_model=EARS)
    asking.join()

    assert failures == []
    code, answer = up.ask("--wav", str(wav), "--out", str(tmp_path / "r.wav"))
    assert code == 0, answer
    assert "date" in answer["transcript"].lower()
    admin.change("stt-worker", whisper_model="base")


@pytest.mark.req("C031", "C085", "F6")
def test_another_language_model_and_another_system_prompt_take_over_between_answers(
    up: Up, admin: Person, tmp_path: Path
) -> None:
    failures: list[str] = []
    asking = threading.Thread(target=talk, args=(up, tmp_path, 4, failures))
    asking.start()

    admin.change("llm-worker", model=MIND)
    admin.change(
        "router", system_prompt="You are a pirate. Answer every question with: Arr, matey!"
    )
    asking.join()

    assert failures == []
    with Person(up.data, "llm-worker").listening("llm/request") as heard:
        code, answer = up.ask(
            "--text", "Who are you?", "--site", "ship", "--out", str(tmp_path / "pirate.wav")
        )
    assert code == 0, answer
    asked = json.loads(heard[0])["messages"]
    assert (asked[0]["role"], asked[0]["content"]) == ("system", PIRATE)
    assert any(word in answer["reply"].lower() for word in ("arr", "pirate", "matey")), answer
    back = admin.request("reset", "router", {"keys": ["system_prompt"]})
    assert back["status"] == "accepted", back


@pytest.mark.req("C011", "C075")
def test_a_model_that_is_not_here_is_refused_by_the_service_and_the_old_one_goes_on(
    up: Up, admin: Person, tmp_path: Path
) -> None:
    answer = admin.request("patch", "tts-worker", {"config": {"piper_voice": "nobody"}})
    assert answer["status"] == "accepted", answer

    report = admin.applied("tts-worker", answer["issued_at"])

    assert (report["status"], report["error"]) == ("rejected", "HOOK_FAILED")
    assert report["issued_at"] != answer["issued_at"]
    reply(up, tmp_path / "still.wav")
    admin.change("tts-worker", piper_voice="en_US-joe-medium")


BAD: dict[str, tuple[str, str, str, int, str]] = {
    "an unknown service": ("patch", "stt-wroker", '{"config":{}}', 404, "UNKNOWN_SERVICE"),
    "an unknown key": ("patch", "tts-worker", '{"config":{"volume":4}}', 404, "UNKNOWN_KEY"),
    "an unknown op": ("ptach", "tts-worker", "{}", 400, "UNKNOWN_OP"),
    "a wrong type": (
        "patch", "tts-worker", '{"config":{"volume_percent":"loud"}}', 422, "VALIDATION_FAILED"),
    "true for an integer": (
        "patch", "tts-worker", '{"config":{"volume_percent":true}}', 422, "VALIDATION_FAILED"),
    "more than the most": (
        "patch", "tts-worker", '{"config":{"volume_percent":201}}', 422, "VALIDATION_FAILED"),
    "min above max": (
        "patch", "router",
        '{"config":{"router_stream_min_chars":300,"router_stream_max_chars":200}}',
        422, "VALIDATION_FAILED"),
    "ws without a URL": (
        "patch", "stt-worker", '{"config":{"stt_backend":"ws"}}', 422, "VALIDATION_FAILED"),
    "an expression that does not compile": (
        "patch", "router", '{"config":{"router_stream_boundary_regex":"["}}',
        422, "VALIDATION_FAILED"),
    "an expression that backtracks": (
        "patch", "router", '{"config":{"router_stream_boundary_regex":"(a+)+$"}}',
        422, "VALIDATION_FAILED"),
    "65 KiB": ("patch", "router", '{"reason":"' + "x" * 65_600 + '"}', 413, "PAYLOAD_TOO_LARGE"),
    "depth 17": ("patch", "router", '{"config":' + "[" * 17 + "]" * 17 + "}", 400, "INVALID_JSON"),
    "a key twice": (
        "patch", "router", '{"config":{"history_messages":1,"history_messages":2}}',
        400, "INVALID_JSON"),
    "NaN": (
        "patch", "tts-worker", '{"config":{"volume_percent":NaN}}', 400, "INVALID_JSON"),
    "no JSON": ("patch", "tts-worker", "loud, please", 400, "INVALID_JSON"),
    "a secret over MQTT": (
        "patch", "llm-worker", '{"config":{"api_key":"0123456789abc"}}', 403, "SECRET_OVER_MQTT"),
    "set without a version": (
        "set", "tts-worker", '{"config":{"volume_percent":4}}', 400, "INVALID_REQUEST"),
    "a version of yesterday": (
        "patch", "tts-worker", '{"config":{"volume_percent":4},"version":999}',
        409, "VERSION_CONFLICT"),
    "a version that never was": (
        "rollback", "tts-worker", '{"to_version":4000,"version":CURRENT}', 404, "UNKNOWN_VERSION"),
    "an epoch of somebody else": (
        "patch", "tts-worker",
        '{"config":{},"config_epoch":"550e8400-e29b-41d4-a716-446655440000"}',
        409, "EPOCH_CONFLICT"),
}  # fmt: skip


@pytest.mark.req("C048", "C049", "C075", "SC030", "F16")
@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_refused_with_its_own_code_and_a_sentence_that_helps(
    case: str, admin: Person
) -> None:
    op, service, body, number, code = BAD[case]
    known = service if service in ("router", "stt-worker", "tts-worker", "llm-worker") else "router"
    before = admin.request("get", known, {})["data"]

    body = body.replace("CURRENT", str(before["metadata"]["version"]))
    answer = admin.request(op, service, body)

    assert (answer["status"], answer["code"], answer["error"]) == ("rejected", number, code)
    assert len(answer["message"]) > 10
    assert answer["hint"]
    after = admin.request("get", known, {})["data"]
    assert (after["config"], after["metadata"]["version"]) == (
        before["config"], before["metadata"]["version"],
    )  # fmt: skip


@pytest.mark.threat(10)
@pytest.mark.req("C077", "C079")
def test_nobody_asks_in_the_name_of_somebody_else(admin: Person) -> None:
    complaint = Person(admin.data, "stt-worker").publish(
        "system/config-request/admin/patch/router", '{"config":{"history_messages":0}}'
    )

    assert "Not authorized" in complaint
    assert admin.request("get", "router", {})["data"]["config"]["history_messages"] != 0


@pytest.mark.threat(12)
def test_a_retained_request_is_refused_and_changes_nothing(admin: Person) -> None:
    topic = "system/config-request/admin/patch/router"
    before = admin.request("get", "router", {})["data"]["metadata"]["version"]

    admin.publish(topic, '{"config":{"history_messages":1},"transaction":"retained-1"}', "-r")

    after = admin.request("get", "router", {})["data"]["metadata"]["version"]
    admin.publish(topic, "", "-r")
    assert after == before


@pytest.mark.threat(12)
def test_a_request_that_comes_twice_is_carried_out_once(admin: Person) -> None:
    body = {"config": {"history_messages": 7}, "transaction": "twice-1"}
    first = admin.request("patch", "router", body)
    second = admin.request("patch", "router", body)
    other = admin.request("patch", "router", {**body, "config": {"history_messages": 8}})

    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["data"] == second["data"]
    assert (other["code"], other["error"]) == (409, "TRANSACTION_REUSED")


def talk(up: Up, folder: Path, times: int, failures: list[str], wav: Path | None = None) -> None:
    """Questions one after the other; what went wrong is noted."""
    for number in range(times):
        asked = ["--wav", str(wav)] if wav else ["--text", "Is it late?"]
        code, answer = up.ask(*asked, "--out", str(folder / f"talk-{number}.wav"))
        if code != 0 or not answer["reply"]:
            failures.append(str(answer))
