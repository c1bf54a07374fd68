"""Every image does its work once: what `make arm64-smoke` runs, under emulation where it must.

Each engine gets its starter model, read-only, and no network: Whisper writes down a clip, Piper
speaks a sentence, llama.cpp makes ten tokens. Then config-manager signs a change and the router
applies it.

    python3 compose/smoke.py [--tag arm64] [--platform linux/arm64] [--models FOLDER] [NAME …]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
ENGINE_S = 900
PROJECT = "parlour-smoke"

LISTEN = """
import asyncio, json, sys
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from parlour_audio.frames import to_float
from parlour_audio.wav import read_wav
from parlour_contracts.config import STTWorkerConfig
from stt_worker.backends import load_engine
from stt_worker.engine import Options

engine = load_engine(STTWorkerConfig(whisper_model="base"), Path("/data"))
clip = read_wav(Path(str(files("stt_worker") / "known.wav")))
text = engine.transcribe(to_float(clip.mono()), Options(language="en-US")).text
assert "surpassed" in text.lower(), text
print("heard:", text.strip())
"""

THINK = """
import asyncio
from pathlib import Path
from parlour_contracts.config import LLMWorkerConfig
from parlour_contracts.messages.llm import ChatMessage
from llm_worker.backends import make_engine
from llm_worker.engine import CancelToken, Prompt

async def main():
    engine = make_engine(LLMWorkerConfig(model="smollm2-135m-instruct"), Path("/data"))
    await engine.load()
    asked = (ChatMessage(role="user", content="Count from one to twenty."),)
    text = []
    done = await engine.generate(Prompt(asked, 10, 0.0, 1.0), text.append, CancelToken())
    await engine.close()
    assert done.finish_reason == "length", done
    assert done.tokens.completion == 10, done
    print("thought:", "".join(text).strip())

asyncio.run(main())
"""

SPEAK = """
import asyncio
from pathlib import Path
from parlour_contracts.config import TTSWorkerConfig
from tts_worker.backends import make_engine
from tts_worker.engine import CancelToken, Synthesis

async def main():
    engine = make_engine(TTSWorkerConfig(piper_voice="en_US-joe-medium"), Path("/data"))
    count = words = 0
    async for piece in engine.synthesize(Synthesis("The kettle is on the stove."), CancelToken()):
        count += len(piece.samples)
        words += len(piece.words)
    seconds = count / engine.rate
    await engine.close()
    assert 1 < seconds < 6, seconds
    assert words == 6, words
    print(f"spoke: {seconds:.1f} s, {words} words with their times")

asyncio.run(main())
"""

ENGINES = {
    "stt-worker": (LISTEN, "base"),
    "llm-worker": (THINK, "smollm2-135m-instruct"),
    "tts-worker": (SPEAK, "en_US-joe-medium"),
}


class SmokeError(Exception):
    """An image does not do its work."""


def run(
    *words: str, given: str = "", seconds: float = ENGINE_S, env: dict[str, str] | None = None
) -> str:
    """The output of a command that works.

    Raises:
        SmokeError: it does not.
    """
    done = subprocess.run(
        words, input=given, capture_output=True, text=True, timeout=seconds, check=False,
        cwd=ROOT, env=None if env is None else {**os.environ, **env},
    )  # fmt: skip
    if done.returncode:
        raise SmokeError(f"{' '.join(words[:4])} …: {done.stdout[-1500:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


def engine(name: str, tag: str, platform: str, models: Path) -> str:
    """One engine's work, as the image runs it in a fleet: not root, nothing to write, no rights."""
    script, model = ENGINES[name]
    return run(
        "docker", "run", "--rm", "--interactive", "--platform", platform, "--network", "none",
        "--read-only", "--tmpfs", "/tmp", "--tmpfs", "/data/cache:uid=1000,mode=0700,size=200m",
        "--cap-drop", "ALL", "--volume", f"{models / model}:/data/models/{model}:ro",
        f"parlour-{name}:{tag}", "python", "-P", "-",
        given=script,
    )  # fmt: skip


def programs(tag: str, platform: str) -> str:
    """The operator's command and Litestream start."""
    base = ["docker", "run", "--rm", "--platform", platform, "--network", "none", "--read-only"]
    image = f"parlour-cli:{tag}"
    return ", Litestream ".join(
        [run(*base, image, "parlour", "--version"), run(*base, image, "litestream", "version")]
    )


def signed_change(tag: str, platform: str) -> str:
    """config-manager signs what a person asks for; the router checks it, applies it and says so."""
    names = ("init", "config-manager", "router")
    images = {"init": "cli", "config-manager": "config-manager", "router": "router"}
    override = {
        "services": {
            name: {
                "image": f"parlour-{images[name]}:{tag}",
                "platform": platform,
                "cpu_quota": 200_000,
            }
            for name in names
        }
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(override, file)
        file.flush()
        env = {"PARLOUR_PORT": "0", "PARLOUR_TLS_PORT": "0", "COMPOSE_PROFILES": ""}

        def compose(*words: str) -> str:
            files = ("--file", str(ROOT / "compose.yaml"), "--file", file.name)
            return run("docker", "compose", *files, "--project-name", PROJECT, *words, env=env)

        try:
            compose("up", "--detach", "--no-build", "broker", "config-manager", "router")
            return _changed(compose)
        except SmokeError as error:
            shown = compose("logs", "--tail", "20")
            raise SmokeError(f"{error}\n{shown}") from None
        finally:
            compose("down", "--volumes", "--timeout", "20")


def _changed(compose: Callable[..., str]) -> str:
    password = compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "init",
                       "/data/secrets/mqtt/admin.password")  # fmt: skip
    login = ("-V", "mqttv5", "-u", "admin", "-P", password, "-q", "1", "-W", "10")

    def client(*words: str) -> dict[str, object]:
        """What a client of Mosquitto's hears; a request that comes too early is not answered."""
        found = json.loads(_patiently(lambda: compose("exec", "-T", "broker", *words)))
        assert isinstance(found, dict)
        return found

    def told() -> dict[str, object]:
        """What the router says that it runs with."""
        topic = "system/config-applied/router/router"
        return client("mosquitto_sub", *login, "-C", "1", "-t", topic)

    told()
    answer = client(
        "mosquitto_rr", *login, "-t", "system/config-request/admin/patch/router",
        "-e", "system/config-response/admin/smoke",
        "-m", '{"config":{"history_messages":7},"reason":"smoke"}',
    )  # fmt: skip
    if answer["status"] != "accepted":
        raise SmokeError(f"the change was refused: {answer}")

    def applied() -> dict[str, object]:
        if (found := told())["issued_at"] != answer["issued_at"]:
            raise SmokeError(f"the router does not apply the change: {found}")
        return found

    after = _patiently(applied)
    if after["status"] != "applied":
        raise SmokeError(f"the router refuses the change: {after}")
    return f"signed at {after['issued_at']}, applied by the router"


def _patiently(work: Callable[[], T]) -> T:
    """Try until it works, at most ``ENGINE_S``: under emulation everything is slow to begin."""
    end = time.monotonic() + ENGINE_S
    while True:
        try:
            return work()
        except SmokeError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def main() -> int:
    """Run all, or what is named; 1 when one does not work."""
    share = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "parlour"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", default="arm64")
    parser.add_argument("--platform", default="linux/arm64")
    parser.add_argument("--models", type=Path,
                        default=Path(os.environ.get("PARLOUR_DATA", share)) / "models")  # fmt: skip
    parser.add_argument("names", nargs="*", default=["cli", "config-manager", *ENGINES])
    given = parser.parse_args()
    tasks: dict[str, Callable[[], str]] = {
        "cli": lambda: programs(given.tag, given.platform),
        "config-manager": lambda: signed_change(given.tag, given.platform),
    }
    for name in ENGINES:
        tasks[name] = lambda n=name: engine(n, given.tag, given.platform, given.models)  # type: ignore[misc]
    failed = False
    for name in given.names:
        began = time.monotonic()
        try:
            outcome = tasks[name]()
        except (SmokeError, subprocess.TimeoutExpired) as error:
            outcome, failed = f"FAILED: {error}", True
        sys.stdout.write(f"{name:15} {time.monotonic() - began:6.1f} s  {outcome}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
