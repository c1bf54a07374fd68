"""Which tests run beside which."""

from __future__ import annotations

from pathlib import Path

import pytest
from parlour_testkit.side_by_side import is_heavy


@pytest.mark.parametrize(
    ("text", "heavy"),
    [
        ("@pytest.mark.model\ndef test_it() -> None: ...\n", True),
        ("pytestmark = [pytest.mark.docker]\n", True),
        ("@pytest.mark.broker\ndef test_it() -> None: ...\n", False),
        ("@pytest.mark.models\ndef test_it() -> None: ...\n", False),
    ],
)
def test_a_file_with_models_or_containers_is_heavy(tmp_path: Path, text: str, heavy: bool) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(text)
    assert is_heavy(file) is heavy
