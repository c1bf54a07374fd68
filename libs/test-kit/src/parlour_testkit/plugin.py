"""The pytest plug-in: virtual time, models and recordings."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import structlog
from parlour_kit.log import forget_secrets
from parlour_kit.log.handler import LineHandler

from parlour_testkit.memory_bus import MemoryBroker
from parlour_testkit.virtual_time import VirtualTimeLoop

STARTER_MODELS = ("base", "smollm2-135m-instruct", "en_US-joe-medium")


REAL_TIME = ("model", "broker", "docker")
"""Markers of tests that meet the real world, whose clock cannot be moved."""


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time for every test but those of the real world."""
    if any(item.get_closest_marker(marker) for marker in REAL_TIME):
        return {"real-time": asyncio.new_event_loop}
    return {"virtual-time": VirtualTimeLoop}


def pytest_configure(config: pytest.Config) -> None:
    """Runs of several tests at once, where pytest-xdist is there for them."""
    if config.pluginmanager.hasplugin("xdist"):
        from parlour_testkit.side_by_side import SideBySide  # noqa: PLC0415  # needs the plug-in

        config.pluginmanager.register(SideBySide(), "parlour-side-by-side")


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker in memory."""
    return MemoryBroker()


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    """No test inherits how another one set up the logs, nor the secrets that they know.

    Lines go to pytest, which shows them with a failure: what a test reads from standard output is
    the program's own.
    """
    _log_to_pytest()
    forget_secrets()
    yield
    _log_to_pytest()
    forget_secrets()


def _log_to_pytest() -> None:
    root = logging.getLogger()
    # What a test set up to be printed would be printed in the next one as well.
    root.handlers[:] = [h for h in root.handlers if not isinstance(h, LineHandler)]
    logging.getLogger("parlour").setLevel(logging.DEBUG)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )


def _root(config: pytest.Config) -> Path:
    return Path(config.rootpath)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data directory with the starter models; skips where they are not installed."""
    configured = os.environ.get("PARLOUR_DATA")
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    folder = Path(configured) if configured else Path(home) / "parlour"
    missing = [m for m in STARTER_MODELS if not (folder / "models" / m).is_dir()]
    if missing:
        pytest.skip(f"models {', '.join(missing)} are not in {folder}: run `make models`")
    return folder


@pytest.fixture(scope="session")
def models_dir(data_dir: Path) -> Path:
    """The folder that holds one folder per model."""
    return data_dir / "models"


@pytest.fixture(scope="session")
def recordings(pytestconfig: pytest.Config) -> Path:
    """A folder with ``en/*.wav`` and ``lj/*.wav``, spoken by people; skips where it is absent."""
    configured = os.environ.get("PARLOUR_TEST_AUDIO")
    folder = Path(configured) if configured else _root(pytestconfig) / ".." / "shared" / "audio"
    if not (folder / "en").is_dir():
        pytest.skip(f"no recorded speech in {folder} (set PARLOUR_TEST_AUDIO)")
    return folder
