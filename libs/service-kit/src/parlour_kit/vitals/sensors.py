"""Reads the machine: psutil, the files of the kernel, and a Raspberry Pi's firmware."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

from parlour_kit.vitals.readings import Reading

T = TypeVar("T")

SYSFS = Path("/sys")
ASK_EVERY = 5
"""The firmware's command is a process of its own: it is run at every fifth reading."""

ASK_TIMEOUT_S = 1.0
PLAUSIBLE_C = (-40.0, 150.0)

_TEMPERATURE = re.compile(r"temp=(-?\d+(?:\.\d+)?)'C")
_THROTTLED = re.compile(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})\s*\Z")
_FIRMWARE_FILES = (
    "devices/platform/soc*/*firmware*/get_throttled",
    "devices/platform/*firmware*/get_throttled",
)

Ask = Callable[[str], str | None]
"""Asks a Raspberry Pi's firmware, and blocks meanwhile; None when it does not answer."""


class Sensors(Protocol):
    """What can be read of a machine."""

    async def read(self) -> Reading:
        """Read everything; what cannot be read is None and raises nothing."""
        ...


class HostSensors:
    """The machine that this process runs on. Of one event loop alone: psutil counts per thread.

    Args:
        sysfs: where the kernel shows its files.
        ask: asks the firmware; None where there is nobody to ask. By default ``vcgencmd``, where
            it is installed.

    In a container the kernel's files are those of the host, and so are memory and load.
    """

    def __init__(self, sysfs: Path = SYSFS, ask: Ask | None = None) -> None:
        self._zone = sysfs / "class/thermal/thermal_zone0/temp"
        found = (path for pattern in _FIRMWARE_FILES for path in sysfs.glob(pattern))
        self._flags_file = next(found, None)
        self._ask = ask or _vcgencmd()
        self._answers: dict[str, str | None] = {}
        self._turn = 0
        _or_none(lambda: psutil.cpu_percent(interval=None))  # the first one compares with nothing

    async def read(self) -> Reading:
        """Read everything; only the firmware's command leaves this thread."""
        temperature = self._zone_temperature()
        flags = 0 if self._flags_file is None else _flags_of(_text_of(self._flags_file))
        wanted = [] if temperature is not None else ["measure_temp"]
        wanted += [] if self._flags_file is not None else ["get_throttled"]
        if self._ask is not None and wanted:
            await self._ask_now_and_then(self._ask, wanted)
            if temperature is None:
                temperature = _spoken_temperature(self._answers.get("measure_temp"))
            if self._flags_file is None:
                flags = _flags_of(self._answers.get("get_throttled"))
        return Reading(
            memory_available_bytes=_or_none(lambda: int(psutil.virtual_memory().available)),
            swap_used_bytes=_or_none(lambda: int(psutil.swap_memory().used)),
            cpu_percent=_or_none(lambda: float(psutil.cpu_percent(interval=None))),
            temperature_c=temperature,
            firmware=flags,
        )

    def _zone_temperature(self) -> float | None:
        text = (_text_of(self._zone) or "").strip()
        return _plausible(int(text) / 1000) if re.fullmatch(r"-?\d{1,7}", text) else None

    async def _ask_now_and_then(self, ask: Ask, wanted: list[str]) -> None:
        if self._turn % ASK_EVERY == 0:
            for question in wanted:
                self._answers[question] = await asyncio.to_thread(ask, question)
        self._turn += 1


def _vcgencmd() -> Ask | None:
    path = shutil.which("vcgencmd")
    if path is None:
        return None

    def ask(question: str) -> str | None:
        try:
            return subprocess.run(  # noqa: S603  # a question of ours, no shell
                [path, question], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=True
            ).stdout[:200]
        except (OSError, ValueError, subprocess.SubprocessError):
            return None

    return ask


def _spoken_temperature(text: str | None) -> float | None:
    match = _TEMPERATURE.match(text or "")
    return _plausible(float(match[1])) if match else None


def _flags_of(text: str | None) -> int | None:
    match = _THROTTLED.match((text or "").strip())
    return int(match[1], 16) if match else None


def _plausible(celsius: float) -> float | None:
    low, high = PLAUSIBLE_C
    return celsius if low <= celsius <= high else None


def _text_of(path: Path) -> str | None:
    try:
        return path.read_bytes()[:200].decode("ascii", "replace")
    except OSError:
        return None


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception:  # noqa: BLE001  # whatever a kernel's file looks like, it cannot be read
        return None
