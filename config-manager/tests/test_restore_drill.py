"""Short forms of the drill in ``tools`` that loses the database and restores a copy (test T18)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import drill_house
import pytest
import restore_drill
from config_manager.migrate import APPLICATION_ID
from parlour_cli.backup import contents
from parlour_cli.backup.errors import LitestreamError
from parlour_cli.backup.litestream import find_litestream
from real_fleet import find_mosquitto


def no_litestream() -> str:
    """Why its program cannot be used."""
    try:
        find_litestream()
    except LitestreamError as error:
        return f"{error}: {error.hint}"
    return ""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: Litestream's socket lies deep in it, and has 107 characters."""
    with tempfile.TemporaryDirectory(prefix="drill-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


pytestmark = [pytest.mark.timeout(300)]
needs_broker = pytest.mark.skipif(
    find_mosquitto() is None, reason="mosquitto is not installed (apt install mosquitto)"
)
needs_litestream = pytest.mark.skipif(bool(no_litestream()), reason=no_litestream())


@needs_broker
@needs_litestream
@pytest.mark.broker
@pytest.mark.req("C067", "C074")
async def test_after_two_losses_under_traffic_the_fleet_runs_with_what_litestream_kept(
    short: Path,
) -> None:
    figures = await restore_drill.run(2, 2, short)

    assert not figures.problems
    assert figures.drills == 2
    assert figures.accepted > 10


@needs_broker
@pytest.mark.broker
@pytest.mark.req("C067", "C074")
async def test_a_copy_some_changes_old_is_as_good_without_litestream(short: Path) -> None:
    figures = await restore_drill.run(1, 4, short, litestream=False)

    assert not figures.problems
    assert figures.drills == 1


def test_the_command_knows_a_database_by_the_mark_that_config_manager_writes() -> None:
    assert contents.APPLICATION_ID == APPLICATION_ID


@needs_litestream
def test_litestream_starts_once_the_epoch_is_named_and_ends_when_another_is(
    short: Path,
) -> None:
    folder = short / "config-manager"
    folder.mkdir()
    names, lock = folder / "litestream.env", folder / "config.db.ckpt"
    env = {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PARLOUR_DATA": str(short),
        "PARLOUR_REPLICAS": str(short / "replicas"),
    }
    process = subprocess.Popen(
        ["/bin/sh", drill_house.SCRIPT], env=env, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        time.sleep(0.3)
        assert not lock.exists()
        names.write_text("PARLOUR_HOST=home\nCONFIG_EPOCH=e1\n")
        while not (folder / "litestream.sock").exists():
            time.sleep(0.05)
        assert (folder / "litestream.sock").stat().st_mode & 0o777 == 0o600
        assert shutil.which("flock")
        held = subprocess.run(["flock", "--nonblock", lock, "true"], check=False)
        assert held.returncode == 1

        names.write_text("PARLOUR_HOST=home\nCONFIG_EPOCH=e2\n")
        process.wait(60)
        freed = subprocess.run(["flock", "--timeout", "30", lock, "true"], check=False)
        assert freed.returncode == 0
    finally:
        process.kill()
