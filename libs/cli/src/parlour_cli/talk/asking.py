"""``parlour ask``: one question to the running fleet, from the command line's words to its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from parlour_audio import write_wav
from parlour_contracts.messages.room import Ask
from parlour_contracts.topics import ASK, BadTopicError
from parlour_kit.errors import ParlourError
from parlour_kit.messenger import Messenger
from pydantic import ValidationError
from rich.console import Console

from parlour_cli.models.output import FAILED, complain, print_json
from parlour_cli.talk.aloud import Aloud, find_player
from parlour_cli.talk.client import Conversation, Outcome
from parlour_cli.talk.connect import connected
from parlour_cli.talk.errors import InputError
from parlour_cli.talk.live import LiveView, print_waterfall
from parlour_cli.talk.recording import Recording, load_recording
from parlour_cli.talk.timings import Timings

DEFAULT_SITE = "cli"
DEFAULT_OUT = Path("reply.wav")


@dataclass(frozen=True)
class Question:
    """What to ask and where; exactly one of ``recording`` and ``text`` is there."""

    site: str
    recording: Recording | None = None
    text: str | None = None


def make_question(site: str, wav: Path | None, text: str | None) -> Question:
    """Check the command line before anything is sent.

    Raises:
        InputError: both or none of WAV and text, a site that is no name, unusable text.
        AudioError: the WAV file cannot be used.
    """
    check_site(site)
    if (wav is None) == (text is None):
        raise InputError("give either --wav FILE or --text TEXT", code="USAGE")
    if wav is not None:
        return Question(site, recording=load_recording(wav))
    try:
        return Question(site, text=Ask(text=(text or "").strip()).text)
    except ValidationError:
        raise InputError("the text must have 1 to 5000 characters", code="TEXT_INVALID") from None


def check_site(site: str) -> None:
    """Raise InputError unless this can be the name of a room."""
    try:
        ASK.topic(site=site)
    except BadTopicError:
        raise InputError(
            f"{site!r} is not the name of a room", code="SITE_INVALID",
            hint="a name is small letters, digits and hyphens, and begins with a letter",
        ) from None  # fmt: skip


async def ask_running_fleet(
    question: Question, data_dir: Path, console: Console | None, *, play: bool
) -> Outcome:
    """Connect, ask, and disconnect; see :func:`converse`."""
    try:
        async with connected(data_dir) as messenger:
            return await converse(messenger, question, console, play=play)
    except ParlourError as error:
        return refused(error)


async def converse(
    messenger: Messenger, question: Question, console: Console | None, *, play: bool
) -> Outcome:
    """Ask over a connection. What goes wrong is in the outcome's ``error``.

    Args:
        messenger: a connection that may speak and listen in the room.
        question: what to ask.
        console: where the live view is shown; None shows nothing.
        play: whether the answer goes to a loudspeaker, if there is one.
    """
    player = find_player() if play else None
    if play and player is None and console is not None:
        console.print("[dim]no player or no sound card here: the answer is only written[/dim]")
    aloud = Aloud(player) if player is not None else None
    view = LiveView(console) if console is not None else None
    conversation = Conversation(
        messenger, question.site,
        show=view.show if view else lambda _: None,
        hear=aloud.hear if aloud else lambda _: None,
    )  # fmt: skip
    try:
        if view is not None:
            with view:
                return await _ask(conversation, question)
        return await _ask(conversation, question)
    except ParlourError as error:
        return conversation.outcome(error)
    finally:
        if aloud is not None:
            await aloud.finish()


async def _ask(conversation: Conversation, question: Question) -> Outcome:
    if question.recording is not None:
        return await conversation.ask_aloud(question.recording)
    assert question.text is not None
    return await conversation.ask_typed(question.text)


def refused(error: ParlourError) -> Outcome:
    """The outcome of a question that was never sent."""
    silence = np.zeros(0, np.int16)
    return Outcome(None, None, "", "", silence, 16_000, Timings(), error.wire())


def keep(outcome: Outcome, out: Path) -> Path | None:
    """Write the reply's sound, if any came.

    Raises:
        InputError: the file cannot be written.
    """
    if len(outcome.sound) == 0:
        return None
    try:
        write_wav(out, outcome.sound, outcome.rate)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written: {error.strerror}", code="OUT_UNWRITABLE",
            hint="choose another file with --out",
        ) from error  # fmt: skip
    return out.absolute()


def finish(outcome: Outcome, out: Path, console: Console | None) -> int:
    """Keep and print what came of a question; returns the exit code."""
    kept: Path | None = None
    unkept: InputError | None = None
    try:
        kept = keep(outcome, out)
    except InputError as error:
        unkept = error
    if console is None:
        shown = as_json(outcome, kept)
        if unkept is not None and outcome.error is None:
            shown["error"] = {"code": unkept.code, "message": str(unkept), "hint": unkept.hint}
        print_json(shown)
    else:
        print_waterfall(console, outcome)
        if kept is not None:
            length = len(outcome.sound) / outcome.rate
            console.print(f"\nthe answer is in {kept} ({length:.1f} s)", markup=False)
        if outcome.error is not None:
            complain(f"{outcome.error.message} [{outcome.error.code}]", outcome.error.hint)
        if unkept is not None:
            complain(f"{unkept} [{unkept.code}]", unkept.hint)
    return FAILED if outcome.error is not None or unkept is not None else 0


def as_json(outcome: Outcome, reply_wav: Path | None) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    error = outcome.error
    return {
        "transcript": outcome.transcript,
        "reply": outcome.reply,
        "reply_wav": str(reply_wav) if reply_wav else None,
        "session_id": outcome.session_id,
        "turn_id": outcome.turn_id,
        "timings": outcome.timings.as_dict(),
        "error": {"code": error.code, "message": error.message, "hint": error.hint}
        if error
        else None,
    }
