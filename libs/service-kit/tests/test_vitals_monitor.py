"""The look at the machine once a second: what it reads, tells and keeps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parlour_kit.clock import LoopClock
from parlour_kit.errors import StartupError
from parlour_kit.settings import ProcessSettings, load_settings
from parlour_kit.vitals import HostSensors, Reading, ThrottleLevel, VitalsMonitor
from parlour_kit.vitals.sensors import ASK_EVERY
from parlour_testkit.fakes_vitals import FakeSensors
from structlog.testing import capture_logs

MB = 1024**2


@contextlib.asynccontextmanager
async def looking(monitor: VitalsMonitor) -> AsyncIterator[None]:
    task = asyncio.create_task(monitor.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()


def kernel(tmp_path: Path, millidegrees: str | None = None, flags: str | None = None) -> Path:
    """A folder like /sys."""
    if millidegrees is not None:
        zone = tmp_path / "class/thermal/thermal_zone0"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "temp").write_text(millidegrees)
    if flags is not None:
        firmware = tmp_path / "devices/platform/soc/soc:firmware"
        firmware.mkdir(parents=True, exist_ok=True)
        (firmware / "get_throttled").write_text(flags)
    return tmp_path


def firmware(**answers: str) -> tuple[list[str], object]:
    """A firmware's command, and what it was asked."""
    asked: list[str] = []

    def ask(question: str) -> str | None:
        asked.append(question)
        return answers.get(question)

    return asked, ask


@pytest.mark.req("H004", "H005", "H006", "H007")
async def test_a_real_machine_can_be_read(tmp_path: Path) -> None:
    reading = await HostSensors(kernel(tmp_path, "51234\n", "50004\n")).read()

    assert reading.memory_available_bytes is not None
    assert reading.memory_available_bytes > 0
    assert reading.swap_used_bytes is not None
    assert reading.cpu_percent is not None
    assert (reading.temperature_c, reading.firmware) == (51.234, 0x50004)


@pytest.mark.req("H039")
async def test_without_the_kernels_file_the_firmware_is_asked_now_and_then(tmp_path: Path) -> None:
    asked, ask = firmware(measure_temp="temp=62.3'C\n", get_throttled="throttled=0x8\n")
    sensors = HostSensors(tmp_path, ask)

    readings = [await sensors.read() for _ in range(ASK_EVERY)]

    assert {(r.temperature_c, r.firmware) for r in readings} == {(62.3, 8)}
    assert asked == ["measure_temp", "get_throttled"]


@pytest.mark.req("H039")
@pytest.mark.parametrize("text", ["", "warm", "999999999", "-", "51.2", "9" * 9000, "\x00\xff"])
async def test_a_thermometer_that_says_nonsense_is_one_that_cannot_be_read(
    tmp_path: Path, text: str
) -> None:
    _, ask = firmware(measure_temp=text, get_throttled=text or "x")

    reading = await HostSensors(kernel(tmp_path, text, "0"), ask).read()

    assert reading.temperature_c is None


async def test_the_kernels_thermometer_counts_before_the_firmwares(tmp_path: Path) -> None:
    asked, ask = firmware(measure_temp="temp=1.0'C")

    reading = await HostSensors(kernel(tmp_path, "50000", "0"), ask).read()

    assert reading.temperature_c == 50.0
    assert asked == []


@pytest.mark.req("SC113", "H016", "H056")
async def test_heat_is_told_within_two_seconds_and_so_is_its_end_once_each() -> None:
    sensors, told = FakeSensors(), []
    monitor = VitalsMonitor(sensors, LoopClock())
    monitor.on_level(told.append)
    with capture_logs() as logs:
        async with looking(monitor):
            await asyncio.sleep(60)
            sensors.set(temperature_c=85.0)
            await asyncio.sleep(2)
            assert told == [ThrottleLevel.HOT]
            sensors.set(temperature_c=82.0)
            await asyncio.sleep(60)
            sensors.set(temperature_c=70.0)
            await asyncio.sleep(2)

    assert told == [ThrottleLevel.HOT, ThrottleLevel.NONE]
    of_heat = [(e["log_level"], e["event"]) for e in logs if "temperature_c" in e]
    assert of_heat == [
        ("critical", "too hot: new work waits"),
        ("info", "cool enough: work goes on"),
    ]


@pytest.mark.req("H034", "H038")
async def test_strain_is_logged_when_it_begins_worsens_and_ends_and_not_each_second() -> None:
    sensors = FakeSensors()
    monitor = VitalsMonitor(sensors, LoopClock())
    with capture_logs() as logs:
        async with looking(monitor):
            for megabytes in (4000, 900, 400, 900, 4000):
                sensors.set(memory_available_bytes=megabytes * MB)
                await asyncio.sleep(30)
                assert monitor.well is (megabytes == 4000)

    assert [(e["log_level"], e.get("severity")) for e in logs] == [
        ("warning", "warning"), ("critical", "critical"), ("warning", "warning"), ("info", None),
    ]  # fmt: skip


@pytest.mark.req("H038")
async def test_a_source_that_fails_is_a_warning_once_and_all_of_them_are_an_error() -> None:
    sensors = FakeSensors()
    monitor = VitalsMonitor(sensors, LoopClock())
    with capture_logs() as logs:
        async with looking(monitor):
            sensors.set(swap_used_bytes=None)
            await asyncio.sleep(60)
            assert (monitor.well, monitor.error) == (True, None)
            sensors.reading = Reading()
            await asyncio.sleep(60)
            assert monitor.error is not None
            assert (monitor.well, monitor.error.code) == (False, "VITALS_UNREADABLE")

    levels = [e["log_level"] for e in logs]
    assert levels[0] == "warning"
    assert levels.count("error") == 1
    assert len(levels) <= 5


@pytest.mark.req("H039")
async def test_a_machine_without_a_thermometer_says_so_once_and_is_well() -> None:
    sensors = FakeSensors()
    sensors.set(temperature_c=None)
    monitor = VitalsMonitor(sensors, LoopClock())
    with capture_logs() as logs:
        async with looking(monitor):
            await asyncio.sleep(600)

    assert [e["log_level"] for e in logs] == ["info"]
    assert (monitor.well, monitor.vitals.temperature_c) == (True, -1.0)


async def test_neither_a_broken_reader_nor_a_broken_listener_ends_the_looking() -> None:
    sensors, told = FakeSensors(), []

    def breaks(_level: ThrottleLevel) -> None:
        raise RuntimeError("no")

    monitor = VitalsMonitor(sensors, LoopClock())
    monitor.on_level(breaks)
    monitor.on_level(told.append)
    async with looking(monitor):
        sensors.broken = OSError("gone")
        await asyncio.sleep(10)
        sensors.broken = None
        sensors.set(temperature_c=90.0)
        await asyncio.sleep(2)

    assert told == [ThrottleLevel.HOT]


@pytest.mark.req("H056", "D019")
@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"THROTTLE_HOT_C": "80", "THROTTLE_RESUME_C": "80"}, "THROTTLE_RESUME_C: must be below"),
        ({"THROTTLE_HOT_C": "78"}, "THROTTLE_RESUME_C: must be below THROTTLE_HOT_C"),
        ({"THROTTLE_COOL_C": "90"}, "THROTTLE_COOL_C: must be below THROTTLE_WARM_C"),
        ({"THROTTLE_HOT_C": "warm"}, "THROTTLE_HOT_C"),
    ],
)
def test_temperatures_in_the_environment_that_make_no_sense_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MQTT_URL", "mqtt://127.0.0.1")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StartupError, match=named):
        load_settings(ProcessSettings)


@pytest.mark.req("H056")
def test_temperatures_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MQTT_URL", "mqtt://127.0.0.1")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("THROTTLE_HOT_C", "70")
    monkeypatch.setenv("THROTTLE_RESUME_C", "65")
    monkeypatch.setenv("THROTTLE_WARM_C", "60")
    monkeypatch.setenv("THROTTLE_COOL_C", "58")

    found = load_settings(ProcessSettings).temperatures()

    assert (found.hot, found.resume, found.warm, found.cool) == (70, 65, 60, 58)
