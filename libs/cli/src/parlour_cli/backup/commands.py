"""``parlour backup status|restore|drill``."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from parlour_cli.backup.contents import distance
from parlour_cli.backup.errors import DamagedCopyError, LitestreamError
from parlour_cli.backup.fetching import PassedOver, Source, fetch
from parlour_cli.backup.litestream import last_sync
from parlour_cli.backup.places import KEEPER, LITESTREAM, Places
from parlour_cli.backup.replicas import (
    DEFAULT_FOLDER,
    VARIABLE,
    Replica,
    choose,
    find_replicas,
    replica_at,
)
from parlour_cli.backup.restoring import put_back
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import FAILED, complain, in_words, print_columns, print_json
from parlour_cli.options import Data, Json, Yes
from parlour_cli.talk.errors import InputError
from parlour_cli.typed import agreed

LATE_S = 60.0
"""A replica that got nothing for so long is late; it gets something even when nothing changes."""

app = App(name="backup", help="Look after the copies of the configuration, and put one back.")
From = Annotated[
    str | None,
    Parameter(
        name="--from",
        help="A folder of replicas, one replica, its URL, or a copy of the database (default: "
        f"{VARIABLE}, else {DEFAULT_FOLDER}).",
    ),
]
Host = Annotated[
    str | None,
    Parameter(help="Whose replica, where a folder has those of several machines."),
]
Until = Annotated[
    str | None,
    Parameter(help="Take nothing later than this moment, such as 2026-11-24T09:00:00Z."),
]
Contradictory = Annotated[
    bool,
    Parameter(
        negative="",
        help="Take a copy although its rows do not fit each other, as long as its pages are whole.",
    ),
]


@app.command
@in_words
def status(*, source: From = None, as_json: Json = False, data: Data = None) -> int:
    """Show which copies there are; the exit code is 1 without any, or when the newest is late."""
    places, now = Places.of(resolve_data_dir(data)), datetime.now(UTC)
    running = {who: places.runs(who) for who in (KEEPER, LITESTREAM)}
    replicas = find_replicas(_folder(source))
    synced: datetime | None = None
    problem = "" if replicas or places.daily.exists() else "there is no copy at all"
    if running[LITESTREAM]:
        try:
            synced = last_sync(places.socket, places.database)
        except LitestreamError as error:
            problem = str(error)
        else:
            if synced is None or (now - synced).total_seconds() > LATE_S:
                problem = "nothing has reached the replica for a minute"
    daily = _modified(places.daily)
    if as_json:
        print_json(
            {
                "running": running,
                "last_sync": synced.isoformat() if synced else None,
                "replicas": [_plain(replica) for replica in replicas],
                "daily_copy": daily.isoformat() if daily else None,
                "problem": problem or None,
            }
        )
    else:
        for who, runs in running.items():
            print(f"{who} {'runs' if runs else 'is stopped'}")
        if synced:
            print(f"the replica was brought up to date {age(now, synced)}")
        print(f"the daily copy is from {age(now, daily)}" if daily else "there is no daily copy")
        if replicas:
            print()
            _print_replicas(replicas, now)
        if problem:
            complain(problem, "docs/backup.md")
    return FAILED if problem else 0


@app.command
@in_words
def restore(
    *,
    source: From = None,
    host: Host = None,
    until: Until = None,
    contradictory: Contradictory = False,
    yes: Yes = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Put a copy in the place of the database. Stop config-manager and Litestream first.

    Where the newest state of a replica is not good, the newest one before it that is takes the
    place, and it is said which that is. The old files are kept beside it. config-manager begins a
    new epoch when it starts on the copy, above everything that it published before, so that every
    service takes its settings.
    """
    places = Places.of(resolve_data_dir(data))
    with places.alone():
        pass  # before anybody is asked anything
    found = replace(pick(places, source, host, until), contradictory=contradictory)
    if not as_json:
        print(f"from {found.copy}")
    if not yes and not agreed("Put it in the place of the database? The old files are kept."):
        complain("nothing was changed", "agree, or give --yes")
        return FAILED
    say = _silent if as_json else _Steps(4)

    def agree(passed: PassedOver) -> bool:
        print(f"note: {passed.in_words()}", file=sys.stderr, flush=True)
        return yes or agreed("Put that one in the place of the database?")

    done = put_back(places, found, at=datetime.now(UTC), say=say, agree=agree)
    if as_json:
        told = {"from": str(found.copy), "aside": done.aside}
        print_json(told | {"passed_over": _told(done.passed_over)} | asdict(done.contents))
        return 0
    print("start config-manager now, then Litestream; parlour config status shows when every")
    print("service runs with what was restored")
    return 0


@app.command
@in_words
def drill(
    *,
    source: From = None,
    host: Host = None,
    until: Until = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Restore a copy into a scratch folder and check it; the database is not touched.

    Worth a timer once a week: a copy that nobody ever restored is a hope.
    """
    places = Places.of(resolve_data_dir(data))
    found = pick(places, source, host, until)
    if not as_json:
        print(f"from {found.copy}")
    say = _silent if as_json else _Steps(3)
    with tempfile.TemporaryDirectory(prefix="parlour-drill-") as scratch:
        fetched = fetch(found, Path(scratch) / "config.db")
    contents, passed = fetched.contents, fetched.passed_over
    say(f"restored, and all checks passed; the epoch is {contents.epoch}")
    say(f"{contents.services} services in {contents.versions} versions without a gap")
    apart = distance(contents, places.database)
    if as_json:
        compared = asdict(apart) if apart else None
        told = {"from": str(found.copy), "database": compared, "passed_over": _told(passed)}
        print_json(told | asdict(contents))
    if passed is not None:
        raise DamagedCopyError(
            passed.in_words(), hint="docs/backup.md says how to begin a new copy; restore takes it"
        )
    if apart is None:
        say("there is no database here to compare it with")
        return 0
    if not apart.prefix:
        raise DamagedCopyError(
            "the copy tells another story than the database here",
            hint="it is of another machine or of before a restore: --host, --from",
        )
    say(f"its audit chain is the beginning of the one here, {apart.behind} rows behind")
    return 0


def pick(places: Places, source: str | None, host: str | None, until: str | None) -> Source:
    """What is meant: a copy in a file, a replica by its URL or folder, or the newest of many.

    Raises:
        InputError: the moment cannot be read.
        BackupError: there is no such copy.
    """
    moment = _moment(until)
    if source is not None and "://" in source:
        return Source(source, until=moment)
    if source is not None and Path(source).is_file():
        if moment is not None:
            raise InputError(
                "--until needs a replica; this is one copy", hint="leave it out, or give a folder"
            )
        return Source(Path(source).absolute(), whole=True)
    folder = _folder(source)
    replica = replica_at(folder) or choose(
        find_replicas(folder), host or places.names().get("PARLOUR_HOST"), folder, moment
    )
    return Source(replica.path, until=moment)


def age(now: datetime, then: datetime) -> str:
    """How long ago something was, in words."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} seconds ago"


class _Steps:
    """Numbers what was done."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._done = 0

    def __call__(self, text: str) -> None:
        self._done += 1
        print(f"{self._done}/{self._of}  {text}", flush=True)


def _silent(_text: str) -> None:
    return


def _folder(source: str | None) -> Path:
    named = source or os.environ.get(VARIABLE) or str(DEFAULT_FOLDER)
    return Path(named).expanduser().absolute()


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InputError(
            f"{text[:40]!r} is no moment with a time zone", hint="such as 2026-11-24T09:00:00Z"
        )
    return found


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _told(passed: PassedOver | None) -> dict[str, Any] | None:
    if passed is None:
        return None
    moments = {name: at.isoformat() if (at := getattr(passed, name)) else None for name in
               ("newest", "taken")}  # fmt: skip
    return {"states": passed.states, **moments, "problem": passed.problem}


def _plain(replica: Replica) -> dict[str, Any]:
    return {
        "host": replica.host,
        "epoch": replica.epoch,
        "newest": replica.newest.isoformat(timespec="seconds"),
        "bytes": replica.size,
        "path": str(replica.path),
    }


def _print_replicas(replicas: list[Replica], now: datetime) -> None:
    print_columns(
        ("HOST", "EPOCH", "NEWEST CHANGE", "SIZE"),
        [(r.host, r.epoch, age(now, r.newest), f"{r.size / 1e6:.2f} MB") for r in replicas],
    )
