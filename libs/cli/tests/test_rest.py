"""Unit: how the commands speak with config-manager over REST."""

from __future__ import annotations

import json

import httpx
import pytest
from parlour_cli.broker.errors import NotRunningError
from parlour_cli.broker.files import write_private
from parlour_cli.broker.running import RunRecord, holding, publish_record
from parlour_cli.keys.places import token_file
from parlour_cli.rest import PAUSE_S, TRIES, Api, RefusedError, UnreachableError, place

PATH = "/v1/config/router"


def broken(kind):
    def answer(request):
        raise kind("gone", request=request)

    return answer


def test_a_call_carries_the_token_and_gives_the_body_of_the_answer(manager):
    manager.on("GET", PATH, {"config": {"é": 1}})

    assert manager.api().call("GET", PATH, query={"limit": 5, "key": None}) == {"config": {"é": 1}}
    (request,) = manager.asked
    assert request.headers["authorization"] == "Bearer t0ken"
    assert dict(request.url.params) == {"limit": "5"}
    assert "idempotency-key" not in request.headers


def test_a_change_that_lost_its_connection_is_sent_again_under_the_same_id(manager):
    done = httpx.Response(200, json={"new_version": 2})
    manager.on("PATCH", PATH, broken(httpx.ReadError), broken(httpx.ConnectError), lambda _: done)

    assert manager.api().call("PATCH", PATH, {"config": {}}) == {"new_version": 2}
    assert len({request.headers["idempotency-key"] for request in manager.asked}) == 1
    assert manager.pauses == [PAUSE_S, PAUSE_S]


def test_two_changes_with_the_same_body_are_two_changes(manager):
    manager.on("PATCH", PATH, {"new_version": 2})
    for _ in range(2):
        manager.api().call("PATCH", PATH, {"config": {"speed": 1}})

    assert len({request.headers["idempotency-key"] for request in manager.asked}) == 2


def test_a_config_manager_that_stays_away_is_told_in_words(manager):
    manager.on("GET", PATH, broken(httpx.ConnectError))
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        manager.api().call("GET", PATH)

    assert caught.value.retryable
    assert len(manager.asked) == TRIES


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, httpx.ReadError])
def test_what_has_no_table_of_ids_is_not_sent_twice_once_it_may_have_arrived(manager, kind):
    manager.on("POST", "/v1/takeover", broken(kind))
    with pytest.raises(UnreachableError):
        manager.api().call("POST", "/v1/takeover", {})

    assert len(manager.asked) == 1


def test_a_refusal_has_the_words_code_and_hint_of_config_manager_and_names_each_problem(manager):
    refused = {
        "error": "VALIDATION_FAILED", "message": "speed must be smaller; and 1 more",
        "hint": "describe it",
        "details": [{"key": "speed", "problem": "must be smaller", "allowed": "0.25 to 4"},
                    {"key": "volume_percent", "problem": "must be larger", "allowed": "0 to 200"}],
    }  # fmt: skip
    manager.on("PATCH", PATH, refused, status=422)
    with pytest.raises(RefusedError) as caught:
        manager.api().call("PATCH", PATH, {})

    error = caught.value
    assert (error.code, error.hint, error.retryable) == ("VALIDATION_FAILED", "describe it", False)
    assert str(error).splitlines() == [
        "speed must be smaller; and 1 more",
        "  volume_percent must be larger (allowed: 0 to 200)",
    ]
    assert error.answer == refused


@pytest.mark.parametrize(("status", "retryable"), [(503, True), (429, True), (500, False)])
def test_a_refusal_that_passes_can_be_told_from_one_that_stays(manager, status, retryable):
    manager.on("GET", PATH, {"error": "X", "message": "no"}, status=status)
    with pytest.raises(RefusedError) as caught:
        manager.api().call("GET", PATH)
    assert caught.value.retryable is retryable


def test_a_token_that_ended_names_the_way_to_a_new_one(manager):
    manager.on("GET", PATH, {"error": "UNAUTHENTICATED", "message": "no valid token"}, status=401)
    with pytest.raises(RefusedError) as caught:
        manager.api().call("GET", PATH)
    assert "parlour users token admin" in caught.value.hint


@pytest.mark.parametrize("status", [200, 502])
def test_another_program_on_the_port_is_no_stack_trace(manager, status):
    manager.on("GET", PATH, lambda _: httpx.Response(status, text="<html>"))
    with pytest.raises(RefusedError, match=f"config-manager answered {status}"):
        manager.api().call("GET", PATH)


def test_what_was_signed_arrives_byte_by_byte(manager):
    manager.on("POST", "/v1/keysets", {"keyset_version": 1})
    manager.api().call_bytes("POST", "/v1/keysets", b'{ "a":1 }')
    assert manager.asked[0].content == b'{ "a":1 }'


@pytest.mark.parametrize("typed", ["a/b", "../keys", "a?b=c", "a#b", "ü"])
def test_what_a_person_types_stays_one_level_of_the_path(manager, typed):
    manager.on("GET", place("config", typed), {})
    assert manager.api().call("GET", place("config", typed)) == {}
    assert place("config", typed).count("/") == 3


def test_the_running_fleet_is_found_by_its_record_and_the_token_by_its_file(tmp_path):
    with pytest.raises(NotRunningError, match="no fleet runs"):
        Api.of(tmp_path)
    record = RunRecord(pid=1, port=1, url="mqtt://h", broker="mosquitto", started_at="now")
    with holding(tmp_path):
        publish_record(tmp_path, record)
        with pytest.raises(NotRunningError, match="older release"):
            Api.of(tmp_path)
        publish_record(tmp_path, record.model_copy(update={"rest_url": "http://127.0.0.1:9"}))
        with pytest.raises(UnreachableError, match="no token") as caught:
            Api.of(tmp_path)
        assert caught.value.hint == "parlour users token admin"
        token_file(tmp_path, "admin").parent.mkdir(parents=True)
        write_private(token_file(tmp_path, "admin"), "secret\n")
        assert isinstance(Api.of(tmp_path), Api)


def test_a_record_of_an_older_release_is_read(tmp_path):
    old = {"pid": 1, "port": 1, "url": "mqtt://h", "broker": "b", "started_at": "now"}
    assert RunRecord.model_validate_json(json.dumps(old)).rest_url is None
