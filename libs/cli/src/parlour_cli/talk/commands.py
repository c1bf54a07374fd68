"""``parlour ask``, ``say``, ``watch`` and ``demo``."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

from cyclopts import Parameter
from parlour_audio import AudioError
from parlour_contracts.messages.room import Say
from parlour_kit import log
from parlour_kit.errors import ParlourError
from pydantic import ValidationError
from rich.console import Console

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import FAILED, INTERRUPTED, USAGE, complain, print_json
from parlour_cli.options import Data, Json
from parlour_cli.talk.asking import (
    DEFAULT_OUT,
    DEFAULT_SITE,
    as_json,
    ask_running_fleet,
    check_site,
    finish,
    make_question,
    refused,
)
from parlour_cli.talk.connect import connected
from parlour_cli.talk.demo import run_demo
from parlour_cli.talk.errors import InputError
from parlour_cli.talk.saying import Announcement
from parlour_cli.talk.saying import say as say_in_room
from parlour_cli.talk.watching_shell import watch_rooms

P = ParamSpec("P")


def _in_words(command: Callable[P, int]) -> Callable[P, int]:
    """Let a command end with a message and an exit code instead of a stack trace."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        # What the libraries log about connecting is said by the command itself.
        log.configure("CRITICAL", "console", "cli")
        try:
            return command(*args, **kwargs)
        except (InputError, AudioError) as error:
            complain(f"{error} [{error.code}]", error.hint)
            return USAGE
        except ParlourError as error:
            complain(f"{error} [{error.code}]", error.hint)
            return FAILED
        except (KeyboardInterrupt, asyncio.CancelledError):
            return INTERRUPTED

    return run


@_in_words
def ask(
    *,
    wav: Annotated[Path | None, Parameter(help="A recorded question, a WAV file.")] = None,
    text: Annotated[str | None, Parameter(help="A written question.")] = None,
    site: Annotated[str, Parameter(help="The room to ask in.")] = DEFAULT_SITE,
    out: Annotated[Path, Parameter(help="Where the spoken answer is kept.")] = DEFAULT_OUT,
    play: Annotated[
        bool, Parameter(negative="", help="Play the answer, where a loudspeaker is.")
    ] = False,
    as_object: Json = False,
    data: Data = None,
) -> int:
    """Ask the fleet a question, spoken or written, and receive the spoken answer."""
    console = None if as_object else Console(highlight=False)
    try:
        question = make_question(site, wav, text)
    except (InputError, AudioError) as error:
        if not as_object:
            raise
        print_json(as_json(refused(error), None))
        return USAGE
    outcome = asyncio.run(ask_running_fleet(question, resolve_data_dir(data), console, play=play))
    return finish(outcome, out, console)


@_in_words
def say(site: str, *words: str, data: Data = None) -> int:
    """Say a text in a room."""
    check_site(site)
    try:
        message = Say(text=" ".join(words).strip())
    except ValidationError:
        raise InputError("the text must have 1 to 5000 characters", code="TEXT_INVALID") from None

    async def run() -> Announcement:
        async with connected(resolve_data_dir(data)) as messenger:
            return await say_in_room(messenger, site, message, lambda s: print(f"says: {s}"))

    announcement = asyncio.run(run())
    print(f"{announcement.duration_ms / 1000:.1f} s of sound went to {site}")
    return 0


@_in_words
def watch(site: str | None = None, *, as_object: Json = False, data: Data = None) -> int:
    """Watch a conversation live: one line per event, until Ctrl-C."""
    if site is not None:
        check_site(site)

    async def run() -> None:
        async with connected(resolve_data_dir(data)) as messenger:
            await watch_rooms(messenger, site, as_json=as_object)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read our lines has gone.
        sys.stderr.close()
    return 0


@_in_words
def demo(
    *,
    wav: Annotated[Path | None, Parameter(help="Your own recorded question.")] = None,
    out: Annotated[Path, Parameter(help="Where the spoken answer is kept.")] = DEFAULT_OUT,
    data: Data = None,
) -> int:
    """Start the fleet, ask it one question aloud, show where the time went, stop it again."""
    return asyncio.run(run_demo(wav, out, resolve_data_dir(data), Console(highlight=False)))
