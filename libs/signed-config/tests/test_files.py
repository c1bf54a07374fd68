"""Files after a kill or on a full disk: the old content or the new, never half of one."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from parlour_config.errors import StorageError
from parlour_config.files import (
    KEPT_ASIDE,
    previous_of,
    read_limited,
    remove_file,
    replace_file,
    set_aside,
    sweep,
    sync_file,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Killed(BaseException):
    """Stands for the end of the process: no handler of the code under test may catch it."""


def steps(monkeypatch: pytest.MonkeyPatch, seen: Callable[[str, int], None]) -> None:
    """Call ``seen(name, number)`` before every system call that the writer makes."""
    number = 0

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal number
            number += 1
            seen(name, number)
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(tempfile, "mkstemp", watched("create", tempfile.mkstemp))
    for name in ("fsync", "fchmod", "link"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    for name in ("replace", "unlink", "rename"):
        monkeypatch.setattr(Path, name, watched(name, getattr(Path, name)))


def test_a_new_content_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"old")
    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["a.json"]


def test_the_previous_content_is_kept_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"one", keep_previous=True)
    assert not previous_of(path).exists()
    replace_file(path, b"two", keep_previous=True)
    replace_file(path, b"three", keep_previous=True)
    replace_file(path, b"four")

    assert (path.read_bytes(), previous_of(path).read_bytes()) == (b"four", b"two")
    assert sorted(names(tmp_path)) == ["a.json", "a.json.prev"]


def test_two_names_of_one_content_leave_no_spare_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"one")
    os.link(path, previous_of(path))
    replace_file(path, b"two", keep_previous=True)

    assert (path.read_bytes(), previous_of(path).read_bytes()) == (b"two", b"one")
    assert sorted(names(tmp_path)) == ["a.json", "a.json.prev"]


def test_a_file_system_without_links_keeps_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.json"
    replace_file(path, b"one")
    replace_file(path, b"two", keep_previous=True)

    assert (path.read_bytes(), previous_of(path).read_bytes()) == (b"two", b"one")


def test_the_content_reaches_the_disk_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"old")
    order: list[str] = []
    steps(monkeypatch, lambda name, _: order.append(name))
    replace_file(path, b"new")

    assert order == ["create", "fchmod", "fsync", "replace", "fsync"]


@pytest.mark.req("C070", "F15")
@pytest.mark.parametrize("keep", [False, True])
def test_whoever_dies_before_any_step_leaves_the_old_or_the_new_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    path = tmp_path / "a.json"
    last = 0
    for fatal in range(1, 40):
        replace_file(path, b"older")
        replace_file(path, b"old", keep_previous=True)

        def die(_name: str, number: int, fatal: int = fatal) -> None:
            if number == fatal:
                raise Killed

        with monkeypatch.context() as patched:
            steps(patched, die)
            try:
                replace_file(path, b"new", keep_previous=keep)
            except Killed:
                last = fatal
            else:
                break

        assert path.read_bytes() in {b"old", b"new"}
        assert previous_of(path).read_bytes() in {b"older", b"old"}
        sweep(tmp_path, path.name)
        assert sorted(names(tmp_path)) == ["a.json", "a.json.prev"]
    assert last >= 5
    assert path.read_bytes() == b"new"


@pytest.mark.req("C070")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_full_or_broken_disk_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"older")
    replace_file(path, b"old", keep_previous=True)
    order: list[str] = []
    with monkeypatch.context() as patched:
        steps(patched, lambda name, _: order.append(name))
        replace_file(path, b"old", keep_previous=True)

    for fatal in range(1, len(order)):  # the last one syncs the folder, when it is done

        def fail(name: str, number: int, fatal: int = fatal) -> None:
            if number == fatal and name != "unlink":
                raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patched:
            steps(patched, fail)
            try:
                replace_file(path, b"new", keep_previous=True)
            except StorageError as error:
                assert error.retryable  # noqa: PT017  # some steps have another way
                assert path.read_bytes() == b"old"
        replace_file(path, b"old")
        assert sorted(names(tmp_path)) == ["a.json", "a.json.prev"]


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from parlour_config.files import previous_of, replace_file, sweep

path = Path(sys.argv[1])
contents = [bytes([65 + n]) * 20_000 for n in range(4)]
replace_file(path, contents[0])
chance = random.Random(7)
for _ in range(100):
    child = os.fork()
    if child == 0:
        while True:
            for content in contents:
                replace_file(path, content, keep_previous=True)
    time.sleep(chance.uniform(0, 0.006))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_bytes() in contents
    assert not previous_of(path).exists() or previous_of(path).read_bytes() in contents
sweep(path.parent, path.name)
assert {left.name for left in path.parent.iterdir()} <= {path.name, previous_of(path).name}
"""


@pytest.mark.req("C070", "F15")
def test_a_killed_process_leaves_one_whole_content(tmp_path: Path) -> None:
    # The kills happen in a process of their own, which forks without this one's threads.
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "a.json")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_a_file_that_another_program_wrote_is_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"1")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))

    sync_file(path)

    assert synced == [path.stat().st_ino]
    with pytest.raises(OSError, match="none"):
        sync_file(tmp_path / "none")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        replace_file(tmp_path / "none" / "a.json", b"new")

    assert "a.json" in str(refused.value)
    assert (refused.value.code, refused.value.retryable) == ("STORAGE", True)


def test_a_bad_file_is_kept_for_people_and_only_the_newest_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for n in range(KEPT_ASIDE + 2):
        path.write_bytes(b"%d" % n)
        aside = set_aside(path, NOW.replace(second=n))
        assert aside.name == f"a.json.bad-20260102T03040{n}.000006Z"
        assert not path.exists()

    kept = sorted(tmp_path.glob("a.json.bad-*"))
    assert [file.read_bytes() for file in kept] == [b"2", b"3", b"4", b"5", b"6"]


def test_two_bad_files_of_one_moment_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"1")
    one = set_aside(path, NOW)
    path.write_bytes(b"2")
    two = set_aside(path, NOW)

    assert (one.read_bytes(), two.read_bytes()) == (b"1", b"2")
    with pytest.raises(StorageError):
        set_aside(path)


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"12345")

    assert read_limited(path, 5) == b"12345"
    with pytest.raises(StorageError) as refused:
        read_limited(path, 4)
    assert not refused.value.retryable
    with pytest.raises(FileNotFoundError):
        read_limited(tmp_path / "none", 4)


def test_a_pipe_or_a_folder_in_the_place_of_a_file_does_not_hold_up_the_reader(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    for name in ("pipe", "folder"):
        with pytest.raises(StorageError):
            read_limited(tmp_path / name, 100)


def test_removing_is_for_good_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"1")
    remove_file(path)
    remove_file(path)

    assert not path.exists()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        remove_file(tmp_path / "folder")
