"""What a process tells Prometheus: names, types and values of the requirements."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from parlour_kit import metrics
from parlour_kit.metrics import (
    cache,
    database,
    hearing,
    machine,
    process,
    speaking,
    thinking,
    turns,
    work,
)
from parlour_kit.metrics.http import Measured
from parlour_kit.metrics.registry import BUCKETS_S, OTHER, Capped
from prometheus_client.parser import text_string_to_metric_families

Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Machine:
    """Values of one second."""

    memory_available_bytes: int | None = 3_000_000_000
    swap_used_bytes: int | None = 0
    cpu_percent: float | None = 12.5
    temperature_c: float = 51.0
    unreadable: bool = False


@pytest.fixture(autouse=True)
def unseen_machine() -> Iterator[None]:
    """No test leaves its machine to the next one."""
    yield
    metrics.system(None)


def sample(name: str, **labels: str) -> float:
    """The value of a series now; 0 where there is none yet."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.req("H004", "H005", "H006", "H007")
def test_the_four_gauges_of_the_machine_show_the_last_values() -> None:
    metrics.system(Machine(swap_used_bytes=77))

    assert sample("system_memory_available_bytes") == 3_000_000_000
    assert sample("system_cpu_temperature_celsius") == 51.0
    assert sample("system_cpu_percent") == 12.5
    assert sample("system_swap_usage_bytes") == 77


@pytest.mark.req("H008")
def test_a_scrape_is_answered_in_the_text_format_with_help_and_type_of_every_family() -> None:
    metrics.system(Machine())

    body, content_type = metrics.render()

    assert content_type.startswith("text/plain; version=0.0.4")
    text = body.decode()
    families = list(text_string_to_metric_families(text))
    assert {f.type for f in families} <= {"gauge", "counter", "histogram"}
    assert all(f.documentation for f in families)
    for found in re.findall(r"^([a-z_]+)(?:\{| )", text, flags=re.MULTILINE):
        base = re.sub(r"_(bucket|sum|count)$", "", found)
        assert f"# TYPE {base} " in text or f"# TYPE {found} " in text


def test_before_the_first_look_the_machine_has_no_values_rather_than_zeros() -> None:
    body, _ = metrics.render()

    assert b"\nsystem_memory_available_bytes " not in body
    assert b"# TYPE system_memory_available_bytes gauge" in body


@pytest.mark.req("H038")
def test_values_that_cannot_be_are_brought_within_their_bounds() -> None:
    metrics.system(Machine(memory_available_bytes=-1, cpu_percent=130.0, temperature_c=-40.0))

    assert sample("system_memory_available_bytes") == 0
    assert sample("system_cpu_percent") == 100.0
    assert sample("system_cpu_temperature_celsius") == -1.0


@pytest.mark.req("H038")
def test_what_alone_cannot_be_read_is_left_out_and_the_rest_is_served() -> None:
    metrics.system(Machine(swap_used_bytes=None))

    body, _ = metrics.render()

    assert b"\nsystem_swap_usage_bytes " not in body
    assert b"\nsystem_cpu_percent 12.5" in body


@pytest.mark.req("H038")
def test_a_machine_of_which_nothing_can_be_read_is_an_error_not_old_values() -> None:
    metrics.system(Machine(unreadable=True))

    with pytest.raises(machine.UnreadableMachineError) as raised:
        metrics.render()

    assert raised.value.code == "METRICS_UNREADABLE"


@pytest.mark.req("F35", "H016")
def test_a_scrape_looks_at_nothing_it_writes_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics.system(Machine())
    monkeypatch.setattr("psutil.virtual_memory", None)
    monkeypatch.setattr("psutil.cpu_percent", None)
    monkeypatch.setattr("psutil.Process.memory_info", None)
    monkeypatch.setattr("psutil.Process.cpu_percent", None)

    body, _ = metrics.render()

    assert b"system_cpu_percent 12.5" in body


@pytest.mark.req("H016", "F35")
def test_whoever_asks_without_a_pause_gets_what_was_written_within_the_second() -> None:
    now = 0.0
    answer = metrics.Answer(lambda: now)
    metrics.system(Machine(cpu_percent=1.0))
    first = answer()

    metrics.system(Machine(cpu_percent=2.0))
    now = 0.9
    assert answer() is first

    now = 1.0
    assert b"system_cpu_percent 2.0" in answer()[0]


@pytest.mark.req("H038")
def test_an_error_is_never_kept_in_place_of_an_answer_nor_an_answer_in_place_of_an_error() -> None:
    now = 0.0
    answer = metrics.Answer(lambda: now)
    answer()
    metrics.system(Machine(unreadable=True))
    now = 1.0
    for _ in range(2):
        with pytest.raises(machine.UnreadableMachineError):
            answer()

    metrics.system(Machine())

    assert b"system_cpu_percent" in answer()[0]


@pytest.mark.req("P022", "P023", "X24")
def test_a_process_says_who_it_is_and_since_when() -> None:
    process.identify("router", "1.2.3")
    process.identify("llm-worker", "1.2.4")

    assert sample("parlour_app_info", service="llm-worker", version="1.2.4") == 1
    assert sample("parlour_app_info", service="router", version="1.2.3") == 0
    assert sample("parlour_app_start_time_seconds") == process._self.create_time()


@pytest.mark.req("P024", "P025")
def test_a_health_check_leaves_its_duration_and_its_last_outcome() -> None:
    before = sample("parlour_health_check_duration_seconds_count", check_name="llm")

    metrics.health_check("llm", 0.2, healthy=True)
    metrics.health_check("llm", 5.0, healthy=False)

    count = sample("parlour_health_check_duration_seconds_count", check_name="llm")
    assert count == before + 2
    assert sample("parlour_health_check_status", check_name="llm") == 0


@pytest.mark.req("P035")
def test_what_people_wait_for_at_a_door_is_sorted_into_the_agreed_buckets() -> None:
    assert BUCKETS_S == (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
    named = {d.name: d for d in metrics.declared()}
    assert named["parlour_http_request_duration_seconds"].buckets == BUCKETS_S
    assert named["parlour_health_check_duration_seconds"].buckets == BUCKETS_S


@pytest.mark.req("X31")
def test_counters_end_in_total_and_nothing_else_does() -> None:
    declared = metrics.declared()

    assert [d.name for d in declared if d.name.endswith("_total") != (d.kind == "counter")] == []


def test_every_metric_is_named_by_what_it_is_of_and_described() -> None:
    for declared in metrics.declared():
        assert re.fullmatch(r"(parlour|system)_[a-z0-9]+(_[a-z0-9]+)*", declared.name)
        assert declared.help
        assert declared.by


def test_labels_from_outside_make_no_more_than_so_many_series() -> None:
    capped = Capped(3)

    labels = [capped(f"view{n}") for n in range(100)]

    assert set(labels) == {"view0", "view1", "view2", OTHER}
    assert capped("view1") == "view1"
    assert capped("a\nb") == OTHER
    assert Capped(3)("x" * 101) == OTHER


def test_the_stages_of_a_turn_add_up_to_the_wait_for_the_first_sound() -> None:
    total = "parlour_turn_stage_seconds_sum"
    before = sample(total, stage="voice_to_voice"), sample(total, stage="first_token")

    turns.turn_over(
        "replied",
        None,
        {
            "endpoint": 500.0,
            "transcript": 200.0,
            "first_token": 300.0,
            "first_sentence": 100.0,
            "first_audio": 150.0,
            "reply_end": 4000.0,
        },
    )

    assert sample(total, stage="voice_to_voice") - before[0] == pytest.approx(1.25)
    assert sample(total, stage="first_token") - before[1] == pytest.approx(0.3)


def test_a_turn_that_nobody_heard_an_answer_to_has_no_wait_but_a_reason() -> None:
    name = "parlour_turn_stage_seconds_count"
    before = sample(name, stage="voice_to_voice")
    failed = sample("parlour_turn_errors_total", code="LLM_TIMEOUT")

    turns.turn_over("failed", "LLM_TIMEOUT", {"endpoint": 500.0, "first_token": None})

    assert sample(name, stage="voice_to_voice") == before
    assert sample("parlour_turn_errors_total", code="LLM_TIMEOUT") == failed + 1


@pytest.mark.req("R009")
def test_requests_to_the_model_are_followed_until_they_are_answered() -> None:
    calls = turns.ModelCalls()
    count = sample("parlour_model_response_seconds_count")
    took = sample("parlour_model_response_seconds_sum")

    calls.asked("a", "turn 1", 10.0)
    calls.asked("b", "turn 2", 10.5)
    calls.asked("a", "turn 1", 11.0)  # again, to another worker
    assert sample("parlour_model_requests_in_flight") == 2

    calls.over("a", "done", 12.0)
    calls.over("a", "done", 13.0)  # told twice
    calls.over("unknown", "done", 13.0)

    assert sample("parlour_model_requests_in_flight") == 1
    assert sample("parlour_model_response_seconds_count") == count + 1
    assert sample("parlour_model_response_seconds_sum") == pytest.approx(took + 2.0)

    calls.turn_over("turn 2", 20.0)

    assert sample("parlour_model_requests_in_flight") == 0


def test_requests_that_are_never_answered_take_no_more_than_their_room() -> None:
    calls = turns.ModelCalls()

    for number in range(turns.REMEMBERED + 50):
        calls.asked(str(number), "turn", 0.0)

    assert sample("parlour_model_requests_in_flight") == turns.REMEMBERED


def test_tokens_are_timed_from_the_first_one_on() -> None:
    rate = "parlour_llm_tokens_per_second_sum"
    before, completed = sample(rate), sample("parlour_llm_tokens_total", kind="completion")

    thinking.computed(
        prompt=50, cached=40, completion=21, queue_s=0.0, prefill_s=0.1, first_s=1.0, total_s=3.0
    )

    assert sample(rate) - before == pytest.approx(10.0)
    assert sample("parlour_llm_tokens_total", kind="completion") == completed + 21


def test_an_answer_of_one_token_has_no_speed() -> None:
    before = sample("parlour_llm_tokens_per_second_count")

    thinking.computed(
        prompt=5, cached=0, completion=1, queue_s=0, prefill_s=0, first_s=1.0, total_s=1.0
    )

    assert sample("parlour_llm_tokens_per_second_count") == before


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("parlour_stt_real_time_factor", lambda: hearing.recognised(0.5, 2.0, quick=False)),
        ("parlour_tts_real_time_factor", lambda: speaking.sentence_spoken(0.1, 0.2, 0.5, 2.0)),
    ],
)
def test_a_real_time_factor_is_computing_by_sound(name: str, note: Any) -> None:
    before = sample(f"{name}_sum")

    note()

    assert sample(f"{name}_sum") - before == pytest.approx(0.25)


@pytest.mark.req("P019", "P020", "P021")
def test_statements_and_reads_of_what_is_kept_are_counted() -> None:
    sqlite = {"vendor": "sqlite", "alias": "default"}
    executed = sample("parlour_db_execute_total", **sqlite)
    timed = sample("parlour_db_query_duration_seconds_count", **sqlite)
    got = sample("parlour_cache_get_total", backend="lkg")
    hit = sample("parlour_cache_hit_total", backend="lkg")

    database.statement(0.002)
    cache.read("lkg", hit=True)
    cache.read("lkg", hit=False)

    assert sample("parlour_db_execute_total", **sqlite) == executed + 1
    assert sample("parlour_db_query_duration_seconds_count", **sqlite) == timed + 1
    assert sample("parlour_cache_get_total", backend="lkg") == got + 2
    assert sample("parlour_cache_hit_total", backend="lkg") == hit + 1


def test_the_age_of_settings_counts_from_when_they_changed_not_from_when_they_were_told() -> None:
    work.settings("lkg", "a" * 64, stale=True, blocked=False, wall_s=100.0)
    work.settings("lkg", "a" * 64, stale=False, blocked=True, wall_s=200.0)

    assert sample("parlour_config_applied_time_seconds") == 100.0
    assert sample("parlour_config_info", source="lkg", stale="false") == 1
    assert sample("parlour_config_info", source="lkg", stale="true") == 0
    assert sample("parlour_config_blocked") == 1

    work.settings("mqtt", "b" * 64, stale=False, blocked=False, wall_s=300.0)

    assert sample("parlour_config_applied_time_seconds") == 300.0
    assert sample("parlour_config_info", source="mqtt", stale="false") == 1


class _Route:
    path = "/v1/config/{service}"


async def _ask(method: str, path: str, *, route: bool = True, fail: bool = False) -> None:
    async def app(scope: Message, _receive: Any, send: Any) -> None:
        assert sample("parlour_active_requests") == 1
        if fail:
            raise ValueError("broken")
        if route:
            scope["route"] = _Route()
        await send({"type": "http.response.start", "status": 200 if route else 404})
        await send({"type": "http.response.body", "body": b""})

    async def send(_message: Message) -> None:
        return

    async def receive() -> Message:
        return {}

    await Measured(app)({"type": "http", "method": method, "path": path}, receive, send)


@pytest.mark.req("P015", "P016", "P017", "P018")
def test_a_request_is_counted_by_method_view_and_status() -> None:
    view = {"view": "/v1/config/{service}", "method": "GET"}
    before = (
        sample("parlour_http_requests_by_method_total", method="GET"),
        sample("parlour_http_requests_by_view_method_total", **view),
        sample("parlour_http_responses_by_status_total", status="200"),
        sample("parlour_http_request_duration_seconds_count", **view),
    )

    asyncio.run(_ask("GET", "/v1/config/router"))

    after = (
        sample("parlour_http_requests_by_method_total", method="GET"),
        sample("parlour_http_requests_by_view_method_total", **view),
        sample("parlour_http_responses_by_status_total", status="200"),
        sample("parlour_http_request_duration_seconds_count", **view),
    )
    assert after == tuple(value + 1 for value in before)
    assert sample("parlour_active_requests") == 0


def test_invented_paths_and_methods_make_no_series() -> None:
    async def crowd() -> None:
        for number in range(50):
            await _ask(f"BREW{number}", f"/no/such/{number}", route=False)

    asyncio.run(crowd())

    body, _ = metrics.render()
    assert b"/no/such" not in body
    assert b"BREW" not in body
    assert sample("parlour_http_requests_by_view_method_total", view="none", method="other") >= 50


def test_a_request_that_breaks_is_over_and_counts_as_a_fault_of_ours() -> None:
    before = sample("parlour_http_responses_by_status_total", status="500")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(_ask("GET", "/", fail=True))

    assert sample("parlour_http_responses_by_status_total", status="500") == before + 1
    assert sample("parlour_active_requests") == 0


def test_no_metric_names_a_room_a_turn_or_a_person() -> None:
    named = {label for declared in metrics.declared() for label in declared.labels}

    assert named <= {
        "service", "version", "check_name", "connection", "direction", "reason", "source",
        "stale", "method", "view", "status", "vendor", "alias", "backend", "stage", "outcome",
        "code", "state", "kind", "pass", "alert", "intent", "cause", "end",
    }  # fmt: skip
