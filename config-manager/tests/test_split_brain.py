"""The short form of ``tools/split_brain.py``: two managers that should be one, in many ways."""

from __future__ import annotations

from pathlib import Path

import pytest
import split_brain
from traffic import quiet


@pytest.mark.timeout(300)
@pytest.mark.req("C067")
def test_two_managers_flip_a_service_at_most_once_and_soon_at_most_one_leads(
    tmp_path: Path,
) -> None:
    quiet()

    figures = split_brain.run(60, 1, tmp_path)

    assert not figures.problems
    assert figures.most_flips == 1
    assert 0 < figures.longest_s <= split_brain.BOTH_S
    assert len(figures.ends) >= 3  # stand-bys, conflicts, and one that leads beside a conflict
