"""Keys that are made once, rotated step by step, and survive a kill at every step."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from parlour_config import provision as provisioning
from parlour_config.errors import StorageError
from parlour_config.keyfiles import ManagerKeys, ServiceKeys, read_root_key
from parlour_config.keyfolder import RETIRED_FILE, ROOT_FILE
from parlour_config.keylines import parse_lines, read_lines
from parlour_config.provision import (
    KeysLostError,
    KeysUnwritableError,
    RotatedKey,
    RotationOpenError,
    finish_rotation,
    provision,
    rotation,
    start_rotation,
    switch_rotation,
)
from parlour_config.sealing import open_sealed, seal
from parlour_kit.errors import StartupError

SERVICES = ("router", "stt-worker")
ROTATED: tuple[RotatedKey, ...] = get_args(RotatedKey)
CALLS = ("open", "fsync", "replace", "mkdir", "chmod", "fchmod", "unlink")


def manager(folder: Path) -> ManagerKeys:
    return ManagerKeys.from_environment({}, folder / "config-manager.env")


def service(folder: Path, name: str = "router") -> ServiceKeys:
    return ServiceKeys.from_environment({}, folder / name / "keys.env")


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def agree(folder: Path) -> None:
    """Every service holds what the manager may use, and nothing of another."""
    keys = manager(folder)
    for name in SERVICES:
        held = service(folder, name)
        assert {key.kid for key in held.public_keys} == {key.kid for key in keys.trusted}
        assert [key.kid for key in held.root_keys] == [key.kid for key in keys.roots]
        assert keys.service_keys(name).items() <= held.service_keys.items()
        assert set(keys.lkg_keys(name)) <= set(held.lkg_keys)
        assert held.lkg_keys[0] == keys.lkg_keys(name)[0]
        text = (folder / name / "keys.env").read_text()
        assert "MASTER" not in text
        assert "HMAC" not in text
        assert "PRIVATE" not in text


@pytest.mark.req("C069")
def test_the_first_start_makes_every_key_and_the_second_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    made = provision(folder, SERVICES)

    assert made.written == (
        ROOT_FILE,
        "config-manager.env",
        "router/keys.env",
        "stt-worker/keys.env",
    )
    assert made.services == SERVICES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert made.keys.roots[0].kid == read_root_key(folder / ROOT_FILE).kid
    agree(folder)
    before = content(folder)

    assert provision(folder, SERVICES).written == ()
    assert content(folder) == before


def test_a_full_folder_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provision(tmp_path, SERVICES)
    monkeypatch.setattr(provisioning, "locked", lambda _folder: pytest.fail("locked"))

    assert provision(tmp_path, SERVICES).written == ()


def test_another_service_gets_a_file_and_the_others_keep_theirs(tmp_path: Path) -> None:
    provision(tmp_path, ["router"])
    before = content(tmp_path)

    made = provision(tmp_path, ["stt-worker", "config-manager"])

    assert made.written == ("stt-worker/keys.env",)
    assert before.items() <= content(tmp_path).items()
    agree(tmp_path)


def test_a_root_key_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    made = provision(tmp_path, SERVICES)
    (tmp_path / ROOT_FILE).unlink()

    assert provision(tmp_path, SERVICES).keys.roots[0].kid == made.keys.roots[0].kid
    assert not (tmp_path / ROOT_FILE).exists()


def test_lines_that_the_operator_added_stay(tmp_path: Path) -> None:
    provision(tmp_path, SERVICES)
    with (tmp_path / "router" / "keys.env").open("a") as file:
        file.write("CONFIG_EPOCH_POLICY=pin\n")
    assert provision(tmp_path, SERVICES).written == ()

    start_rotation(tmp_path, "hmac")

    assert service(tmp_path).policy.mode == "pin"


@pytest.mark.req("C069")
def test_keys_that_cannot_be_stored_are_handed_out_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(KeysUnwritableError) as refused:
        provision(tmp_path / "file" / "keys", SERVICES)

    text = refused.value.text
    found = text.split("# --- ")
    assert len(found) == 5
    lines = parse_lines(found[2].partition("\n")[2].encode(), "text")
    keys = ManagerKeys.of(lines)
    assert lines["CONFIG_MASTER_KEY"] not in str(refused.value)
    assert lines["CONFIG_MASTER_KEY"] not in refused.value.hint
    printed = ServiceKeys.of(parse_lines(found[3].partition("\n")[2].encode(), "text"))
    assert printed.public_keys[0].kid == keys.signing.kid


def test_service_files_without_their_source_are_not_given_new_keys(tmp_path: Path) -> None:
    provision(tmp_path, SERVICES)
    (tmp_path / "config-manager.env").unlink()
    before = content(tmp_path)

    with pytest.raises(KeysLostError):
        provision(tmp_path, SERVICES)

    assert content(tmp_path) == before


def test_a_wrong_file_is_left_alone(tmp_path: Path) -> None:
    provision(tmp_path, SERVICES)
    path = tmp_path / "config-manager.env"
    path.write_text(path.read_text().replace("LKG_HMAC_KEY=", "LKG_HMAC_KEY=x"))
    before = content(tmp_path)

    with pytest.raises(StartupError, match="LKG_HMAC_KEY"):
        provision(tmp_path, SERVICES)
    with pytest.raises(StartupError):
        start_rotation(tmp_path, "master")

    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["Router", "a/b", "../x", "", "a" * 64])
def test_only_names_of_services_become_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(StartupError, match="no service"):
        provision(tmp_path, [name])

    assert not list(tmp_path.iterdir())


def test_two_at_once_make_one_set_of_keys(tmp_path: Path) -> None:
    made: list[str] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        made.append(provision(tmp_path, SERVICES).keys.master.id)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert len(set(made)) == 1
    agree(tmp_path)


@pytest.mark.parametrize("name", ROTATED)
@pytest.mark.req("C071")
def test_a_rotation_makes_one_new_key_and_ends_with_it_alone(
    tmp_path: Path, name: RotatedKey
) -> None:
    provision(tmp_path, SERVICES)
    old = rotation(tmp_path, name)
    assert old.phase == "idle"

    started = start_rotation(tmp_path, name)
    assert start_rotation(tmp_path, name) == started
    agree(tmp_path)
    if name == "signing":
        assert (started.phase, started.current) == ("next", old.current)
        with pytest.raises(RotationOpenError):
            finish_rotation(tmp_path, name)
        expected = started.next
    else:
        expected = started.current
    switched = switch_rotation(tmp_path, name)
    assert switch_rotation(tmp_path, name) == switched
    agree(tmp_path)
    assert switched.phase == "switched"
    assert switched.current == expected != old.current
    assert switched.previous == (old.current,)

    finished = finish_rotation(tmp_path, name)
    assert finish_rotation(tmp_path, name) == finished == rotation(tmp_path, name)
    agree(tmp_path)
    assert (finished.phase, finished.current) == ("idle", expected)
    assert finished.previous == ()
    for other in ROTATED:
        assert rotation(tmp_path, other).phase == "idle"


@pytest.mark.req("C071", "SC035")
def test_a_secret_opens_throughout_the_rotation_of_the_master_key(tmp_path: Path) -> None:
    where: Any = {"service": "router", "name": "api_key"}
    provision(tmp_path, SERVICES)
    before = manager(tmp_path)

    def sealed(keys: ManagerKeys) -> Any:
        kid, key = next(iter(keys.service_keys("router").items()))
        return seal("secret", key, **where, kid=kid)

    first = sealed(before)
    start_rotation(tmp_path, "master")
    second = sealed(manager(tmp_path))
    held = service(tmp_path).service_keys
    assert open_sealed(first, held, **where) == open_sealed(second, held, **where) == "secret"

    finish_rotation(tmp_path, "master")
    held = service(tmp_path).service_keys
    assert open_sealed(second, held, **where) == "secret"
    assert list(held) == [manager(tmp_path).master.id]
    retired = read_lines(tmp_path / RETIRED_FILE)
    assert list(retired) == [f"RETIRED_{before.master.id.upper()}"]
    assert stat.S_IMODE((tmp_path / RETIRED_FILE).stat().st_mode) == 0o600


def test_a_full_disk_leaves_the_old_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provision(tmp_path, SERVICES)
    before = content(tmp_path)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for name in ROTATED:
        with pytest.raises(StorageError):
            start_rotation(tmp_path, name)
    with pytest.raises(KeysUnwritableError):
        provision(tmp_path, ["tts-worker"])

    assert content(tmp_path) == before


def killed(work: Callable[[], object], at: int) -> bool:
    """Do the work in a child that dies before or after its n-th call of the file system."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests
        child = os.fork()
    if child == 0:
        try:
            _fail_at(at)
            work()
        except BaseException:  # noqa: BLE001  # nothing of the child may reach the test runner
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 9


def _fail_at(at: int) -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        if steps == at:
            os._exit(9)
        steps += 1

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **kwargs: Any) -> Any:
            step()
            result = call(*args, **kwargs)
            step()
            return result

        return made

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def each_kill(
    start: Path, work: Callable[[Path], object], tmp_path: Path
) -> Iterator[tuple[int, Path]]:
    """The folder as each kill leaves it, until the work gets through."""
    for at in range(1000):
        folder = tmp_path / f"{at}"
        shutil.copytree(start, folder)
        again = killed(lambda folder=folder: work(folder), at)  # type: ignore[misc]
        yield at, folder
        shutil.rmtree(folder)
        if not again:
            assert at > 20
            return
    pytest.fail("no end")


def whole(folder: Path) -> None:
    """Every file that stands there can be read."""
    for path in folder.rglob("*.env"):
        (ManagerKeys if path.stem == "config-manager" else ServiceKeys).from_environment({}, path)


@pytest.mark.req("C069")
def test_a_kill_anywhere_in_the_first_start_is_made_good_by_the_next(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()

    for _, folder in each_kill(start, lambda folder: provision(folder, SERVICES), tmp_path):
        whole(folder)
        before = content(folder)
        provision(folder, SERVICES)
        agree(folder)
        after = content(folder)
        files = {name for name in before if not Path(name).name.startswith(".")}
        assert {name: before[name] for name in files}.items() <= after.items()
        assert not [name for name in after if name.endswith(".tmp")]


@pytest.mark.parametrize("name", ROTATED)
@pytest.mark.req("C071")
def test_a_kill_anywhere_in_a_rotation_is_made_good_by_the_next_call(
    tmp_path: Path, name: RotatedKey
) -> None:
    start = tmp_path / "start"
    provision(start, SERVICES)
    old = rotation(start, name)

    def rotate(folder: Path) -> None:
        start_rotation(folder, name)
        switch_rotation(folder, name)

    for _, folder in each_kill(start, rotate, tmp_path):
        whole(folder)
        seen = rotation(folder, name)
        usable(folder)
        rotate(folder)
        agree(folder)
        done = rotation(folder, name)
        assert (done.phase, done.previous) == ("switched", (old.current,))
        if seen.phase != "idle":
            assert done.current == (seen.next or seen.current)
        assert not list(folder.glob(".*.tmp"))

    rotate(start)
    new = rotation(start, name)
    for _, folder in each_kill(start, lambda folder: finish_rotation(folder, name), tmp_path):
        whole(folder)
        usable(folder)
        finish_rotation(folder, name)
        agree(folder)
        assert rotation(folder, name).current == new.current
        if name == "master":
            assert len(read_lines(folder / RETIRED_FILE)) == 1


def usable(folder: Path) -> None:
    """Whatever the manager would sign or seal with now, every service can take."""
    keys = manager(folder)
    for name in SERVICES:
        held = service(folder, name)
        assert keys.signing.kid in {key.kid for key in held.public_keys}
        assert keys.master.id in held.service_keys
        assert keys.lkg_keys(name)[0] in held.lkg_keys
