"""Short forms of the long trials in ``tools`` that kill real processes behind a real broker."""

from __future__ import annotations

from pathlib import Path

import kill_broker
import kill_manager
import pytest
from real_fleet import find_mosquitto

pytestmark = [
    pytest.mark.broker,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
    ),
]


@pytest.mark.req("C050", "C065", "C076")
async def test_whoever_asks_again_after_each_of_five_kills_gets_every_change_exactly_once(
    tmp_path: Path,
) -> None:
    figures = await kill_manager.run(5, 3, tmp_path)

    assert not figures.problems
    assert figures.kills == 5
    assert figures.accepted > 10
    assert figures.refused


@pytest.mark.req("C065", "C076")
async def test_a_broker_that_dies_forgets_or_freezes_under_traffic_costs_no_accepted_change(
    tmp_path: Path,
) -> None:
    faults = ("kill", "end and forget", "freeze")
    figures = await kill_broker.run(3, 5, tmp_path, freeze_s=(2, 3), faults=faults)

    assert not figures.problems
    assert figures.faults == dict.fromkeys(faults, 1)
    assert figures.accepted > 10
