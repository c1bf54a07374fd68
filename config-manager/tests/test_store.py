"""The database file itself: connection rules, migrations, kills, damage. Real SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from config_manager.condition import Condition, after, held, rebuilding, rebuilt
from config_manager.errors import (
    CorruptedError,
    LockedError,
    SchemaMismatchError,
    StorageFullError,
    StoreError,
)
from config_manager.health import wal_reset_affected
from config_manager.migrate import APPLICATION_ID, Step, shipped_steps
from config_manager.model_hash import model_hash
from config_manager.store import Store
from parlour_contracts.config import CONFIGS, RouterConfig, ServiceConfigModel
from parlour_kit.errors import StartupError
from pydantic import Field

LATER = Step(3, "CREATE TABLE second (a INTEGER);\nINSERT INTO second VALUES (1), (2);\n")
KILLED = "SELECT kill_me();"
OURS = sorted(
    ["schema_version", "epochs", "service_configs", "config_items", "config_history",
     "encrypted_secrets", "access_log", "service_config_snapshots", "outbox", "transactions",
     "audit_chain", "clock_floor", "keysets", "profiles", "sqlite_sequence"]
)  # fmt: skip


def numbers(path: Path) -> tuple[int, int, list[str]]:
    """The form's two numbers and the tables."""
    with closing(sqlite3.connect(path)) as db:
        tables = [
            row[0]
            for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
        ]
        row = db.execute("SELECT version FROM schema_version").fetchone() if tables else (0,)
        return db.execute("PRAGMA user_version").fetchone()[0], row[0], tables


DIE = """
import os, sqlite3, sys
from pathlib import Path
from config_manager.migrate import Step, migrate

path = Path(sys.argv[1])
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.create_function("kill_me", 0, lambda: os.kill(os.getpid(), 9))
migrate(db, path, [Step(n, sql) for n, sql in enumerate(sys.argv[2:], 1)], "0" * 64, "")
"""


def killed(path: Path, *steps: Step) -> None:
    """Migrate in a process that dies where a statement calls ``kill_me``."""
    path.parent.mkdir(exist_ok=True)
    process = subprocess.run(
        [sys.executable, "-c", DIE, str(path), *(step.sql for step in steps)],
        timeout=60,
        check=False,
    )
    assert process.returncode == -9


def content(path: Path) -> bytes:
    return path.read_bytes()


def fill(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


async def opened(path: Path, **options: object) -> Store:
    store = Store(path, busy_ms=50, **options)  # type: ignore[arg-type]  # test options
    await store.open()
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config-manager" / "config.db"


async def test_the_writer_keeps_the_connection_rules(path: Path) -> None:
    store = await opened(path)
    pragmas: dict[str, object] = {}

    def read() -> None:
        assert store._writer.db is not None
        for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys",
                     "trusted_schema", "wal_autocheckpoint", "application_id", "user_version"):  # fmt: skip
            pragmas[name] = store._writer.db.execute(f"PRAGMA {name}").fetchone()[0]

    await store._call(read)
    await store.close()

    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "busy_timeout": 50,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "wal_autocheckpoint": 1000,
        "application_id": APPLICATION_ID,
        "user_version": 2,
    }
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_the_lock_is_free_after_a_close(path: Path) -> None:
    first = await opened(path)
    with pytest.raises(StartupError, match="another config-manager"):
        await opened(path)
    await first.close()

    second = await opened(path)
    await second.close()

    assert second.facts == first.facts


async def test_a_folder_that_cannot_be_used_is_a_start_up_error(tmp_path: Path) -> None:
    (tmp_path / "config-manager").write_text("a file where the folder should be")

    with pytest.raises(StartupError, match="cannot be used"):
        await opened(tmp_path / "config-manager" / "config.db")


async def test_a_file_that_is_a_folder_is_a_start_up_error(path: Path) -> None:
    fill(path / "inside", b"")

    with pytest.raises(StartupError, match="cannot be opened"):
        await opened(path)


@pytest.mark.parametrize(
    "step",
    [
        Step(1, KILLED),
        Step(1, shipped_steps()[0].sql + KILLED),
    ],
    ids=["before", "within"],
)
async def test_a_kill_in_the_first_step_leaves_an_empty_file_that_the_next_start_fills(
    path: Path, step: Step
) -> None:
    killed(path, step)

    assert numbers(path) == (0, 0, [])
    store = await opened(path)
    await store.close()
    assert numbers(path) == (2, 2, OURS)


async def test_a_kill_between_two_steps_leaves_the_old_form_whole(path: Path) -> None:
    store = await opened(path)
    epoch = store.facts.config_epoch
    await store.close()

    killed(path, *shipped_steps(), LATER, Step(4, "CREATE TABLE third (a);\n" + KILLED))

    assert numbers(path) == (3, 3, sorted([*OURS, "second"]))
    store = await opened(path, steps=(*shipped_steps(), LATER))
    await store.close()
    assert store.condition.ok
    assert store.facts.config_epoch == epoch
    assert store.facts.schema_version == 3
    assert numbers(path.with_name("config.db.v2")) == (2, 2, OURS)


async def test_the_form_of_the_first_release_is_brought_to_todays(path: Path) -> None:
    store = await opened(path, steps=shipped_steps()[:1])
    epoch = store.facts.config_epoch
    await store.close()

    store = await opened(path)
    await store.close()

    assert store.condition.ok
    assert store.facts.config_epoch == epoch
    assert numbers(path) == (2, 2, OURS)
    assert numbers(path.with_name("config.db.v1")) == (1, 1, ["epochs", "schema_version"])


async def test_a_failing_step_changes_nothing(path: Path) -> None:
    await (await opened(path)).close()

    store = await opened(path, steps=(*shipped_steps(), Step(3, LATER.sql + "SELECT 1 FROM no;")))
    await store.close()

    assert store.condition.status == "schema-mismatch"
    assert numbers(path) == (2, 2, OURS)


async def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    fill(path, b"")
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE photographs (a)")
    before = content(path)

    store = await opened(path)
    await store.close()

    assert store.condition.status == "schema-mismatch"
    assert content(path) == before


@pytest.mark.threat(18)
@pytest.mark.parametrize("page", [1, 2, 3, 4, 5])
async def test_a_damaged_page_is_found_at_start(path: Path, page: int) -> None:
    await (await opened(path)).close()
    damaged = bytearray(content(path))
    damaged[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    fill(path, bytes(damaged))

    store = await opened(path)
    await store.close()

    assert store.condition.status == "corrupted"
    assert content(path) == damaged


async def test_a_removed_file_is_found_while_running(path: Path) -> None:
    store = await opened(path)
    remove(path)

    condition = await store.look()
    await store.close()

    assert (condition.status, condition.mode) == ("corrupted", "read-only-fallback")


async def test_a_file_put_in_its_place_is_found_while_running(path: Path, tmp_path: Path) -> None:
    await (await opened(tmp_path / "other.db")).close()
    store = await opened(path)
    (tmp_path / "other.db").replace(path)

    condition = await store.look()
    await store.close()

    assert condition.status == "corrupted"


async def test_a_lock_at_the_start_passes_without_a_restart(path: Path) -> None:
    await (await opened(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        store = await opened(path)
        locked = store.condition.status
        other.execute("ROLLBACK")
    condition = await store.look()
    await store.close()

    assert locked == "locked"
    assert condition.ok
    assert store.facts.config_epoch


@pytest.mark.req("SC039")
async def test_a_changed_settings_model_is_noted_in_the_database(path: Path) -> None:
    await (await opened(path)).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE schema_version SET model_hash = ?", ("0" * 64,))

    await (await opened(path)).close()

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT model_hash FROM schema_version").fetchone() == (model_hash(),)


def test_the_model_hash_ignores_words_and_sees_bounds() -> None:
    class Words(ServiceConfigModel):
        title: int = Field(1, ge=0, le=9, title="A", description="B")

    class OtherWords(ServiceConfigModel):
        title: int = Field(2, ge=0, le=9, title="C", description="D")

    class OtherBounds(ServiceConfigModel):
        title: int = Field(1, ge=0, le=8, title="A", description="B")

    OtherWords.__name__ = OtherBounds.__name__ = "Words"

    words, other_words, other_bounds = (
        model_hash({"router": model}) for model in (Words, OtherWords, OtherBounds)
    )
    assert words == other_words
    assert words != other_bounds
    assert model_hash() != model_hash({**CONFIGS, "llm-worker": RouterConfig})


@pytest.mark.parametrize(
    ("outcome", "status", "mode"),
    [
        (None, "healthy", "normal"),
        (LockedError("x"), "locked", "normal"),
        (CorruptedError("x"), "corrupted", "read-only-fallback"),
        (SchemaMismatchError("x", 2), "schema-mismatch", "read-only-fallback"),
        (StorageFullError("x"), "healthy", "read-only-fallback"),
    ],
)
def test_every_outcome_has_its_pair(outcome: StoreError | None, status: str, mode: str) -> None:
    condition = after(Condition(), outcome)

    assert (condition.status, condition.mode) == (status, mode)
    assert condition.ok is (outcome is None)
    assert after(condition, None).ok is (not condition.final)


def test_what_cannot_be_told_changes_nothing() -> None:
    locked = after(Condition(), LockedError("x"))

    assert after(locked, StoreError("x")) == locked


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
    ],
)
def test_affected_releases_of_sqlite_are_known(
    version: tuple[int, int, int], affected: bool
) -> None:
    assert wal_reset_affected(version) is affected


async def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    store = await opened(path)

    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO clock_floor VALUES (1, 'x')")
        raise ValueError("on second thoughts")

    with pytest.raises(ValueError, match="second thoughts"):
        await store.transact(work)
    left = await store.read(lambda db: db.execute("SELECT * FROM clock_floor").fetchall())
    await store.close()

    assert left == []


async def test_readers_cannot_write(path: Path) -> None:
    store = await opened(path)

    with pytest.raises(CorruptedError):
        await store.read(lambda db: db.execute("DELETE FROM epochs"))
    kept = await store.transact(lambda db: db.execute("SELECT count(*) FROM epochs").fetchone())
    await store.close()

    assert kept == (1,)


async def test_a_reader_sees_one_view_while_changes_go_on(path: Path) -> None:
    store = await opened(path)
    began, go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> tuple[int, int]:
        before = db.execute("SELECT count(*) FROM keysets").fetchone()[0]
        began.set()
        go_on.wait(10)
        return before, db.execute("SELECT count(*) FROM keysets").fetchone()[0]

    reading = asyncio.ensure_future(store.read(slow))
    await asyncio.get_running_loop().run_in_executor(None, began.wait)
    await store.transact(lambda db: db.execute("INSERT INTO keysets VALUES (1, x'00', 'now')"))
    go_on.set()
    seen = await reading
    await store.close()

    assert seen == (0, 0)


@pytest.mark.threat(18)
async def test_damage_that_a_change_meets_ends_changes_at_once(path: Path) -> None:
    store = await opened(path)

    def damaged(_db: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(CorruptedError):
        await store.transact(damaged)
    condition = store.condition
    await store.close()

    assert (condition.status, condition.mode) == ("corrupted", "read-only-fallback")


async def test_a_backup_is_a_whole_database(path: Path, tmp_path: Path) -> None:
    store = await opened(path)
    copy = tmp_path / "copy.db"

    await store.backup(copy)
    await store.check(full=True)
    await store.checkpoint()
    await store.close()

    assert numbers(copy) == (2, 2, OURS)
    assert copy.stat().st_mode & 0o077 == 0
    assert store.wal_bytes == 0


@pytest.mark.req("C053", "C054", "C055", "C056", "C057", "C059", "C061", "X5")
def test_a_rebuild_leads_from_damage_to_health_and_no_other_pair_occurs() -> None:
    damaged = after(Condition(), CorruptedError("x"))
    at_work = rebuilding(damaged)

    assert (at_work.status, at_work.mode) == ("corrupted", "rebuilding")
    assert after(at_work, None) == at_work  # a look during a rebuild says nothing
    assert rebuilt(at_work, None) == Condition()
    assert rebuilt(at_work, StoreError("x")) == damaged
    assert not at_work.readable
    with pytest.raises(ValueError, match="cannot occur"):
        Condition("corrupted", "normal")
    with pytest.raises(ValueError, match="cannot occur"):
        rebuilding(after(Condition(), LockedError("x")))


@pytest.mark.req("C053", "C058", "C060")
def test_a_lock_falls_back_at_the_third_miss_and_recovers_by_itself() -> None:
    modes, condition = [], Condition()
    for _ in range(4):
        condition = after(condition, LockedError("x"))
        modes.append((condition.mode, condition.readable))

    assert modes == [
        ("normal", True), ("normal", True),
        ("read-only-fallback", False), ("read-only-fallback", False),
    ]  # fmt: skip
    assert after(condition, None).ok


def test_what_holds_changes_back_does_not_hide_damage() -> None:
    reason = StartupError("the epoch is in conflict")

    assert held(Condition(), None).ok
    assert held(Condition(), reason).mode == "read-only-fallback"
    assert held(Condition(), reason).readable
    damaged = after(Condition(), CorruptedError("x"))
    assert held(damaged, reason) == damaged


async def test_settings_that_are_no_json_are_damage(path: Path) -> None:
    await (await opened(path)).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO service_configs VALUES ('router', '{\"a\":', 1, 'e', 't', 'u')")

    store = await opened(path)
    await store.close()

    assert store.condition.status == "corrupted"
