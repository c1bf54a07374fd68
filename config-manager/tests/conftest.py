"""A command layer over a real database, for every test that asks for ``desk``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

TOOLS = Path(__file__).parents[1] / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

from desk import Desk  # noqa: E402  # from the folder of tools


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Any]:
    """Seeded with the defaults of every service."""
    made = await Desk(tmp_path).open()
    yield made
    await made.close()
