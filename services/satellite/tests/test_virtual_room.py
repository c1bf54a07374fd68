"""The room that exists in numbers: levels, times, echo, noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parlour_kit.clock import LoopClock
from parlour_testkit.fakes_room import spoken
from satellite.devices.virtual import VirtualDevice
from satellite.echo_guard import LEARN_FIRST, EchoGuard
from satellite.virtual import VirtualRoom, at_level
from satellite.windows import RATE, SILENT_DB, WINDOW, WINDOW_S, level_db

SILENCE = np.zeros(WINDOW, np.float32)


def listen(room: VirtualRoom, seconds: float, played: np.ndarray = SILENCE) -> np.ndarray:
    return np.concatenate([room.capture(played) for _ in range(round(seconds / WINDOW_S))])


def test_what_is_said_is_heard_at_its_time_and_its_level() -> None:
    room = VirtualRoom()
    over = room.say(spoken(1000), at=0.5, level_db=-30)
    heard = listen(room, 3)

    assert over == 1.5
    assert not heard[: RATE // 2].any()
    assert not heard[RATE * 3 // 2 + 1 :].any()
    assert level_db(heard[RATE // 2 : RATE * 3 // 2]) == pytest.approx(-30, abs=0.1)


def test_two_people_at_once_are_both_heard_and_nobody_speaks_in_the_past() -> None:
    room = VirtualRoom()
    listen(room, 1)
    begun = room.now
    room.say(np.full(1600, 0.2, np.float32), at=0)
    room.say(np.full(1600, 0.3, np.float32))

    assert listen(room, 0.1)[:1500] == pytest.approx(0.5)
    assert room.now > begun


def test_what_is_played_comes_back_later_and_quieter() -> None:
    room = VirtualRoom(echo_db=-20, echo_delay_s=0.1)
    sound = np.full(WINDOW, 0.5, np.float32)
    heard = np.concatenate([room.capture(sound), *[room.capture(SILENCE) for _ in range(9)]])
    begin = int(np.flatnonzero(heard)[0])

    assert begin == round(0.1 * RATE)
    assert heard[begin : begin + WINDOW] == pytest.approx(0.05)
    assert np.count_nonzero(heard) == WINDOW
    assert np.array_equal(room.sounded(0, WINDOW_S), sound)
    assert room.silent(WINDOW_S)


def test_noise_has_its_level_and_is_the_same_each_time() -> None:
    one, two = (listen(VirtualRoom(noise_db=-50, seed=3), 2) for _ in range(2))

    assert level_db(one) == pytest.approx(-50, abs=0.3)
    assert np.array_equal(one, two)


def test_a_loudspeaker_of_another_rate_comes_back_at_the_microphones() -> None:
    room = VirtualRoom(echo_db=0, echo_delay_s=0, speaker_rate=48_000)
    heard = listen(room, 0.5, np.full(WINDOW * 3, 0.25, np.float32))

    assert heard[WINDOW:-WINDOW].mean() == pytest.approx(0.25, abs=0.01)


async def test_a_virtual_device_exchanges_one_window_each_32_ms_of_its_clock() -> None:
    clock, room = LoopClock(), VirtualRoom()
    device = VirtualDevice(room, clock)
    times: list[float] = []

    class EnoughError(Exception):
        pass

    def exchange(window: np.ndarray) -> np.ndarray:
        times.append(clock.monotonic())
        if len(times) == 100:
            raise EnoughError
        return np.full_like(window, 0.1)

    with pytest.raises(EnoughError):
        await device.run(exchange)
    assert np.diff(times) == pytest.approx(np.full(99, WINDOW_S))
    assert not room.silent(WINDOW_S)


def test_silence_and_nothing_are_as_quiet_as_can_be() -> None:
    assert level_db(SILENCE) == level_db(SILENCE[:0]) == SILENT_DB
    assert level_db(at_level(spoken(100), -12)) == pytest.approx(-12, abs=0.1)


@pytest.mark.req("R016")
@given(
    st.floats(-50, 10),
    st.floats(-40, -3),
    st.lists(st.floats(-3, 0), min_size=LEARN_FIRST * 3, max_size=80),
)
@settings(max_examples=80, deadline=None)
def test_echo_that_is_as_loud_as_it_always_was_never_passes_with_a_margin(
    coupling, loudness, wobble
) -> None:
    guard = EchoGuard()
    for change in wobble:
        guard.played(loudness)
        echo = loudness + coupling + change
        assert not guard.passes(echo, margin_db=12 if coupling <= 0 else 24)
        guard.learn(echo)
    assert guard.passes(guard.expected_db + 13, 12)


def test_where_nothing_is_played_everything_passes_and_nothing_is_learned() -> None:
    guard = EchoGuard()
    before = guard.coupling_db
    for _ in range(100):
        guard.played(SILENT_DB)
        guard.learn(-10)

    assert guard.passes(-90, 40)
    assert guard.coupling_db == before
