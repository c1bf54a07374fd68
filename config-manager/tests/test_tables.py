"""The tables of S2, unchanged, and those of the protocol."""

from __future__ import annotations

import re
import sqlite3

import pytest
from config_manager.migrate import shipped_steps
from config_manager.tables import epochs, floor, outbox, schema
from desk import Desk
from parlour_contracts.messages.configuration import ConfigEpochMetadata, SchemaVersion

# Column: type, whether it must have a value, its default, its place in the primary key.
S2 = {
    "schema_version": [
        ("id", "INTEGER", 0, None, 1), ("version", "INTEGER", 1, None, 0),
        ("model_hash", "TEXT", 1, None, 0), ("updated_at", "TEXT", 1, None, 0),
    ],
    "service_configs": [
        ("service", "TEXT", 0, None, 1), ("config_json", "TEXT", 1, None, 0),
        ("version", "INTEGER", 1, "1", 0), ("config_epoch", "TEXT", 1, None, 0),
        ("updated_at", "TEXT", 1, None, 0), ("updated_by", "TEXT", 0, None, 0),
    ],
    "config_items": [
        ("id", "INTEGER", 0, None, 1), ("service", "TEXT", 1, None, 0), ("key", "TEXT", 1, None, 0),
        ("value_json", "TEXT", 1, None, 0), ("type", "TEXT", 1, None, 0),
        ("complexity", "TEXT", 1, None, 0), ("description", "TEXT", 1, None, 0),
        ("help_text", "TEXT", 0, None, 0), ("is_secret", "INTEGER", 1, "0", 0),
        ("updated_at", "TEXT", 1, None, 0), ("updated_by", "TEXT", 0, None, 0),
    ],
    "config_history": [
        ("id", "INTEGER", 0, None, 1), ("service", "TEXT", 1, None, 0), ("key", "TEXT", 1, None, 0),
        ("old_value_json", "TEXT", 0, None, 0), ("new_value_json", "TEXT", 1, None, 0),
        ("changed_at", "TEXT", 1, None, 0), ("changed_by", "TEXT", 0, None, 0),
        ("change_reason", "TEXT", 0, None, 0),
    ],
    "encrypted_secrets": [
        ("id", "INTEGER", 0, None, 1), ("service", "TEXT", 1, None, 0), ("key", "TEXT", 1, None, 0),
        ("encrypted_value", "TEXT", 1, None, 0), ("key_id", "TEXT", 1, None, 0),
        ("created_at", "TEXT", 1, None, 0), ("updated_at", "TEXT", 1, None, 0),
    ],
    "access_log": [
        ("id", "INTEGER", 0, None, 1), ("user_id", "TEXT", 0, None, 0),
        ("action", "TEXT", 1, None, 0), ("service", "TEXT", 0, None, 0),
        ("key", "TEXT", 0, None, 0), ("success", "INTEGER", 1, None, 0),
        ("reason", "TEXT", 0, None, 0), ("timestamp", "TEXT", 1, None, 0),
    ],
}  # fmt: skip

S2_INDEXES = {
    "idx_service_configs_epoch": ("service_configs", ["config_epoch"]),
    "idx_config_items_service": ("config_items", ["service"]),
    "idx_config_items_complexity": ("config_items", ["complexity"]),
    "idx_config_items_key": ("config_items", ["key"]),
    "idx_config_items_search": ("config_items", ["service", "key", "description"]),
    "idx_config_history_service": ("config_history", ["service"]),
    "idx_config_history_time": ("config_history", ["changed_at"]),
    "idx_encrypted_secrets_key_id": ("encrypted_secrets", ["key_id"]),
    "idx_access_log_time": ("access_log", ["timestamp"]),
    "idx_access_log_user": ("access_log", ["user_id"]),
}

AUTOINCREMENT = {"config_items", "config_history", "encrypted_secrets", "access_log", "outbox"}


@pytest.mark.req("C041", "C042", "C043", "C044", "C045", "C046")
@pytest.mark.parametrize("table", S2)
async def test_a_table_of_s2_has_exactly_its_columns(desk: Desk, table: str) -> None:
    found = [tuple(row[1:]) for row in desk.rows(f"PRAGMA table_info({table})")]

    assert found == S2[table]


@pytest.mark.req("C042", "C043", "C044", "C045", "C046")
async def test_every_index_of_s2_is_there(desk: Desk) -> None:
    for name, (table, columns) in S2_INDEXES.items():
        assert desk.rows("SELECT tbl_name FROM sqlite_schema WHERE name = ?", name) == [(table,)]
        assert [row[2] for row in desk.rows(f"PRAGMA index_info({name})")] == columns


@pytest.mark.req("C043", "C045")
@pytest.mark.parametrize("table", ["config_items", "encrypted_secrets"])
async def test_a_key_of_a_service_is_there_once(desk: Desk, table: str) -> None:
    unique = [row[1] for row in desk.rows(f"PRAGMA index_list({table})") if row[2]]

    assert [[r[2] for r in desk.rows(f"PRAGMA index_info({name})")] for name in unique] == [
        ["service", "key"]
    ]


@pytest.mark.req("C047")
async def test_every_create_may_be_repeated_and_ids_are_never_used_twice(desk: Desk) -> None:
    for step in shipped_steps():
        creates = re.findall(r"CREATE (?:UNIQUE )?(?:TABLE|INDEX) (.*?)[\s(]", step.sql)
        assert set(creates) == {"IF"}
    for table in AUTOINCREMENT:
        sql = desk.rows("SELECT sql FROM sqlite_schema WHERE name = ?", table)[0][0]
        assert "AUTOINCREMENT" in sql


@pytest.mark.req("C008", "C041", "C052")
async def test_the_form_of_the_database_is_one_row(desk: Desk) -> None:
    version = await desk.store.read(schema.get)

    assert isinstance(version, SchemaVersion)
    assert (version.id, version.version) == (1, 2)
    with pytest.raises(sqlite3.IntegrityError):
        desk.write("INSERT INTO schema_version VALUES (2, 2, 'x', 'y')")


@pytest.mark.req("C009", "C051")
async def test_one_epoch_is_active_and_known_as_s2s_model(desk: Desk) -> None:
    metadata = await desk.store.read(epochs.metadata)

    assert isinstance(metadata, ConfigEpochMetadata)
    assert metadata.config_epoch == desk.store.facts.config_epoch
    assert metadata.last_rebuild is None
    with pytest.raises(sqlite3.IntegrityError):
        desk.write(
            "INSERT INTO epochs VALUES ('550e8400-e29b-41d4-a716-446655440000', '', '', 2, 1, "
            "'created')"
        )


@pytest.mark.req("C076")
async def test_the_outbox_gives_the_newest_of_each_topic_and_forgets_what_is_sent(
    desk: Desk,
) -> None:
    def fill(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM outbox")
        for topic, payload in (("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b"4")):
            outbox.add(db, topic, payload, "now")

    await desk.in_database(fill)

    due = await desk.store.read(lambda db: outbox.due(db, 10))
    assert [(m.topic, m.payload) for m in due] == [("b", b"2"), ("a", b"3"), ("c", b"4")]
    later = await desk.store.read(lambda db: outbox.due(db, 10, after=due[0].id))
    assert [m.topic for m in later] == ["a", "c"]
    await desk.in_database(lambda db: outbox.sent(db, [("a", due[1].id), ("b", due[0].id - 1)]))
    assert await desk.store.read(outbox.count) == 2


async def test_the_floor_never_moves_down(desk: Desk) -> None:
    high = "2030-01-01T00:00:00.000000Z"
    await desk.in_database(lambda db: floor.raise_to(db, high))
    await desk.in_database(lambda db: floor.raise_to(db, "2020-01-01T00:00:00.000000Z"))

    assert await desk.store.read(floor.get) == high
