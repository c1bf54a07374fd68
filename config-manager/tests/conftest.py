"""What several tests stand on: a command layer, a house whose keys rotate, a REST front."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from config_manager.fronts.rest import create_app
from parlour_config.users import UsersFile

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "tools"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from desk import Desk  # noqa: E402  # from the folder of tools
from rest_fakes import Manager  # noqa: E402
from rotation_house import House  # noqa: E402


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Any]:
    """Seeded with the defaults of every service."""
    made = await Desk(tmp_path).open()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Keys, settings of every service, and services that have taken them."""
    made = House(tmp_path)
    await made.open()
    yield made
    await made.store.close()


@pytest.fixture
def front(tmp_path: Path) -> Manager:
    """What the REST front sees, with an administrator, a writer and a reader."""
    users = UsersFile(tmp_path / "users.json")
    users.ensure()
    users.put("reader", "read")
    users.put("writer", "write")
    return Manager(users)


@pytest_asyncio.fixture
async def client(front: Manager) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the REST front, without a socket."""
    transport = httpx.ASGITransport(create_app(front))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made
    await front.refusals.close()
