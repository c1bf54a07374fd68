"""The sound card: blocks in step, a cushion that does not grow, and every way in which it fails."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
from parlour_audio.wav import write_wav
from parlour_kit.clock import LoopClock
from parlour_testkit.fakes_room import spoken
from parlour_testkit.fakes_sound import FakeSoundDevice, PortAudioError
from satellite.backends import make_device
from satellite.devices.sound_card import CUSHION, SoundCard
from satellite.devices.virtual import VirtualDevice
from satellite.errors import DeviceError, DeviceStalledError, SoundMissingError
from satellite.settings import SatelliteSettings
from satellite.windows import WINDOW, WINDOW_S


@pytest.fixture
def library(monkeypatch) -> FakeSoundDevice:
    fake = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def block(value: int, size: int = WINDOW) -> bytes:
    return np.full(size, value, "<i2").tobytes()


def value_of(played: bytes) -> int:
    return int(np.frombuffer(played, "<i2")[-1])


@asynccontextmanager
async def running(card: SoundCard, exchange) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(card.run(exchange))
    await asyncio.sleep(0.01)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, DeviceError):
            await task


async def test_what_is_captured_is_exchanged_and_what_is_returned_is_played_in_step(
    library,
) -> None:
    heard: list[np.ndarray] = []

    def exchange(window):
        heard.append(window)
        return window

    async with running(SoundCard(None, None), exchange):
        (stream,) = library.streams
        played = []
        for n in range(10):
            played.append(value_of(stream.exchange(block(n * 100))))
            await asyncio.sleep(WINDOW_S)
    assert [round(float(w[0]) * 32_768) for w in heard] == [n * 100 for n in range(10)]
    assert played == [0] * CUSHION + [n * 100 for n in range(10 - CUSHION)]
    assert not stream.running


async def test_the_devices_are_those_of_the_environment(library) -> None:
    async with running(SoundCard("3", "USB", 48_000), lambda window: window):
        options = library.streams[0].options
    assert options["device"] == (3, "USB")
    assert (options["samplerate"], options["blocksize"]) == (48_000, 1536)
    assert (options["dtype"], options["channels"]) == ("int16", 1)


async def test_a_card_of_another_rate_is_heard_in_windows_of_16_khz(library) -> None:
    heard: list[np.ndarray] = []

    def exchange(window):
        heard.append(window)
        return np.full(1536, 0.25, np.float32)

    async with running(SoundCard(None, None, 48_000), exchange):
        for _ in range(20):
            played = library.streams[0].exchange(block(8192, 1536))
            await asyncio.sleep(WINDOW_S)
    assert {len(w) for w in heard} == {WINDOW}
    assert len(heard) >= 17
    assert heard[-1].mean() == pytest.approx(0.25, abs=0.01)
    assert value_of(played) == 8192


async def test_after_a_pause_of_the_process_the_delay_shrinks_again_in_silence(library) -> None:
    loud = [True]

    def exchange(window):
        return np.full(WINDOW, 0.5 if loud[0] else 0.0, np.float32)

    card = SoundCard(None, None)
    async with running(card, exchange):
        stream = library.streams[0]
        for _ in range(6):  # the process does not run: silence is played for it
            stream.exchange(block(1))
        await asyncio.sleep(0.1)
        assert len(card._playing) > CUSHION
        loud[0] = False
        for _ in range(10):
            stream.exchange(block(1))
            await asyncio.sleep(WINDOW_S)
        assert len(card._playing) <= CUSHION


@pytest.mark.req("V041")
async def test_what_waits_for_the_loudspeaker_can_be_dropped_at_once(library) -> None:
    card = SoundCard(None, None)
    async with running(card, lambda _window: np.full(WINDOW, 0.5, np.float32)):
        stream = library.streams[0]
        for _ in range(5):
            stream.exchange(block(1))
            await asyncio.sleep(WINDOW_S)
        card.hush()
        assert value_of(stream.exchange(block(1))) == 0
        assert value_of(stream.exchange(block(1))) == 0


@pytest.mark.req("H031", "R019")
async def test_a_microphone_that_brings_nothing_for_three_seconds_has_failed(library) -> None:
    async with running(SoundCard(None, None), lambda window: window) as task:
        library.streams[0].exchange(block(1))
        await asyncio.sleep(4)
        assert isinstance(task.exception(), DeviceStalledError)
        assert not library.streams[0].running


@pytest.mark.parametrize("error", [PortAudioError("busy"), ValueError("no such device")])
async def test_a_card_that_does_not_open_says_why_and_what_to_do(library, error) -> None:
    library.refuses = error
    with pytest.raises(DeviceError, match=str(error)) as failed:
        await SoundCard(None, None).run(lambda window: window)
    assert "AUDIO_INPUT" in failed.value.hint


async def test_without_the_extra_it_is_said_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundMissingError) as failed:
        await SoundCard(None, None).run(lambda window: window)
    assert "--inexact" in failed.value.hint, "nothing else is taken away"
    assert "libportaudio2" in failed.value.hint


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MQTT_URL", "mqtt://127.0.0.1")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return monkeypatch


async def test_the_environment_chooses_a_card_its_rate_or_a_file(environment, tmp_path) -> None:
    assert isinstance(make_device(None, LoopClock()), SoundCard)
    environment.setenv("AUDIO_RATE", "48000")
    card = make_device(SatelliteSettings(), LoopClock())
    assert isinstance(card, SoundCard)
    assert card.rate == 48_000

    write_wav(tmp_path / "q.wav", (spoken(500) * 32_767).astype(np.int16), 16_000)
    environment.setenv("AUDIO_WAV", str(tmp_path / "q.wav"))
    device = make_device(SatelliteSettings(), LoopClock())
    assert isinstance(device, VirtualDevice)
    heard: list[np.ndarray] = []

    def exchange(window):
        heard.append(window)
        return window

    task = asyncio.create_task(device.run(exchange))
    await asyncio.sleep(4)
    task.cancel()
    whole = np.concatenate(heard)
    assert np.flatnonzero(whole)[0] / 16_000 == pytest.approx(2.0, abs=0.01)
    assert np.count_nonzero(np.abs(whole) > 0.01) / 16_000 == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("name", "value"), [("AUDIO_RATE", "22050"), ("AUDIO_WAV", "/nowhere")])
def test_an_environment_that_cannot_work_is_refused_at_the_start(environment, name, value) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValueError, match=name.lower()):
        SatelliteSettings()
