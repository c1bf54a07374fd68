"""Unit: what `parlour config` asks for, prints and ends with."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from parlour_cli.config import audit, changes, commands, operator, secrets
from parlour_cli.config.changes import How
from parlour_contracts.config.metadata import fields_of

FIELDS = [field.model_dump(mode="json") for field in fields_of("tts-worker")]
TTS = "/v1/config/tts-worker"
GET = {
    "service": "tts-worker",
    "config": {"speed": 1.0, "piper_voice": "en_US-joe-medium", "key": {"$masked": True}},
    "metadata": {
        "version": 7, "updated_at": "2026-01-02T03:04:05.000006Z", "updated_by": "admin",
        "sources": {"speed": "default", "piper_voice": "database"}, "in_sync": True, "lagging": [],
    },
}  # fmt: skip
ACCEPTED = {"success": True, "new_version": 8, "error": None}


@pytest.fixture
def typed(monkeypatch):
    """Puts a text on standard input."""

    def put(text):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return put


def row(key, old, new, version, number=1):
    return {
        "id": number, "service": "tts-worker", "key": key, "old_value_json": old,
        "new_value_json": new, "changed_at": "2026-01-02T03:04:05.000006Z", "changed_by": "bob",
        "change_reason": None, "version": version,
    }  # fmt: skip


def test_the_settings_of_a_service_stand_in_a_table_with_where_they_come_from(manager, capsys):
    manager.on("GET", TTS, GET)
    assert commands.get("tts-worker") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "FROM"]
    assert lines[2].split() == ["piper_voice", '"en_US-joe-medium"', "database"]
    assert "(secret)" in lines[3]
    assert lines[-2:] == [
        "version 7 of 2026-01-02T03:04:05.000006Z by admin",
        "every instance runs with it",
    ]


def test_one_setting_is_printed_bare_for_scripts(manager, capsys):
    manager.on("GET", TTS, GET)
    assert commands.get("tts-worker", "tts.piper_voice") == 0
    assert commands.get("tts-worker", "speed") == 0
    assert commands.get("tts-worker", "piper_voice", as_json=True) == 0
    assert capsys.readouterr().out == 'en_US-joe-medium\n1.0\n"en_US-joe-medium"\n'

    assert commands.get("tts-worker", "sped") == 2
    assert "did you mean speed?" in capsys.readouterr().err


def test_without_a_service_all_are_listed_with_who_lags(manager, capsys):
    rows = [
        {"service": "router", "version": 2, "checksum": "a" * 64, "in_sync": False, "lagging": ["r2"], "instances": [{}]},
        {"service": "stt-worker", "version": 1, "checksum": None, "in_sync": None, "lagging": [], "instances": []},
    ]  # fmt: skip
    manager.on("GET", "/v1/state", {"services": rows})
    assert commands.get() == 0

    _, router, stt = capsys.readouterr().out.splitlines()
    assert router.split(maxsplit=3) == ["router", "2", "a" * 12, "not yet applied by: r2"]
    assert stt.split(maxsplit=3) == ["stt-worker", "1", "-", "no instance has reported"]
    assert commands.get(as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == rows


def test_settings_are_set_with_their_types_and_a_reason(manager, capsys):
    manager.on("GET", f"{TTS}/fields", FIELDS)
    manager.on("PATCH", TTS, ACCEPTED)
    code = changes.set_values(
        "tts-worker", "speed=1.5", "tts.piper_voice=x", how=How(reason="too slow", if_version=7)
    )

    assert code == 0
    assert capsys.readouterr().out == "tts-worker: accepted, version 8\n"
    assert manager.body() == {"config": {"speed": 1.5, "piper_voice": "x"}, "version": 7}
    assert dict(manager.asked[-1].url.params) == {"reason": "too slow"}


def test_a_trial_changes_nothing_and_says_so(manager, capsys):
    manager.on("PATCH", TTS, {"success": True, "new_version": None, "error": None})
    assert changes.patch("tts-worker", '{"tts.speed": 2}', how=How(dry_run=True)) == 0

    assert "nothing was changed" in capsys.readouterr().out
    assert dict(manager.asked[-1].url.params) == {"dry_run": "true"}
    assert manager.body() == {"config": {"speed": 2}}


@pytest.mark.parametrize(
    "assignments", [(), ("speed",), ("speed=x",), ("sped=1",), ("speed=1", "speed=1")]
)
def test_a_wrong_assignment_sends_no_change_and_ends_with_2(manager, capsys, assignments):
    manager.on("GET", f"{TTS}/fields", FIELDS)
    assert changes.set_values("tts-worker", *assignments) == 2
    assert "hint:" in capsys.readouterr().err
    assert all(request.method == "GET" for request in manager.asked)


def test_a_refusal_ends_with_1_and_the_words_of_config_manager(manager, capsys):
    manager.on("GET", f"{TTS}/fields", FIELDS)
    refused = {"error": "VERSION_CONFLICT", "message": "expected version 7, current is 8",
               "hint": "get the settings again"}  # fmt: skip
    manager.on("PATCH", TTS, refused, status=409)

    assert changes.set_values("tts-worker", "speed=1", how=How(if_version=7)) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: expected version 7, current is 8",
        "  hint: get the settings again",
    ]


def test_all_settings_are_replaced_above_the_newest_version(manager):
    manager.on("GET", TTS, GET)
    manager.on("PUT", TTS, ACCEPTED)
    assert changes.put("tts-worker", '{"speed": 1}') == 0
    assert manager.body() == {"service": "tts-worker", "config": {"speed": 1}, "version": 7}


@pytest.mark.req("C050")
def test_what_get_printed_is_put_back_on_the_version_that_was_read(manager, typed):
    manager.on("PUT", TTS, ACCEPTED)
    edited = {**GET, "metadata": {**GET["metadata"], "version": 5}}
    typed(json.dumps(edited))
    assert changes.put("tts-worker", "-") == 0
    assert manager.body() == {"service": "tts-worker", "config": GET["config"], "version": 5}


def test_some_settings_or_all_get_their_defaults_again(manager):
    manager.on("POST", f"{TTS}/reset", ACCEPTED)
    assert changes.reset("tts-worker", "tts.speed", "piper_voice") == 0
    assert manager.body() == {"keys": ["speed", "piper_voice"]}
    assert changes.reset("tts-worker") == 0
    assert manager.body() == {}


def test_a_rollback_names_the_version_that_it_replaces(manager, capsys):
    manager.on("GET", TTS, GET)
    manager.on("POST", f"{TTS}/rollback", ACCEPTED)
    assert changes.rollback("tts-worker", 3) == 0
    assert manager.body() == {"to_version": 3, "version": 7}
    assert "version 8" in capsys.readouterr().out


def test_the_history_tells_who_when_and_why(manager, capsys):
    manager.on("GET", f"{TTS}/history", [row("speed", "1", "1.5", 8), row("speed", None, "1", 1)])
    assert commands.history("tts-worker", key="tts.speed", limit=5) == 0

    assert dict(manager.asked[-1].url.params) == {"key": "speed", "limit": "5"}
    _, newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.split() == ["8", "2026-01-02T03:04:05.000006Z", "bob", "speed", "1", "1.5"]
    assert oldest.split() == ["1", "2026-01-02T03:04:05.000006Z", "bob", "speed", "1"]


def test_two_versions_are_compared_by_the_history_page_by_page(manager, capsys, monkeypatch):
    monkeypatch.setattr(commands, "PAGE", 2)
    manager.on("GET", TTS, GET)
    manager.on(
        "GET", f"{TTS}/history",
        [row("speed", "3", "1", 7, 9), row("speed", "2", "3", 6, 8)],
        [row("piper_voice", '"amy"', '"x"', 3, 5), row("speed", None, "2", 1, 4)],
    )  # fmt: skip
    assert commands.diff("tts-worker", 2) == 0

    found = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert found == [["piper_voice", '"amy"', '"en_US-joe-medium"'], ["speed", "2", "1.0"]]
    assert [dict(r.url.params) for r in manager.asked[1:]] == [
        {"limit": "2"}, {"limit": "2", "before_id": "8"},
    ]  # fmt: skip


def test_the_same_version_twice_shows_no_difference(manager, capsys):
    manager.on("GET", TTS, GET)
    assert commands.diff("tts-worker", 7) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_without_a_version_it_shows_what_is_not_the_default(manager, capsys):
    manager.on("GET", TTS, GET)
    assert commands.diff("tts-worker", as_json=True) == 0
    found = {d["key"]: d for d in json.loads(capsys.readouterr().out)}
    assert "speed" not in found
    assert found["piper_voice"]["before"] == '"en_US-lessac-medium"'


@pytest.mark.parametrize("version", [0, -1, 8])
def test_a_version_that_never_was_is_refused(manager, capsys, version):
    manager.on("GET", TTS, GET)
    assert commands.diff("tts-worker", version) == 2
    assert "the newest is 7" in capsys.readouterr().err


def test_a_search_says_how_much_more_there_is(manager, capsys):
    item = {"service": "tts-worker", "key": "speed", "value_json": "1", "description": "Speed"}
    manager.on("POST", "/v1/search", {"results": [item], "total": 3})
    assert commands.search("spe", service="tts-worker") == 0
    assert manager.body() == {"query": "spe", "service_filter": "tts-worker"}
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["tts-worker", "speed", "1", "Speed"]
    assert "and 2 more" in out


def test_a_search_without_a_find_says_so(manager, capsys):
    manager.on("POST", "/v1/search", {"results": [], "total": 0})
    assert commands.search("x") == 0
    assert capsys.readouterr().out == "nothing found\n"
    assert manager.body() == {"query": "x"}


def test_every_setting_is_described_with_what_it_takes(manager, capsys):
    manager.on("GET", f"{TTS}/fields", FIELDS)
    assert commands.describe("tts-worker") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert "0..200" in lines["volume_percent"]
    assert commands.allowed({"validation_allowed": ["a", "b"]}) == "a|b"
    assert commands.allowed({"validation_min": 1}) == "1.."


@pytest.mark.req("C068")
def test_a_secret_comes_from_standard_input_and_is_never_printed(manager, capsys, typed):
    manager.on("GET", "/v1/config/llm-worker", GET)
    manager.on("PUT", "/v1/secrets/llm-worker/api_key", ACCEPTED)
    typed("s3same-s3same\n")
    assert secrets.set_secret("llm-worker", "llm.api_key", reason="new contract") == 0

    assert manager.body() == {"value": "s3same-s3same", "version": 7}
    assert dict(manager.asked[-1].url.params) == {"reason": "new contract"}
    shown = capsys.readouterr()
    assert "s3same" not in shown.out + shown.err


def test_no_secret_at_all_is_refused(manager, capsys, typed):
    manager.on("GET", "/v1/config/llm-worker", GET)
    typed("\n")
    assert secrets.set_secret("llm-worker", "api_key") == 2
    assert "no secret was given" in capsys.readouterr().err


def test_a_secret_is_revealed_with_a_reason(manager, capsys):
    manager.on("POST", "/v1/secrets/llm-worker/api_key/reveal", {"value": "sesame"})
    assert secrets.reveal("llm-worker", "api_key", reason="moving house") == 0
    assert capsys.readouterr().out == "sesame\n"
    assert manager.body() == {"reason": "moving house"}


def test_a_whole_audit_log_ends_with_0_and_an_altered_one_with_1(manager, capsys):
    report = {"ok": True, "rows": 12, "head": "ab" * 32, "first_bad": None}
    manager.on("GET", "/v1/audit/verify", report, report | {"ok": False, "first_bad": 7})
    assert audit.verify() == 0
    assert "whole: 12 rows, head abababababababab" in capsys.readouterr().out
    assert audit.verify() == 1
    assert "altered at row 7" in capsys.readouterr().err


def test_an_operator_says_why(manager, capsys):
    done = {"config_epoch": "e", "floor": "f"}
    manager.on("POST", "/v1/takeover", done)
    manager.on("POST", "/v1/confirm-floor", done)
    assert operator.takeover(reason="restored", above="2026-01-02T03:04:05.000006Z") == 0
    assert manager.body() == {"reason": "restored", "above": "2026-01-02T03:04:05.000006Z"}
    assert operator.confirm_floor(reason="right", as_json=True) == 0
    assert manager.body() == {"reason": "right"}
    assert '"config_epoch": "e"' in capsys.readouterr().out


def test_a_config_manager_that_is_away_is_told_in_words(manager, capsys):
    def away(request):
        raise httpx.ConnectError("refused", request=request)

    manager.on("GET", TTS, away)
    assert commands.get("tts-worker") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: config-manager does not answer (ConnectError)",
        "  hint: see what parlour up says of config-manager",
    ]
