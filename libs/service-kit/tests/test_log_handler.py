"""When the lines of the log are written, and that nothing of it can fail."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from parlour_kit.log.handler import HOLD_S, MAX_ENTRIES, LineHandler


@dataclass
class Alarms:
    """Time that a test lets pass."""

    waits: list[float] = field(default_factory=list)
    due: Callable[[], None] | None = None

    def __call__(self, seconds: float, call: Callable[[], None]) -> Alarms:
        self.waits.append(seconds)
        self.due = call
        return self

    def cancel(self) -> None:
        self.due = None

    def ring(self) -> None:
        assert self.due is not None
        self.due()


def logger(handler: logging.Handler) -> logging.Logger:
    found = logging.Logger("parlour.test")  # noqa: LOG001  # one of this test's alone
    found.addHandler(handler)
    return found


def buffered(**options: object) -> tuple[logging.Logger, io.StringIO, Alarms, LineHandler]:
    stream, alarms = io.StringIO(), Alarms()
    handler = LineHandler(lambda: stream, after=alarms, **options)
    return logger(handler), stream, alarms, handler


@pytest.mark.req("H017", "X21")
def test_lines_are_written_together_ten_seconds_after_the_first() -> None:
    log, stream, alarms, _ = buffered()
    log.info("one")
    log.warning("two")
    before = stream.getvalue()

    alarms.ring()

    assert before == ""
    assert alarms.waits == [HOLD_S] == [10.0]
    assert stream.getvalue() == "one\ntwo\n"


@pytest.mark.req("H017", "X21")
@pytest.mark.parametrize("level", [logging.ERROR, logging.CRITICAL])
def test_an_error_is_written_at_once_with_what_led_to_it(level: int) -> None:
    log, stream, alarms, _ = buffered()
    log.info("one")

    log.log(level, "two")

    assert stream.getvalue() == "one\ntwo\n"
    assert alarms.due is None


@pytest.mark.req("H017")
def test_no_more_than_a_thousand_lines_are_held() -> None:
    log, stream, _, _ = buffered()
    for number in range(MAX_ENTRIES - 1):
        log.info("%d", number)
    before = stream.getvalue()

    log.info("the last")

    assert (before, MAX_ENTRIES) == ("", 1000)
    assert len(stream.getvalue().splitlines()) == 1000


@pytest.mark.req("H017")
def test_what_is_held_is_written_at_the_end() -> None:
    log, stream, _, handler = buffered()
    log.info("one")

    handler.close()

    assert stream.getvalue() == "one\n"


def test_after_a_write_the_next_line_waits_anew() -> None:
    log, stream, alarms, _ = buffered()
    log.info("one")
    alarms.ring()
    log.info("two")

    assert alarms.waits == [10.0, 10.0]
    assert stream.getvalue() == "one\n"


def test_people_wait_for_nothing() -> None:
    log, stream, alarms, _ = buffered(hold_s=0)
    log.info("one")

    assert (stream.getvalue(), alarms.waits) == ("one\n", [])


@pytest.mark.req("H054")
def test_a_record_of_which_no_line_can_be_made_is_told_as_such() -> None:
    log, stream, _, _ = buffered()

    log.error("%d words", "many")

    told = json.loads(stream.getvalue())
    assert (told["level"], told["event"], told["error"]) == ("ERROR", "log_failure", "TypeError")


class Gone(io.StringIO):
    """A stream that nobody reads."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


class Ascii(io.StringIO):
    """A stream that knows few letters."""

    def write(self, text: str) -> int:
        text.encode("ascii")
        return super().write(text)


@pytest.mark.req("H054")
@pytest.mark.parametrize("stream", [Gone(), None])
def test_logging_goes_on_when_nobody_reads(stream: io.StringIO | None) -> None:
    log = logger(LineHandler(lambda: stream, hold_s=0))

    log.error("one")
    log.error("two")


@pytest.mark.req("H054")
def test_a_letter_that_the_stream_cannot_write_is_spelt_out() -> None:
    stream = Ascii()
    log = logger(LineHandler(lambda: stream, hold_s=0))

    log.info("Küche")

    assert stream.getvalue() == "K\\xfcche\n"
