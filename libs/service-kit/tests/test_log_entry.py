"""What an entry of the log holds, whatever the log call was given."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_contracts.messages.room import Say
from parlour_kit.errors import ParlourError
from parlour_kit.log.cleaning import MAX_TEXT, clean, line
from parlour_kit.log.entry import EVENT_TYPES, entry
from parlour_kit.log.failures import said, trace

FIELDS = (
    {"timestamp", "level", "logger", "message", "event", "module", "function"}
    | {"context", "event_type", "error", "exception", "stack_trace"}
)  # fmt: skip


def record(level: int = logging.INFO, name: str = "parlour.test") -> logging.LogRecord:
    return logging.LogRecord(name, level, "/a/folder/module_name.py", 1, "", (), None, "deed")


def made(event: object = "something happened", level: int = logging.INFO, **given) -> dict:
    given.setdefault("_from_structlog", True)
    return entry({"event": event, **given}, record(level), {"service": "router"})


@pytest.mark.req("H010", "P026", "D004", "X8", "X12")
def test_an_entry_has_the_fields_that_every_entry_has_and_no_others() -> None:
    found = made()

    assert found.keys() == FIELDS - {"event_type", "error", "exception", "stack_trace"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["timestamp"])
    assert (found["level"], found["logger"]) == ("INFO", "parlour.test")
    assert (found["message"], found["event"]) == ("something happened", "something_happened")
    assert (found["module"], found["function"]) == ("module_name", "deed")
    assert found["context"] == {"service": "router"}


@pytest.mark.req("H010", "P026")
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_there_are_five_levels_in_capitals(level: str) -> None:
    assert made(level=getattr(logging, level))["level"] == level


@pytest.mark.req("P027")
def test_what_an_event_is_about_stands_beside_its_message() -> None:
    found = made(request_id="r", duration_ms=1.5, status_code=200, checks={"mqtt": "healthy"})

    assert (found["request_id"], found["duration_ms"], found["status_code"]) == ("r", 1.5, 200)
    assert found["checks"] == {"mqtt": "healthy"}


@pytest.mark.req("D005", "D006", "D007", "D008", "D009", "X12")
def test_an_event_type_is_one_of_five_and_is_the_event_too() -> None:
    for kind in EVENT_TYPES:
        found = made(event_type=kind)
        assert found["event_type"] == found["event"] == kind
    other = made(event_type="config_applied")

    assert len(EVENT_TYPES) == 5
    assert other["event"] == "config_applied"
    assert "event_type" not in other


def test_no_call_can_change_what_an_entry_says_of_itself() -> None:
    wrong = dict.fromkeys(("level", "timestamp", "logger", "message", "module", "stack_trace"), "?")
    found = entry({"event": "something happened", **wrong}, record(), {})

    assert found["message"] == "something happened"
    assert (found["level"], found["logger"], found["module"]) == (
        "INFO", "parlour.test", "module_name",
    )  # fmt: skip
    assert "stack_trace" not in found


def test_a_library_is_named_and_its_words_are_no_event() -> None:
    found = entry(
        {"event": "Task 17 was slow", "_from_structlog": False}, record(name="asyncio"), {}
    )

    assert (found["logger"], found["event"]) == ("parlour.asyncio", "library")


@pytest.mark.req("H010")
@pytest.mark.parametrize("length", [999, 1000, 1001, 50_000])
def test_a_message_has_at_most_a_thousand_characters(length: int) -> None:
    message = made("m" * length)["message"]

    assert len(message) == min(length, 1000)
    assert message.endswith("…") is (length > 1000)


class Broken:
    """Something that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.req("H054")
def test_what_no_json_can_hold_becomes_text() -> None:
    found = made(
        None, folder=Path("/a"), nan=float("nan"), broken=Broken(), raw=b"\x00\x01",
        when=datetime(2026, 1, 1, tzinfo=UTC), many=set("a"), deep=[[[[[[1]]]]]],
    )  # fmt: skip

    assert found["message"] == "(no message)"
    assert (found["folder"], found["nan"], found["broken"]) == ("/a", "nan", "<Broken>")
    assert (found["raw"], found["when"]) == ("<2 bytes>", "2026-01-01T00:00:00.000000Z")
    assert (found["many"], found["deep"]) == (["a"], [[[["…"]]]])


@pytest.mark.req("H054")
@pytest.mark.parametrize("created", [float("nan"), 1e300, None, "yesterday"])
def test_a_time_that_is_none_becomes_now(created: object) -> None:
    odd = record()
    odd.created = created
    before = datetime.now(UTC)

    found = entry({"event": "x"}, odd, {})

    assert datetime.fromisoformat(found["timestamp"]) >= before


def test_a_message_on_the_bus_is_told_by_its_kind_alone() -> None:
    assert clean(Say(text="what was said")) == "<Say>"


def test_a_message_cannot_pretend_to_be_two() -> None:
    assert line('one\n{"level": "INFO"}\x1b[31m\u2028') == 'one\\n{"level": "INFO"}\\x1b[31m\\u2028'


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.req("H054")
@given(
    st.text() | json_like, st.dictionaries(st.from_regex(r"[a-z]{2,9}", fullmatch=True), json_like)
)
def test_whatever_is_logged_makes_one_line_of_json(event: object, more: dict[str, object]) -> None:
    more.pop("event", None)
    text = json.dumps(entry({"event": event, **more}, record(), {"a": "b"}), ensure_ascii=False)

    assert "\n" not in text
    assert len(text.encode()) > 0
    assert json.loads(text)["level"] == "INFO"


@given(st.text(), st.integers(2, 60))
def test_a_line_is_never_longer_than_it_may_be_but_for_what_it_escapes(
    text: str, limit: int
) -> None:
    assert len(line("".join(c for c in text if c.isprintable()), limit)) <= limit


def fail(text: str) -> None:
    raise ValueError(text)


def failing(text: str) -> ValueError:
    with pytest.raises(ValueError, match=text) as caught:
        fail(text)
    return caught.value


@pytest.mark.req("X12", "P027")
def test_an_exception_is_one_line_under_two_names_and_a_trace() -> None:
    found = made(exc_info=ParlourError("broke\nhere"), level=logging.ERROR)

    assert found["error"] == found["exception"] == "ParlourError: broke\\nhere"
    assert found["stack_trace"].endswith("ParlourError: broke\\nhere")


def test_what_a_library_says_in_an_exception_is_for_debug_alone() -> None:
    error = failing("cannot speak 'what was said'")
    above = json.dumps(made(exc_info=error, level=logging.ERROR))
    debug = made(exc_info=error, level=logging.DEBUG)

    assert "what was said" not in above
    assert '"error": "ValueError"' in above
    assert "test_log_entry.py" in above
    assert debug["error"] == "ValueError: cannot speak 'what was said'"


def test_a_chain_of_exceptions_ends_although_it_bites_its_tail() -> None:
    first, second = failing("one"), failing("two")
    first.__cause__, second.__cause__ = second, first

    assert trace(first, everything=True).count("after which") == 1


def test_an_exception_that_cannot_be_shown_is_named() -> None:
    class BadError(ParlourError):
        __str__ = Broken.__str__

    assert said(BadError("x"), everything=True) == "BadError"


@pytest.mark.req("H010")
def test_the_limit_is_that_of_the_requirements() -> None:
    assert MAX_TEXT == 1000


SCRIPT = """
import logging, sys, structlog, threading
from parlour_kit import log
log.configure("INFO", sys.argv[1], "a-service", "a-service-2")
log.log_uncaught()
speak = structlog.get_logger("parlour.test")
speak.info("one %s", "word", n=1)
speak.debug("not told")
logging.getLogger("a.library").info("not told either")
logging.getLogger("a.library").warning("seen: %d", 5)
thread = threading.Thread(target=lambda: {}["what was said"])
thread.start(); thread.join()
raise RuntimeError("what was said")
"""


@pytest.mark.req("D012", "D022")
@pytest.mark.parametrize("form", ["json", "auto", "console"])
def test_machines_read_standard_output_and_people_standard_error(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=False
    )
    told, silent = (done.stderr, done.stdout) if form == "console" else (done.stdout, done.stderr)

    assert silent == ""
    assert "not told" not in told
    assert "what was said" not in told
    assert "nobody handles" in told
    if form != "console":
        entries = [json.loads(text) for text in told.splitlines()]
        assert [e["level"] for e in entries] == ["INFO", "WARNING", "ERROR", "CRITICAL"]
        assert [e["message"] for e in entries[:2]] == ["one word", "seen: 5"]
        assert entries[0]["context"] == {"service": "a-service", "instance": "a-service-2"}
