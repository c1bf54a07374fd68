"""A real file system that is full: changes are refused whole, and go on when there is room (T12)."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from parlour_config.errors import StorageError
from parlour_config.files import replace_file

SIZE = 3 * 1_048_576
POINTS = 200
PER_DATABASE = 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def fill(place: Path, left: int) -> Path:
    """Take all room but so many bytes."""
    filler = place / "filler"
    filler.write_bytes(b"x" * max(0, free(place) - left))
    return filler


async def change(desk: Desk, text: str) -> str | None:
    """The error of a change; None when it was accepted."""
    return (await desk.ask("patch", "router", config={"system_prompt": text})).error


@pytest.mark.timeout(300)
@pytest.mark.req("C065")
async def test_at_two_hundred_points_of_a_full_disk_a_change_is_whole_or_refused_and_comes_back(
    disk: Path,
) -> None:
    chance = random.Random(12)
    refused = 0
    for database in range(POINTS // PER_DATABASE):
        folder = disk / str(database)
        desk = await Desk(folder).open()
        accepted = 0
        for point in range(PER_DATABASE):
            filler = fill(disk, chance.randrange(160 * 1024))
            error = None
            for step in range(20):
                error = await change(desk, f"{database} {point} {step}")
                if error is not None:
                    break
                accepted += 1
            refused += error is not None
            assert error in (None, "STORAGE_FULL")
            assert await desk.version("router") == 1 + accepted  # readable, nothing half
            filler.unlink()
            assert (await desk.store.look()).ok
            assert await change(desk, f"{database} {point} again") is None
            accepted += 1
            await desk.store.checkpoint()
        await desk.store.check(full=True)
        assert (await desk.commands.verify_audit()).ok
        await desk.close()
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()

    assert refused > POINTS / 2


@pytest.mark.req("C065")
async def test_a_disk_that_only_the_log_of_the_database_fills_is_cleared_by_itself(
    disk: Path,
) -> None:
    desk = await Desk(disk / "db").open()
    errors = []
    for step in range(200):
        error = await change(desk, f"{step} " + "x" * 500)
        if error is not None:
            errors.append(error)
            assert (await desk.store.look()).ok
            assert await change(desk, f"{step} again") is None
        if len(errors) == 3:
            break
    await desk.store.check(full=True)
    await desk.close()

    assert set(errors) == {"STORAGE_FULL"}


@pytest.mark.req("C070")
def test_a_file_whose_new_content_finds_no_room_keeps_its_old_one(disk: Path) -> None:
    path = disk / "router.lkg.json"
    replace_file(path, b"old" * 1000, keep_previous=True)
    filler = fill(disk, 4096)
    with pytest.raises(StorageError):
        replace_file(path, b"new" * 10_000, keep_previous=True)
    assert path.read_bytes() == b"old" * 1000
    assert {file.name for file in disk.iterdir()} == {path.name, "filler"}
    filler.unlink()
    replace_file(path, b"new" * 10_000, keep_previous=True)

    assert path.read_bytes() == b"new" * 10_000
