"""A copy takes the database's place only when all of it agrees; else an earlier state does."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backup_ground import grow, made, replicate
from parlour_cli.backup import commands, fetching
from parlour_cli.backup.contents import examine
from parlour_cli.backup.errors import ContradictionError, DamagedCopyError, LitestreamError
from parlour_cli.backup.fetching import PassedOver, Source, fetch, newest_good
from parlour_cli.backup.litestream import State, read_states
from parlour_cli.backup.places import Places
from parlour_cli.backup.restoring import put_back

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
needs_litestream = pytest.mark.skipif(
    not (Path(os.sys.executable).with_name("litestream").exists() or shutil.which("litestream")),
    reason="the program litestream is not installed (make setup)",
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.of(tmp_path / "data")
    made(found.database)
    return found


def newest_file(replica: Path) -> Path:
    return max((replica / "ltx" / "0").glob("*.ltx"))


def altered(path: Path, sql: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()
    return path


STORIES = {
    "a change was altered": "UPDATE config_history SET changed_by = 'eva' WHERE id = 2",
    "a change is missing": "DELETE FROM config_history WHERE id = 2",
    "the newest row of the chain is another": "UPDATE audit_chain SET head = 'ab' WHERE seq = 3",
    "the chain is no chain": "UPDATE audit_chain SET head = 'none' WHERE seq = 2",
    "the chain lacks its end": "DELETE FROM audit_chain WHERE seq = 3",
    "a version is missing": "DELETE FROM service_config_snapshots WHERE version = 2",
    "a version was altered": "UPDATE service_config_snapshots SET config_json = '{}' "
    "WHERE version = 1",
    "what counts is not the newest": "UPDATE service_configs SET version = 2",
    "what counts was altered": "UPDATE service_configs SET config_json = '{}'",
    "nothing counts": "DELETE FROM service_configs",
}


@pytest.mark.req("C074", "C077")
@pytest.mark.parametrize("sql", STORIES.values(), ids=STORIES)
def test_a_copy_whose_rows_do_not_fit_each_other_replaces_nothing_unless_it_is_wanted(
    places: Places, tmp_path: Path, sql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = altered(made(tmp_path / "copy.db"), sql)
    before = places.database.read_bytes()

    with pytest.raises(ContradictionError):
        examine(copy)
    assert commands.restore(source=str(copy), yes=True, data=places.folder.parent) == 1
    assert "--contradictory" in capsys.readouterr().err
    assert places.database.read_bytes() == before

    done = commands.restore(
        source=str(copy), yes=True, contradictory=True, data=places.folder.parent
    )
    assert done == 0


def test_the_newest_good_state_is_found_in_few_trials() -> None:
    for count in (1, 2, 3, 10, 1000):
        for first in {0, 1, 2, count // 2, count - 1}:
            tried: list[int] = []

            def good(index: int, first: int = first, tried: list[int] = tried) -> bool:
                tried.append(index)
                return index >= first

            assert newest_good(count, good) == (first if first < count else None)
            assert len(tried) <= 2 * count.bit_length() + 1
    assert newest_good(0, lambda _: True) is None
    assert newest_good(7, lambda _: False) is None
    assert newest_good(9, lambda index: index == 8) == 8


def test_a_state_is_listed_once_with_the_moment_of_the_lowest_level() -> None:
    files = [
        {"level": 1, "min_txid": "1", "max_txid": "000000000000000a", "timestamp": "2026-11-24T09:00:30Z"},
        {"level": 0, "min_txid": "a", "max_txid": "000000000000000a", "timestamp": "2026-11-24T09:00:07Z"},
        {"level": 0, "min_txid": "b", "max_txid": "000000000000000b"},
    ]  # fmt: skip
    assert read_states(json.dumps(files)) == [
        State(11, None), State(10, datetime(2026, 11, 24, 9, 0, 7, tzinfo=UTC)),
    ]  # fmt: skip
    assert read_states("") == read_states("null") == []
    for nonsense in ("{", '[{"level": 0}]', '[{"level": 0, "max_txid": "x"}]', "7"):
        with pytest.raises(LitestreamError):
            read_states(nonsense)


def test_what_is_missing_is_said_in_words() -> None:
    passed = PassedOver(3, NOW, NOW.replace(hour=11, minute=59, second=50), "it is damaged")
    assert passed.in_words() == (
        "the newest state, of 2026-11-24T12:00:00Z, is not good: it is damaged; the newest good "
        "one is of 2026-11-24T11:59:50Z, 3 before it: what was changed in the 10 seconds between "
        "is not in it"
    )
    assert "an unknown time" in PassedOver(1, None, None, "x").in_words()


def broken_file(places: Places, replica: Path) -> None:
    """The newest file has bytes that were never written."""
    file = newest_file(replica)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.write_bytes(raw)


def two_stories(places: Places, replica: Path) -> None:
    """The newest file is whole, and of another database than the ones before."""
    altered(places.database, "UPDATE config_history SET changed_by = 'eva' WHERE id = 1")
    replicate(places, replica.parent.parent)


@needs_litestream
@pytest.mark.req("C074")
@pytest.mark.parametrize("harm", [broken_file, two_stories])
def test_a_restore_takes_the_state_before_a_bad_one_and_says_so(
    places: Places,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Places, Path], None],
) -> None:
    copies = tmp_path / "copies"
    replicate(places, copies)
    grow(places.database, 4, 6)
    replica = replicate(places, copies)
    if harm is broken_file:
        grow(places.database, 7, 9)
        replicate(places, copies)
    harm(places, replica)

    assert commands.drill(source=str(copies), as_json=True, data=places.folder.parent) == 1
    said = capsys.readouterr()
    assert "is not good" in said.err
    assert json.loads(said.out)["passed_over"]["states"] == 1

    assert commands.restore(source=str(copies), yes=True, data=places.folder.parent) == 0
    said = capsys.readouterr()
    assert "note: the newest state" in said.err
    assert "seconds between is not in it" in said.err
    assert "an earlier state; all checks passed" in said.out
    assert examine(places.database).versions == 6


@needs_litestream
@pytest.mark.req("C074")
def test_an_earlier_state_takes_no_place_before_somebody_agrees(
    places: Places, tmp_path: Path
) -> None:
    replicate(places, tmp_path / "copies")
    grow(places.database, 4, 6)
    broken_file(places, replicate(places, tmp_path / "copies"))
    before = places.database.read_bytes()
    asked: list[PassedOver] = []

    def refuse(passed: PassedOver) -> bool:
        asked.append(passed)
        return False

    source = commands.pick(places, str(tmp_path / "copies"), None, None)
    with pytest.raises(fetching.BackupError, match="nothing was changed"):
        put_back(places, source, at=NOW, say=print, agree=refuse)

    assert [passed.states for passed in asked] == [1]
    assert places.database.read_bytes() == before
    assert not places.marker.exists()
    assert not list(places.folder.glob("*.restoring*"))


@needs_litestream
@pytest.mark.req("C074")
def test_a_replica_without_any_good_state_says_what_is_wrong_with_the_newest(
    places: Places, tmp_path: Path
) -> None:
    replica = replicate(places, tmp_path / "copies")
    broken_file(places, replica)
    with pytest.raises(LitestreamError, match="could not restore"):
        fetch(Source(replica), tmp_path / "scratch.db")

    altered(places.database, "PRAGMA application_id=1")
    shutil.rmtree(replica)
    shutil.rmtree(places.state)
    with pytest.raises(DamagedCopyError, match="not config-manager's"):
        fetch(Source(replicate(places, tmp_path / "copies")), tmp_path / "scratch.db")
