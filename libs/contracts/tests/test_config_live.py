"""How many settings count without loading anything again."""

from __future__ import annotations

import pytest
from parlour_contracts.config import CONFIGS, apply_of


@pytest.mark.req("SC007")
def test_at_least_half_of_all_settings_are_live():
    kinds = [apply_of(info) for model in CONFIGS.values() for info in model.model_fields.values()]

    assert set(kinds) == {"live", "reload"}
    assert kinds.count("live") >= len(kinds) / 2
