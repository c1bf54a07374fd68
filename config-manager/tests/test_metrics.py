"""What config-manager's metrics say of its HTTP front, its database and what it keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from config_manager.runtime.lkg_file import LkgFile
from config_manager.sqlite import WRITER, connect
from parlour_kit.metrics import REGISTRY, render
from rest_fakes import bearer

DATABASE = {"vendor": "sqlite", "alias": "default"}


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.req("P015", "P016", "P017", "P018")
async def test_requests_are_counted_by_the_form_of_their_path_and_never_by_the_path(client, front):
    form = {"view": "/v1/config/{service}", "method": "GET"}
    before = (
        sample("parlour_http_requests_by_view_method_total", **form),
        sample("parlour_http_requests_by_view_method_total", view="none", method="GET"),
        sample("parlour_http_request_duration_seconds_count", **form),
    )

    front.commands.data = {"service": "tts-worker", "config": {}, "metadata": {"version": 7}}
    await client.get("/v1/config/tts-worker", headers=bearer(front, "reader"))
    await client.get("/v1/config/router", headers=bearer(front, "reader"))
    refused = await client.get("/nothing/here/42")

    assert (
        sample("parlour_http_requests_by_view_method_total", **form),
        sample("parlour_http_requests_by_view_method_total", view="none", method="GET"),
        sample("parlour_http_request_duration_seconds_count", **form),
    ) == (before[0] + 2, before[1] + 1, before[2] + 2)
    text, _ = render()
    assert b"tts-worker" not in b"\n".join(
        line for line in text.splitlines() if line.startswith(b"parlour_http")
    )
    assert b"/nothing" not in text
    assert sample("parlour_active_requests") == 0
    assert sample("parlour_http_responses_by_status_total", status=str(refused.status_code)) >= 1


@pytest.mark.req("P019", "P020")
def test_every_statement_of_the_database_is_counted_also_one_that_fails(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "x.db", WRITER, 100)) as db:
        counted = sample("parlour_db_execute_total", **DATABASE)
        timed = sample("parlour_db_query_duration_seconds_count", **DATABASE)
        db.execute("CREATE TABLE t (a INTEGER)")
        db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        with pytest.raises(sqlite3.OperationalError):
            db.execute("SELECT * FROM nothing")

        assert db.execute("SELECT sum(a) FROM t WHERE a > ?", (0,)).fetchone() == (3,)

    assert sample("parlour_db_execute_total", **DATABASE) == counted + 4
    assert sample("parlour_db_query_duration_seconds_count", **DATABASE) == timed + 4


@pytest.mark.req("P021")
def test_a_read_of_the_last_known_good_file_is_a_hit_only_where_there_is_one(
    tmp_path: Path,
) -> None:
    got = sample("parlour_cache_get_total", backend="lkg")
    hit = sample("parlour_cache_hit_total", backend="lkg")

    assert LkgFile(tmp_path / "none.json", lambda: [b"k" * 32]).load() is None

    assert sample("parlour_cache_get_total", backend="lkg") == got + 1
    assert sample("parlour_cache_hit_total", backend="lkg") == hit
