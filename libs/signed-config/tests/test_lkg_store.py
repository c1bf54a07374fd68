"""What a service finds on its disk when it starts, and what it does about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parlour_config.clock import EPOCH_START, add_us
from parlour_config.errors import RefusedUpdateError, SignedConfigError, StorageError
from parlour_config.files import previous_of
from parlour_config.keyset import Keyset, build_keyset, listed, read_keyset, sign_keyset
from parlour_config.lkg_store import LkgStore, Restored
from parlour_config.signing import SigningKey, TrustedKey
from parlour_config.trust import TrustedSet, TrustState
from parlour_config.update import Update, build_update, read_update

KEY, NEXT, ROOT = (SigningKey(bytes([n]) * 32) for n in (1, 2, 9))
ENV = [TrustedKey.of(KEY.public)]
MAC, OLD_MAC = b"m" * 32, b"o" * 32
FIRST, SECOND = (f"{n:08x}-0000-4000-8000-000000000000" for n in (1, 2))
START = "2026-01-01T00:00:00.000000Z"
TOPIC = "system/config/stt-worker"


def update(n: int, volume: int, epoch: str = FIRST, key: SigningKey = KEY) -> Update:
    return read_update(
        build_update(
            key,
            service="stt-worker",
            config={"volume": volume},
            config_epoch=epoch,
            issued_at=add_us(START, n),
        )
    )


class Life:
    """One run of a service on its disk; a crash is a run that simply ends."""

    def __init__(
        self, folder: Path, keys: Sequence[bytes] = (MAC,), *, forgive: bool = False
    ) -> None:
        self.store = LkgStore(folder, "stt-worker", lambda: keys)
        if forgive:
            self.store.forgive()
        self.found: Restored = self.store.restore(ENV)
        self.trusted = TrustedSet("stt-worker", self.found.keys, self.found.state)
        self.running = self.found.lkg.payload["stt-worker"] if self.found.lkg else None

    def boot(self) -> None:
        """Apply what was found."""
        if self.found.lkg is not None and self.found.lkg.update is not None:
            self.store.begin_apply(self.found.lkg.update)

    def judge(self, taken: Update) -> str:
        try:
            self.trusted.verify(taken.raw, TOPIC)
        except RefusedUpdateError as error:
            return error.code
        return "fine"

    def take(self, taken: Update) -> None:
        """Take a message as far as the file; the minute afterwards is :meth:`settle`."""
        _, verdict = self.trusted.verify(taken.raw, TOPIC)
        new_state = verdict.new_state  # type: ignore[union-attr]
        self.store.begin_apply(taken)
        self.trusted.commit(new_state)
        self.store.save(taken, new_state)

    def settle(self) -> None:
        self.store.settled()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.req("C070", "SC011")
def test_a_service_starts_with_what_it_took_last(tmp_path: Path) -> None:
    first = Life(tmp_path)
    assert first.found.lkg is None
    assert (first.found.state, first.found.decision.kind) == (TrustState(), "clean")
    first.take(update(1, 10))
    first.take(update(2, 20))
    first.settle()

    second = Life(tmp_path)
    assert second.running == {"volume": 20}
    assert second.found.state == first.trusted.state
    assert second.found.problems == ()
    assert names(tmp_path) == {"stt-worker.lkg.json", "stt-worker.lkg.json.prev"}
    assert (tmp_path / "stt-worker.lkg.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.req("SC038")
def test_the_floor_outlives_a_restart(tmp_path: Path) -> None:
    first = Life(tmp_path)
    first.take(update(5, 10))
    first.take(update(7, 20, SECOND))
    first.settle()

    second = Life(tmp_path)
    assert second.judge(update(6, 10, SECOND)) == "STALE"
    assert second.judge(update(9, 10, FIRST)) == "RETIRED_EPOCH"
    assert second.judge(update(8, 10, SECOND)) == "fine"


def test_a_folder_is_made_for_the_service_alone(tmp_path: Path) -> None:
    Life(tmp_path / "data" / "config")

    assert (tmp_path / "data" / "config").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        Life(tmp_path / "file" / "config")


@pytest.mark.req("C070")
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "grown"])
def test_a_tampered_file_is_set_aside_and_the_service_starts_on_defaults(
    tmp_path: Path, damage: str
) -> None:
    Life(tmp_path).take(update(1, 10))
    Life(tmp_path).settle()
    path = tmp_path / "stt-worker.lkg.json"
    good = path.read_bytes()
    bad = {
        "flip": good.replace(b'"volume":10', b'"volume":11'),
        "cut": good[:-9],
        "empty": b"",
        "grown": good + b" " * 4_000_000,
    }[damage]
    path.write_bytes(bad)

    found = Life(tmp_path).found
    assert (found.lkg, found.state) == (None, TrustState())
    assert [problem.code for problem in found.problems] in (["LKG_BAD"], ["STORAGE"])
    assert [aside.read_bytes() for aside in found.aside] == [bad]
    assert not path.exists()
    assert Life(tmp_path).found.problems == ()


def test_a_file_that_cannot_be_read_now_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Life(tmp_path).take(update(1, 10))
    Life(tmp_path).settle()
    real = os.open

    def failing(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("lkg.json"):
            raise OSError(errno.EIO, "input/output error")
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing)
        found = Life(tmp_path).found
    assert found.lkg is None
    assert (found.problems[0].retryable, found.aside) == (True, ())
    assert Life(tmp_path).running == {"volume": 10}


def test_a_bad_file_that_cannot_be_moved_does_not_keep_the_service_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stt-worker.lkg.json"
    path.write_bytes(b"{}")

    def refuse(*_args: object) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        found = Life(tmp_path).found
    assert (found.lkg, found.aside) == (None, ())
    assert [problem.code for problem in found.problems] == ["LKG_BAD", "STORAGE"]
    assert path.exists()


def test_what_a_killed_writer_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / ".stt-worker.lkg.json.abc.tmp").write_bytes(b"half")
    (tmp_path / ".stt-worker.applying.json.abc.tmp").write_bytes(b"half")
    (tmp_path / "other.json").write_bytes(b"")
    Life(tmp_path)

    assert names(tmp_path) == {"other.json"}


def test_a_file_under_the_previous_key_is_read_and_the_next_one_is_under_the_new(
    tmp_path: Path,
) -> None:
    Life(tmp_path, [OLD_MAC]).take(update(1, 10))
    rotated = Life(tmp_path, [MAC, OLD_MAC])
    assert rotated.running == {"volume": 10}
    assert rotated.found.lkg is not None
    assert rotated.found.lkg.key_index == 1
    rotated.take(update(2, 20))

    assert Life(tmp_path, [MAC]).running == {"volume": 20}


def test_only_another_configuration_takes_the_place_of_the_previous_one(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.take(update(2, 20))
    previous = previous_of(life.store.path).read_bytes()
    life.settle()
    life.take(update(3, 20))
    life.settle()
    Life(tmp_path).take(update(4, 20))

    assert previous_of(life.store.path).read_bytes() == previous
    assert b'"volume":10' in previous


@pytest.mark.req("C070")
def test_on_a_full_disk_the_old_file_stays_and_the_failure_has_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.settle()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError) as refused:
            life.store.save(update(2, 20), TrustState())
    assert refused.value.code == "LKG_WRITE_FAILED"
    assert Life(tmp_path).running == {"volume": 10}
    life.store.save(update(2, 20), TrustState())
    assert Life(tmp_path).running == {"volume": 20}


def test_without_a_key_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        LkgStore(tmp_path, "stt-worker", list).save(update(1, 10), TrustState())

    assert (refused.value.code, refused.value.retryable) == ("LKG_WRITE_FAILED", False)
    assert "LKG_SERVICE_KEY" in refused.value.hint


# The poison guard.


def test_one_crash_may_have_been_the_power(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.settle()
    life.take(update(2, 20))

    again = Life(tmp_path)
    assert (again.found.decision.kind, again.running) == ("retry", {"volume": 20})
    again.boot()
    again.settle()
    assert Life(tmp_path).found.decision.kind == "clean"


@pytest.mark.req("C070")
def test_the_second_crash_brings_the_configuration_before(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.settle()
    poison = update(5, 20)
    life.take(poison)
    Life(tmp_path).boot()

    third = Life(tmp_path)
    assert third.found.decision.kind == "poisoned"
    assert third.found.decision.checksum == poison.checksum
    assert third.running == {"volume": 10}
    assert third.judge(poison) == "CRASH_AFTER_APPLY"
    assert third.judge(update(6, 20)) == "CRASH_AFTER_APPLY"
    assert third.judge(update(3, 30)) == "STALE"
    assert third.judge(update(6, 30)) == "fine"

    fourth = Life(tmp_path)
    assert (fourth.found.decision.kind, fourth.running) == ("clean", {"volume": 10})
    assert fourth.found.state == third.found.state
    assert fourth.judge(poison) == "CRASH_AFTER_APPLY"
    fourth.take(update(7, 30))
    fourth.settle()
    assert Life(tmp_path).judge(update(8, 20)) == "fine"


def test_a_crash_before_the_file_was_written_counts_too(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.settle()
    poison = update(5, 20)
    for _ in range(2):
        crashing = Life(tmp_path)
        assert crashing.running == {"volume": 10}
        assert crashing.judge(poison) == "fine"
        crashing.store.begin_apply(poison)

    after = Life(tmp_path)
    assert (after.found.decision.kind, after.running) == ("poisoned", {"volume": 10})
    assert after.judge(poison) == "CRASH_AFTER_APPLY"
    assert Life(tmp_path).judge(poison) == "CRASH_AFTER_APPLY"


def test_poison_without_a_configuration_before_it_leaves_the_defaults(tmp_path: Path) -> None:
    poison = update(5, 20, SECOND)
    life = Life(tmp_path)
    life.trusted.commit(replace(life.trusted.state, retired=(FIRST,)))
    life.take(poison)
    Life(tmp_path).boot()

    for _ in range(3):
        after = Life(tmp_path)
        assert (after.found.decision.kind, after.running) == ("poisoned", None)
        assert after.judge(poison) == "CRASH_AFTER_APPLY"
        assert after.judge(update(3, 30, SECOND)) == "STALE"
        assert after.judge(update(9, 30, FIRST)) == "RETIRED_EPOCH"
    after.take(update(9, 30, SECOND))
    after.settle()
    assert Life(tmp_path).running == {"volume": 30}
    assert not previous_of(after.store.path).exists()


def test_when_the_configuration_before_crashes_too_the_defaults_are_left(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.take(update(2, 20))
    Life(tmp_path).boot()
    for _ in range(2):
        assert Life(tmp_path).running == {"volume": 10}
        Life(tmp_path).boot()

    assert Life(tmp_path).running is None


def test_after_poison_no_epoch_is_entered_again(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.settle()
    life.take(update(5, 20, SECOND))
    Life(tmp_path).boot()

    after = Life(tmp_path)
    assert after.running == {"volume": 10}
    assert (after.found.state.epoch, after.found.state.retired) == (SECOND, (FIRST,))
    assert after.judge(update(9, 10, FIRST)) == "RETIRED_EPOCH"
    assert after.judge(update(5, 20, SECOND)) == "CRASH_AFTER_APPLY"
    assert Life(tmp_path).found.state == after.found.state


def test_another_configuration_ends_the_count_of_the_one_before(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    Life(tmp_path).boot()
    life.store.begin_apply(update(2, 20))

    assert Life(tmp_path).found.decision.kind == "retry"


def test_the_operator_lets_a_poisonous_configuration_be_tried_again(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.take(update(5, 20))
    Life(tmp_path).boot()
    assert Life(tmp_path).judge(update(5, 20)) == "CRASH_AFTER_APPLY"

    asked = Life(tmp_path, forgive=True)

    assert asked.found.forgiven == (update(5, 20).checksum,)
    assert asked.running == {"volume": 10}
    assert asked.judge(update(5, 20)) == "fine"
    later = Life(tmp_path)
    assert later.found.forgiven == ()
    assert later.judge(update(5, 20)) == "fine", "it is in the file, too"


def test_what_the_operator_lets_be_tried_again_at_the_start_begins_a_new_count(
    tmp_path: Path,
) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.take(update(5, 20))
    Life(tmp_path).boot()

    asked = Life(tmp_path, forgive=True)
    asked.boot()

    assert asked.found.forgiven == (update(5, 20).checksum,)
    assert asked.running == {"volume": 20}
    assert Life(tmp_path).found.decision.kind == "retry", "one crash may be the power again"
    Life(tmp_path).boot()
    assert Life(tmp_path).running == {"volume": 10}


def test_without_a_mark_there_is_nothing_to_forgive(tmp_path: Path) -> None:
    Life(tmp_path, forgive=True)
    life = Life(tmp_path)
    life.take(update(1, 10))

    asked = Life(tmp_path, forgive=True)

    assert (asked.found.forgiven, asked.found.decision.kind) == ((), "retry")
    assert asked.found.problems == ()


@pytest.mark.parametrize(
    "marker",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"attempts":9,"checksum":1,"issued_at":"x"}',
        b'{"attempts":9,"checksum":"a","issued_at":"x"}',
        b"x" * 9_000,
    ],
)
def test_a_marker_that_cannot_be_read_says_nothing(tmp_path: Path, marker: bytes) -> None:
    Life(tmp_path).take(update(1, 10))
    (tmp_path / "stt-worker.applying.json").write_bytes(marker)

    found = Life(tmp_path).found
    assert (found.decision.kind, found.lkg is None) == ("clean", False)


def test_a_full_disk_while_poison_is_left_out_does_not_keep_the_service_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path)
    life.take(update(1, 10))
    life.take(update(5, 20))
    Life(tmp_path).boot()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        after = Life(tmp_path)
    assert after.running == {"volume": 10}
    assert after.judge(update(5, 20)) == "CRASH_AFTER_APPLY"
    assert [problem.code for problem in after.found.problems] == ["LKG_WRITE_FAILED"]
    assert Life(tmp_path).running == {"volume": 10}


# Keysets.


def keyset(version: int, *keys: SigningKey, reset: Sequence[str] = ()) -> Keyset:
    body = build_keyset(
        version=version,
        roots=[ROOT.public],
        threshold=1,
        config_keys=[listed(key.public) for key in keys],
        reset_floor_for=reset,
    )
    return read_keyset(sign_keyset(body, [ROOT]))


def test_an_accepted_keyset_takes_the_place_of_the_environments_keys(tmp_path: Path) -> None:
    LkgStore(tmp_path, "stt-worker", lambda: [MAC]).save_keyset(keyset(3, NEXT).raw)

    life = Life(tmp_path)
    assert life.found.keyset == keyset(3, NEXT)
    assert life.found.state.keyset_version == 3
    assert life.judge(update(1, 10)) == "BAD_SIGNATURE"
    assert life.judge(update(1, 10, key=NEXT)) == "fine"


def test_a_crash_between_the_keyset_and_the_file_still_drops_the_floor(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.take(update(5, 10))
    life.settle()
    life.store.save_keyset(keyset(1, KEY, NEXT, reset=[KEY.kid]).raw)

    again = Life(tmp_path)
    assert (again.found.state.floor, again.running) == (EPOCH_START, {"volume": 10})
    assert again.judge(update(2, 10, SECOND, key=NEXT)) == "fine"


@pytest.mark.parametrize("loss", ["removed", "altered", "older"])
def test_while_the_accepted_keyset_is_lost_nothing_verifies_and_the_service_runs_on(
    tmp_path: Path, loss: str
) -> None:
    life = Life(tmp_path)
    life.store.save_keyset(keyset(2, KEY).raw)
    life.take(update(5, 10))
    state = replace(life.trusted.state, keyset_version=3)
    life.store.save(update(5, 10), state)
    life.settle()
    path = life.store.keyset_path
    if loss == "removed":
        path.unlink()
    elif loss == "altered":
        path.write_bytes(path.read_bytes()[:-1])

    again = Life(tmp_path)
    assert (again.running, again.found.keys) == ({"volume": 10}, ())
    assert again.judge(update(6, 20)) == "BAD_SIGNATURE"
    assert len(again.found.problems) == len(again.found.aside) == (loss == "altered")


def test_problems_tell_the_operator_what_to_do(tmp_path: Path) -> None:
    Life(tmp_path).take(update(1, 10))
    (tmp_path / "stt-worker.lkg.json").write_bytes(b"{}")

    problems: tuple[SignedConfigError, ...] = Life(tmp_path).found.problems
    assert all(problem.hint for problem in problems)
