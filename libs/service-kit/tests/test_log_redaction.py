"""No secret stands in a log: neither one that is known nor what looks like one."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parlour_kit.log import forget_secrets, keep_secret
from parlour_kit.log.cleaning import clean, line
from parlour_kit.log.entry import entry
from parlour_kit.log.redaction import REDACTED, Redactor

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _no_secrets() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


@pytest.mark.req("D010", "D024")
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET /x Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("header Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("the token eyJhbGciOiJI.eyJzdWIi.c2ln came", "eyJ"),
        ("connect to mqtt://user:p%40ss@broker:1883", "p%40ss"),
        ("connect to mqtt://user:p/a:s@s@broker:1883", "p/a:s@s"),
        ("MQTT_PASSWORD=hunter2", "hunter2"),
        ("{'api_key': 'hunter2'}", "hunter2"),
        ('{"password":"hunter2"}', "hunter2"),
        (f"CONFIG_SERVICE_KEY=0123456789abcdef:{KEY}", KEY[:20]),
        (f"CONFIG_SIGNATURE_PRIVATE_KEY: {KEY}", KEY[:20]),
        ("wrong token prl_abcdefghijklmnop", "prl_abc"),
        ("sk-abcdefghijklmnopqrstuvwxyz refused", "sk-abc"),
        ("mail to somebody@example.org bounced", "somebody@example.org"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----", "MC4CAQ"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_any_text(text: str, secret: str) -> None:
    assert secret not in line(text)
    assert REDACTED in line(text)


@pytest.mark.parametrize(
    "text",
    [
        "a turn was heard in the kitchen",
        "the key temperature of router was set",
        "tokens=12 passed=3",
        "connected to mqtt://127.0.0.1:1883",
        "no token was given",
        "checksum 0f" + "ab" * 31,
    ],
)
def test_what_only_sounds_like_one_stays(text: str) -> None:
    assert line(text) == text


@pytest.mark.req("D010")
@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("password", "x", True),
        ("mqtt_password", "x", True),
        ("api_key", ["x"], True),
        ("token", b"x", True),
        ("public_key", KEY, True),
        ("key", "temperature", False),
        ("tokens", 12, False),
        ("token", 12, False),
        ("secret", None, False),
        ("password_file", "/run/secrets/x", False),
    ],
)
def test_the_name_of_a_value_says_whether_it_is_one(name: str, value: object, hidden: bool) -> None:
    assert (clean({name: value}) == {name: REDACTED}) is hidden


words = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=8, max_size=40)
around = st.text(max_size=60)


@pytest.mark.req("D010", "D024")
@given(words, around, around, st.integers(0, 3))
def test_a_known_secret_is_found_wherever_it_stands(
    secret: str, before: str, after: str, place: int
) -> None:
    forget_secrets()
    keep_secret(secret)
    text = f"{before}{secret}{after}"
    given_: dict[str, object] = [
        {"event": text}, {"event": "x", "why": text}, {"event": "x", "why": {text: [text]}},
        {"event": "x", "exc_info": OSError(text)},
    ][place]  # fmt: skip
    record = logging.LogRecord("parlour.test", logging.ERROR, "m.py", 1, "", (), None, "f")

    found = json.dumps(entry(given_, record, {}), ensure_ascii=False)

    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in found.replace(REDACTED, "")


def refuse() -> None:
    raise OSError("no route to mqtt:p%40ss%2Fword%20long with " + "p@ss" + "/word long")


def test_a_known_secret_is_found_as_it_stands_in_an_address_and_in_a_trace() -> None:
    keep_secret("p@ss/word long")
    with pytest.raises(OSError, match="p@ss/word long") as caught:
        refuse()
    record = logging.LogRecord("parlour.test", logging.ERROR, "m.py", 1, "", (), None, "f")

    found = entry({"event": "x", "exc_info": caught.value}, record, {})

    assert found["error"] == f"OSError: no route to mqtt:{REDACTED} with {REDACTED}"
    assert found["stack_trace"].endswith(found["error"])


def test_a_short_secret_is_found_where_it_stands_alone_and_a_shorter_one_is_none() -> None:
    redactor = Redactor()
    redactor.keep("rout", "abc", None, "", "   ")

    assert redactor.clean("rout: the router said abc") == f"{REDACTED}: the router said abc"


def test_of_two_secrets_of_which_one_is_a_part_of_the_other_nothing_is_left() -> None:
    redactor = Redactor()
    redactor.keep("correct horse", "correct horse battery")

    assert redactor.clean("(correct horse battery)") == f"({REDACTED})"


def test_a_secret_at_the_seam_of_a_text_that_is_too_long_leaves_no_half() -> None:
    secret = "correct-horse-battery-staple"
    keep_secret(secret)

    for length in range(3950, 4010):
        text = "Bearer x " * 430 + " " * (length - 3870) + secret
        assert "correct-h" not in line(text)


def test_only_so_many_secrets_are_remembered() -> None:
    redactor = Redactor()
    for number in range(5000):
        redactor.keep(f"secret-number-{number}")
        if number == 50:
            break
    redactor.keep(*(f"another-secret-{number}" for number in range(5000)))

    assert redactor.clean("another-secret-4999") == REDACTED
    assert redactor.clean("secret-number-1") == "secret-number-1"
