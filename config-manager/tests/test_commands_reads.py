"""What can be asked without changing anything."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest
from config_manager.commands import SyncState
from config_manager.tables import keysets
from desk import Desk
from parlour_config.canonical import canonical
from parlour_contracts.config import ServiceConfigModel
from parlour_contracts.config.fields import setting
from parlour_contracts.messages.configuration import (
    ConfigFieldMetadata,
    ConfigReadResponse,
    ConfigSearchResponse,
)


@pytest.mark.req("C004", "C037", "X9")
async def test_get_gives_the_settings_and_what_is_known_of_them(desk: Desk) -> None:
    change = await desk.ask("patch", config={"volume_percent": 40})
    desk.sync = SyncState(in_sync=False, lagging=("tts-worker",))

    answer = await desk.ask("get", role="read")

    read = ConfigReadResponse.model_validate(answer.data)
    metadata = read.metadata
    assert metadata.pop("sources") == {
        **dict.fromkeys(read.config, "default"), "volume_percent": "database",
    }  # fmt: skip
    assert metadata == {
        "version": 2,
        "updated_at": change.issued_at,
        "updated_by": "alice",
        "config_epoch": answer.config_epoch,
        "checksum": hashlib.sha256(canonical(read.config)).hexdigest(),
        "issued_at": change.issued_at,
        "in_sync": False,
        "lagging": ["tts-worker"],
    }
    assert answer.issued_at is None


async def test_list_names_every_service_with_its_version_and_who_made_it_when(desk: Desk) -> None:
    seeded = await desk.ask("list", "_all", role="read")
    change = await desk.ask("patch", config={"volume_percent": 40})

    answer = await desk.ask("list", "_all", role="read")

    assert [
        (found["service"], found["version"], found["updated_by"])
        for found in answer.data["services"]
    ] == [
        ("llm-worker", 1, "system:seed"),
        ("router", 1, "system:seed"),
        ("satellite", 1, "system:seed"),
        ("stt-worker", 1, "system:seed"),
        ("tts-worker", 2, "alice"),
    ]
    assert answer.data["services"][4]["updated_at"] == change.issued_at
    assert answer.data["services"][:4] == seeded.data["services"][:4]


@pytest.mark.req("C005", "X6")
async def test_describe_gives_every_field_under_its_full_name(desk: Desk) -> None:
    answer = await desk.ask("describe", "llm-worker", role="read")

    fields = {f["key"]: ConfigFieldMetadata.model_validate_json(json.dumps(f)) for f in answer.data}
    assert set(fields) == {f"llm.{key}" for key in await desk.config("llm-worker")}
    assert fields["llm.api_key"].is_secret
    assert fields["llm.api_key"].secret_source == "database"
    assert fields["llm.max_tokens"].validation_max == 4096
    assert fields["llm.max_tokens"].secret_source is None


@pytest.mark.req("C007", "C039", "C040", "C081", "X6")
async def test_search_puts_the_name_before_its_beginning_its_inside_and_its_words(
    desk: Desk,
) -> None:
    answer = await desk.ask("search", "_all", query="THREADS", role="read")
    by_prefix = await desk.ask("search", "_all", query="vad_s", role="read")
    inside = await desk.ask("search", "_all", query="silence", role="read")
    full = await desk.ask("search", "_all", query="tts.volume_percent", role="read")

    found = ConfigSearchResponse.model_validate_json(json.dumps(answer.data))
    assert [(r.service, r.key) for r in found.results[:3]] == [
        ("llm-worker", "threads"), ("stt-worker", "threads"), ("tts-worker", "threads"),
    ]  # fmt: skip
    assert [r["key"] for r in by_prefix.data["results"]] == [
        "vad_speech_pad_ms", "vad_silence_duration_ms",
    ]  # fmt: skip
    keys = [r["key"] for r in inside.data["results"]]
    assert keys[0] == "vad_silence_duration_ms"  # in the name
    assert "session_idle_s" in keys[1:]  # in the description
    assert [r["key"] for r in full.data["results"]] == ["volume_percent"]


@pytest.mark.req("C081")
async def test_a_change_is_found_at_once(desk: Desk) -> None:
    await desk.ask("patch", config={"volume_percent": 37})

    answer = await desk.ask("search", "_all", query="volume", role="read")

    found = {(r["service"], r["key"]): r["value_json"] for r in answer.data["results"]}
    assert found["tts-worker", "volume_percent"] == "37"


@pytest.mark.req("C039", "C040")
async def test_search_filters_and_counts_beyond_the_page(desk: Desk) -> None:
    everything = await desk.ask("search", "_all", role="read", max_results=3)
    simple = await desk.ask(
        "search", "_all", role="read", service_filter="tts-worker", complexity_filter="simple"
    )
    secrets = await desk.ask("search", "_all", role="read", type_filter="secret")
    nothing = await desk.ask("search", "_all", role="read", query="no such thing")

    assert len(everything.data["results"]) == 3
    assert everything.data["total"] > 30
    assert {r["key"] for r in simple.data["results"]} == {"piper_voice", "volume_percent", "speed"}
    assert [r["key"] for r in secrets.data["results"]] == ["api_key"]
    assert nothing.data == {"results": [], "total": 0}


@pytest.mark.req("C044", "C082")
async def test_history_is_newest_first_by_key_and_in_pages(desk: Desk) -> None:
    for value in (10, 20, 30):
        await desk.ask("patch", config={"volume_percent": value}, reason=f"to {value}")

    page = await desk.ask("history", role="read", key="tts.volume_percent", limit=2)
    rest = await desk.ask(
        "history", role="read", key="volume_percent", before_id=page.data[1]["id"]
    )

    assert [(r["old_value_json"], r["new_value_json"], r["version"]) for r in page.data] == [
        ("20", "30", 4), ("10", "20", 3),
    ]  # fmt: skip
    assert page.data[0]["change_reason"] == "to 30"
    assert [r["new_value_json"] for r in rest.data] == ["10", "100"]
    assert rest.data[-1]["changed_by"] == "system:seed"
    assert rest.data[-1]["old_value_json"] is None


@pytest.mark.req("C082")
async def test_history_is_cut_to_a_time_with_both_ends_and_holds_up_to_a_thousand_rows(
    desk: Desk,
) -> None:
    changes = [
        await desk.ask("patch", config={"volume_percent": value}) for value in (10, 20, 30, 40)
    ]
    times = [change.issued_at for change in changes]

    async def values(**cut: object) -> list[str]:
        page = await desk.ask("history", role="read", key="volume_percent", **cut)
        return [row["new_value_json"] for row in page.data]

    assert await values(start=times[1], end=times[2]) == ["30", "20"]
    assert await values(start=times[2]) == ["40", "30"]
    assert await values(end=times[0], limit=1000) == ["10", "100"]
    assert await values(start=times[3], end=times[0]) == []


async def test_history_of_a_key_that_never_was_is_unknown(desk: Desk) -> None:
    answer = await desk.ask("history", role="read", key="volume")

    assert (answer.code, answer.error) == (404, "UNKNOWN_KEY")


async def test_keysets_come_in_order_and_at_most_sixteen(desk: Desk) -> None:
    def fill(db: object) -> None:
        for version in range(1, 21):
            document = json.dumps({"keyset_version": version}).encode()
            keysets.insert(db, version, document, "2026-01-01T00:00:00.000000Z")  # type: ignore[arg-type]

    await desk.in_database(fill)

    first = await desk.ask("keyset", "_all", role="instance", instance_of="tts-worker")
    rest = await desk.ask("keyset", "_all", role="read", after=16)

    assert [k["keyset_version"] for k in first.data["keysets"]] == list(range(1, 17))
    assert [k["keyset_version"] for k in rest.data["keysets"]] == [17, 18, 19, 20]


@pytest.mark.req("C046")
async def test_reads_are_recorded_in_batches(desk: Desk) -> None:
    before = desk.rows("SELECT count(*) FROM access_log WHERE action = 'read'")
    for _ in range(5):
        await desk.ask("get", role="read")
    await desk.ask("history", role="read")
    await desk.ask("get", "router", role="read", user="bob")
    during = desk.rows("SELECT count(*) FROM access_log WHERE action = 'read'")

    await desk.commands.housekeeping()

    assert during == before
    assert desk.rows(
        "SELECT user_id, service, success, reason FROM access_log WHERE action = 'read' ORDER BY id"
    ) == [("alice", "tts-worker", 1, "5 get, 1 history"), ("bob", "router", 1, "1 get")]


class Plain(ServiceConfigModel):
    """A few settings, for many services."""

    first: int = setting(1, "First", "The first number.")
    second: str = setting("two", "Second", "The second text.")


@pytest.mark.req("SC008")
async def test_search_over_a_thousand_services_is_quick(tmp_path: Path) -> None:
    models = {f"s{number}": Plain for number in range(1000)}
    desk = await Desk(tmp_path, models=models).open()

    began = time.perf_counter()
    answer = await desk.ask("search", "_all", query="second", role="read")
    took = time.perf_counter() - began
    listed = await desk.ask("list", "_all", role="read")
    await desk.close()

    assert answer.data["total"] == 1000
    assert len(answer.data["results"]) == 50
    assert took < 1.0
    assert len(listed.data["services"]) == 1000
