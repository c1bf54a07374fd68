"""The self-ping: deaf while connected is death, being offline is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from parlour_kit.watchdog import SelfPing


def test_three_missed_pings_while_connected_are_death() -> None:
    ping = SelfPing()
    assert [ping.tick(connected=True) for _ in range(3)] == [1, 2, 3]
    assert not ping.dead

    ping.tick(connected=True)

    assert ping.dead


def test_an_echo_starts_the_count_anew() -> None:
    ping = SelfPing()
    for _ in range(3):
        ping.tick(connected=True)
    ping.echo(3)

    ping.tick(connected=True)

    assert ping.missed == 0


def test_an_old_echo_proves_nothing() -> None:
    ping = SelfPing()
    ping.tick(connected=True)
    ping.tick(connected=True)
    ping.echo(1)

    assert ping.missed == 1


@given(st.lists(st.booleans(), max_size=60))
def test_a_process_that_is_offline_or_hears_itself_never_dies(connected: list[bool]) -> None:
    ping = SelfPing()
    for is_connected in connected:
        seq = ping.tick(connected=is_connected)
        if seq is not None:
            ping.echo(seq)

        assert not ping.dead
