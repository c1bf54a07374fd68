"""What a person types while a command runs, or pipes into it."""

from __future__ import annotations

import getpass
import sys

from parlour_cli.talk.errors import InputError


def agreed(question: str) -> bool:
    """Whether a person says yes; nobody does where no terminal is."""
    if not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def hidden(name: str) -> str:
    """A secret of that name: asked for without echo, or read from a pipe.

    Raises:
        InputError: nothing came.
    """
    text = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not text:
        raise InputError("no secret was given", hint="type it, or pipe it in")
    return text


def given(text: str) -> str:
    """An argument as it stands, or what is piped in where it is ``-``."""
    return sys.stdin.read() if text == "-" else text
