"""Copies of the configuration are listed, tried and put back; the program Litestream is the real one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from backup_ground import grow, made, replicate
from parlour_cli.backup import commands, litestream
from parlour_cli.backup.contents import examine
from parlour_cli.backup.errors import (
    BackupError,
    DamagedCopyError,
    LitestreamError,
    NoCopyError,
    RunningError,
)
from parlour_cli.backup.fetching import Source
from parlour_cli.backup.places import Places
from parlour_cli.backup.replicas import Replica, choose, find_replicas
from parlour_cli.backup.restoring import put_back

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
needs_litestream = pytest.mark.skipif(
    not (Path(os.sys.executable).with_name("litestream").exists() or shutil.which("litestream")),
    reason="the program litestream is not installed (make setup)",
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.of(tmp_path / "my data")
    made(found.database)
    return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replica(host: str, epoch: str, *, newest: int, oldest: int = 1000) -> Replica:
    ago = [NOW - timedelta(minutes=minutes) for minutes in (oldest, newest)]
    return Replica(Path(f"/r/{host}/{epoch}"), host, epoch, *ago, 1)


@pytest.mark.req("C074")
@pytest.mark.parametrize("who", ["config-manager", "Litestream"])
def test_a_restore_stops_while_somebody_has_the_database_open(
    places: Places, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = places.database.read_bytes()
    with locked(places.locks[who]):
        assert places.runs(who)
        code = commands.restore(source=str(places.database), yes=True, data=places.folder.parent)
        with pytest.raises(RunningError, match=who):
            put_back(places, Source(places.database, whole=True), at=NOW, say=print)

    assert code == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert places.database.read_bytes() == before
    assert not places.marker.exists()
    assert not places.runs(who)


@needs_litestream
@pytest.mark.req("C074")
def test_a_replica_takes_the_databases_place_and_everything_old_goes_aside_together(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replicate(places, tmp_path / "copies of it")
    grow(places.database, 4, 9)
    log = places.database.with_name("config.db-wal")
    log.write_bytes(b"of the old database")
    places.env.write_text("PARLOUR_HOST=home\nCONFIG_EPOCH=e1\n")

    code = commands.restore(
        source=str(tmp_path / "copies of it"), yes=True, data=places.folder.parent
    )

    assert code == 0
    assert examine(places.database).versions == 3
    said = capsys.readouterr().out
    assert [f"{n}/4" in said for n in (1, 2, 3, 4)] == [True] * 4
    kept = sorted(path.name for path in places.folder.glob("*before-restore*"))
    assert [name.rpartition("Z")[2] for name in kept] == [
        "-litestream", "", "-litestream.env", "-wal",
    ]  # fmt: skip
    assert not any(path.exists() for path in (log, places.state, places.env))
    assert json.loads(places.marker.read_text())["from"].endswith("copies of it/home/e1")
    assert places.database.stat().st_mode & 0o777 == 0o600
    assert not list(places.folder.glob("*.restoring*"))


@needs_litestream
@pytest.mark.req("C074")
def test_a_replica_goes_back_to_a_moment(places: Places, tmp_path: Path) -> None:
    replicate(places, tmp_path / "copies")
    time.sleep(1.1)  # the program's moments have whole seconds
    between = datetime.now(UTC).isoformat()
    time.sleep(1.1)
    grow(places.database, 4, 9)
    replicate(places, tmp_path / "copies")

    for until, versions in ((between, 3), (None, 9)):
        put_back(places, commands.pick(places, str(tmp_path / "copies"), None, until), at=NOW,
                 say=print)  # fmt: skip
        assert examine(places.database).versions == versions


def test_the_daily_copy_can_be_put_back_without_litestream(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litestream.shutil, "which", lambda _name: None)
    monkeypatch.setattr(litestream.sys, "executable", str(tmp_path / "python"))
    copy = made(tmp_path / "copy.db", 2)

    assert commands.restore(source=str(copy), yes=True, data=places.folder.parent) == 0
    assert examine(places.database).versions == 2
    with pytest.raises(LitestreamError, match="not found"):
        put_back(places, Source("s3://nowhere"), at=NOW, say=print)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_restores_belongs_to_whoever_has_the_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 12345, 12345)
    copy = made(tmp_path / "copy.db", 2)

    assert commands.restore(source=str(copy), yes=True, data=data) == 0
    folder = Places.of(data).folder
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {12345}


@pytest.mark.parametrize("damage", ["cut", "foreign", "gap", "not newest"])
def test_a_copy_that_is_not_whole_replaces_nothing(
    places: Places, tmp_path: Path, damage: str
) -> None:
    copy = made(tmp_path / "copy.db", 40)
    with closing(sqlite3.connect(copy)) as db:
        if damage == "foreign":
            db.execute("PRAGMA application_id=1")
        if damage == "gap":
            db.execute("DELETE FROM service_config_snapshots WHERE version = 7")
        if damage == "not newest":
            db.execute("UPDATE service_configs SET version = 39")
        db.commit()
    if damage == "cut":
        copy.write_bytes(copy.read_bytes()[:-9000])
    before = places.database.read_bytes()

    with pytest.raises(DamagedCopyError):
        put_back(places, Source(copy, whole=True), at=NOW, say=print)
    assert places.database.read_bytes() == before
    assert sorted(path.name for path in places.folder.iterdir()) == [
        "config.db", "config.db.ckpt", "config.db.lock",
    ]  # fmt: skip


def test_versions_may_jump_where_an_epoch_began(tmp_path: Path) -> None:
    path = made(tmp_path / "config.db", 3)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE epochs SET config_epoch = 'e2'")
        db.commit()
    grow(path, 1003, 1003, epoch="e2")

    assert examine(path).versions == 4


def test_the_old_files_come_back_when_the_copy_cannot_take_their_place(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = made(tmp_path / "copy.db", 2)
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name.endswith(".restoring"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(BackupError, match="No space"):
        put_back(places, Source(copy, whole=True), at=NOW, say=print)

    assert examine(places.database).versions == 3
    assert not places.marker.exists()


@needs_litestream
def test_a_drill_tells_how_far_the_copy_is_behind_and_touches_nothing(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replicate(places, tmp_path / "copies")
    grow(places.database, 4, 9)
    before = places.database.read_bytes()

    assert commands.drill(source=str(tmp_path / "copies"), data=places.folder.parent) == 0
    assert "6 rows behind" in capsys.readouterr().out
    assert places.database.read_bytes() == before
    assert not places.marker.exists()


def test_a_drill_fails_on_a_copy_of_another_story(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = made(tmp_path / "copy.db", 2, story="b")

    assert commands.drill(source=str(copy), data=places.folder.parent) == 1
    assert "another story" in capsys.readouterr().err
    assert commands.drill(source=str(copy), data=tmp_path / "nowhere") == 0


def test_the_newest_replica_of_this_machine_is_taken_and_none_is_guessed() -> None:
    both = [replica("attic", "e9", newest=1), replica("home", "e2", newest=5, oldest=60),
            replica("home", "e1", newest=90)]  # fmt: skip
    folder = Path("/r")

    assert choose(both, "home", folder).epoch == "e2"
    assert choose(both, "home", folder, NOW - timedelta(minutes=80)).epoch == "e1"
    assert choose(both[1:], None, folder).epoch == "e2"
    for replicas, host, until in (
        (both, None, None),
        (both, "cellar", None),
        ([], None, None),
        (both, "home", NOW - timedelta(days=9)),
    ):
        with pytest.raises(NoCopyError):
            choose(replicas, host, folder, until)


def test_status_fails_without_a_copy_and_lists_what_there_is(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tmp_path / "copies")
    assert commands.status(source=where, data=places.folder.parent) == 1
    made(places.daily)
    assert commands.status(source=where, data=places.folder.parent) == 0
    file = tmp_path / "copies" / "home" / "e1" / "ltx" / "0" / "1-1.ltx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    capsys.readouterr()

    assert commands.status(source=where, as_json=True, data=places.folder.parent) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["running"] == {"config-manager": False, "Litestream": False}
    assert [(r["host"], r["epoch"]) for r in told["replicas"]] == [("home", "e1")]
    assert [r.host for r in find_replicas(tmp_path / "copies")] == ["home"]


def test_status_fails_when_litestream_runs_and_does_not_say_when_it_last_copied(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(places.daily)
    with locked(places.locks["Litestream"]):
        assert commands.status(source=str(tmp_path), data=places.folder.parent) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(("copying", "code"), [(200, 0), (500, 1)])
def test_status_fails_when_litestream_runs_and_cannot_read_the_database(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    copying: int, code: int,
) -> None:  # fmt: skip
    made(places.daily)
    listed = {"path": str(places.database), "last_sync_at": datetime.now(UTC).isoformat()}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/list":
            return httpx.Response(200, json={"databases": [listed]})
        assert json.loads(request.content) == {"path": str(places.database)}
        return httpx.Response(copying, json={})

    monkeypatch.setattr(litestream.httpx, "HTTPTransport", lambda uds: httpx.MockTransport(answer))
    with locked(places.locks["Litestream"]):
        assert commands.status(source=str(places.folder), data=places.folder.parent) == code
    assert ("cannot copy the database" in capsys.readouterr().err) == bool(code)


@pytest.mark.parametrize("said", ["0.5.16", "v0.3.13", "nonsense"])
def test_a_release_of_litestream_that_can_damage_a_database_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    binary = tmp_path / "litestream"
    binary.write_text(f"#!/bin/sh\necho {said}\n")
    binary.chmod(0o755)
    monkeypatch.setattr(litestream.sys, "executable", str(tmp_path / "python"))

    with pytest.raises(LitestreamError, match="too old"):
        litestream.find_litestream()


@pytest.mark.parametrize("until", ["yesterday", "2026-11-24T11:00:00"])
def test_a_moment_without_a_time_zone_is_refused(places: Places, until: str) -> None:
    assert commands.restore(until=until, yes=True, data=places.folder.parent) == 2
