"""Unit: what a person types while a command runs, and a rebuild, which asks first."""

from __future__ import annotations

import io

import pytest
from parlour_cli import typed
from parlour_cli.config import operator
from parlour_cli.talk.errors import InputError


class Terminal(io.StringIO):
    """Standard input at which a person sits."""

    def isatty(self):
        return True


@pytest.fixture
def stdin(monkeypatch):
    """Puts a file in the place of standard input."""
    return lambda file: monkeypatch.setattr("sys.stdin", file)


@pytest.mark.parametrize(
    ("answer", "yes"),
    [("y\n", True), (" YES \n", True), ("n\n", False), ("\n", False), ("sure\n", False)],
)
def test_only_a_plain_yes_at_a_terminal_is_one(stdin, capsys, answer, yes):
    stdin(Terminal(answer))
    assert typed.agreed("Sure?") is yes
    assert capsys.readouterr().out == "Sure? [y/N] "


def test_where_no_terminal_is_nobody_agrees(stdin):
    stdin(io.StringIO("y\n"))
    assert typed.agreed("Sure?") is False


def test_a_secret_is_asked_for_without_echo_or_piped_in(stdin, monkeypatch):
    stdin(io.StringIO("se same\r\n"))
    assert typed.hidden("key") == "se same"
    with pytest.raises(InputError, match="no secret was given"):
        typed.hidden("key")

    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "sesame")
    stdin(Terminal())
    assert (typed.hidden("key"), asked) == ("sesame", ["key: "])


def test_a_hyphen_stands_for_standard_input(stdin):
    stdin(io.StringIO("{}"))
    assert (typed.given("[]"), typed.given("-")) == ("[]", "{}")


@pytest.mark.req("C073")
def test_a_rebuild_that_nobody_agrees_to_is_not_asked_for(manager, stdin, capsys, monkeypatch):
    monkeypatch.setenv("REBUILD_TOKEN", "t0ken")
    manager.on("POST", "/v1/rebuild", {}, status=202)
    stdin(Terminal("n\n"))
    assert operator.rebuild(reason="flipped bytes") == 1
    assert "add --yes" in capsys.readouterr().err
    assert manager.asked == []

    stdin(Terminal("y\n"))
    assert operator.rebuild(reason="flipped bytes") == 0
    assert manager.body() == {"reason": "flipped bytes", "rebuild_token": "t0ken"}
    assert "begun" in capsys.readouterr().out


@pytest.mark.req("C073")
def test_a_rebuild_without_a_token_is_not_asked_for(manager, stdin, capsys, monkeypatch):
    monkeypatch.delenv("REBUILD_TOKEN", raising=False)
    stdin(io.StringIO())
    assert operator.rebuild(reason="flipped bytes", yes=True) == 2
    assert "no secret was given" in capsys.readouterr().err
    assert manager.asked == []
