"""Models for the tests that change them."""

from __future__ import annotations

from pathlib import Path

import pytest
from parlour_kit.models import load_manifest


@pytest.fixture
def house(data_dir: Path, tmp_path: Path) -> Path:
    """A data directory with the starter model under two names, and a third that is damaged."""
    entry = load_manifest().models["base"]
    files = ", ".join(
        f'{{path = "{f.path}", size = {f.size}, sha256 = "{f.sha256}"}}' for f in entry.files
    )
    lines = []
    for name in ("second", "broken"):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        for file in entry.files:
            whole = data_dir / "models" / "base" / file.path
            if name == "second":
                (folder / file.path).symlink_to(whole)
            else:
                (folder / file.path).write_bytes(b"x")
        lines += [f"[models.{name}]", 'kind = "stt"', 'licence = "MIT"', 'description = "A copy"']
        lines += [f"files = [{files}]"]
    (tmp_path / "models" / "base").symlink_to(data_dir / "models" / "base")
    (tmp_path / "models.toml").write_text("\n".join(lines))
    return tmp_path
