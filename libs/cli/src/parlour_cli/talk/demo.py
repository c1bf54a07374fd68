"""``parlour demo``: the fleet from nothing to an answered question, and back to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

from parlour_audio import write_wav
from parlour_kit.messenger import Messenger
from rich.console import Console

from parlour_cli.broker.errors import NotRunningError
from parlour_cli.broker.files import make_private_dir
from parlour_cli.broker.running import running
from parlour_cli.seed import missing_kinds
from parlour_cli.talk.asking import DEFAULT_SITE, Question, converse, finish
from parlour_cli.talk.connect import connected
from parlour_cli.talk.errors import TalkError
from parlour_cli.talk.recording import Recording, load_recording
from parlour_cli.talk.voicing import voice
from parlour_cli.up.process import Child

QUESTION: Final = "What is the capital of France?"
VOICE_SITE: Final = "demo-voice"

READY_S: Final = 180.0
"""A slow machine loads three models in this time."""
STOP_S: Final = 12.0
SHOWN: Final = "parlour: "
"""The lines of ``parlour up`` itself begin so; those of the processes go to the log alone."""


class DemoError(TalkError):
    """The fleet did not start."""

    code = "DEMO_FAILED"


async def run_demo(wav: Path | None, out: Path, data_dir: Path, console: Console) -> int:
    """Start the fleet unless it runs, ask a question, show the answer; returns the exit code.

    Args:
        wav: the question; None has the fleet speak one first.
        out: where the spoken answer is kept.
        data_dir: the data directory.
        console: where it is shown.

    Raises:
        DemoError: the fleet did not start.
        AudioError, InputError: the question cannot be used.
    """
    begin = time.monotonic()
    recording = load_recording(wav) if wav is not None else None
    async with _stopped_by_sigterm(), _fleet(data_dir, console), connected(data_dir) as messenger:
        if recording is None:
            recording = await _speak_question(messenger, data_dir, console)
        console.print("[bold]asking[/bold]   the recording is streamed in real time")
        question = Question(DEFAULT_SITE, recording=recording)
        outcome = await converse(messenger, question, console, play=True)
        code = finish(outcome, out, console)
    console.print(f"[dim]{time.monotonic() - begin:.0f} s in all[/dim]")
    return code


async def _speak_question(messenger: Messenger, data_dir: Path, console: Console) -> Recording:
    """A question in the fleet's own voice, as a recording that a microphone could have made."""
    console.print(f'[bold]voice[/bold]    the fleet speaks the question itself: "{QUESTION}"')
    sound, rate = await voice(messenger, VOICE_SITE, QUESTION)
    folder = data_dir / "demo"
    make_private_dir(folder)
    path = folder / "question.wav"
    write_wav(path, sound, rate)
    return load_recording(path)


@asynccontextmanager
async def _stopped_by_sigterm() -> AsyncIterator[None]:
    """SIGTERM unwinds as Ctrl-C does, so that the fleet is stopped, too."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@asynccontextmanager
async def _fleet(data_dir: Path, console: Console) -> AsyncIterator[None]:
    """A ready fleet: the one that runs already, or our own until the end of the block."""
    try:
        running(data_dir)
    except NotRunningError:
        pass
    else:
        console.print("[dim]a fleet runs already: it is used, and left running[/dim]")
        yield
        return
    missing = missing_kinds(data_dir)
    if missing:
        raise DemoError(
            f"no model is installed for: {', '.join(missing)}",
            code="MODEL_MISSING",
            hint=f"parlour models pull --starter --data {shlex.quote(str(data_dir))}",
        )
    command = [sys.executable, "-m", "parlour_cli", "up", "--data", str(data_dir)]
    async with started(command, data_dir / "logs" / "up.log", console):
        yield


@asynccontextmanager
async def started(command: list[str], path: Path, console: Console) -> AsyncIterator[None]:
    """A fleet that tells when it is ready, until the end of the block.

    Args:
        command: ``parlour up`` and its arguments.
        path: where all that it says is kept.
        console: where its own lines are shown.

    Raises:
        DemoError: it ended before it was ready, or took too long.
    """
    with _private_log(path) as log:
        starting = _Starting(log, console)
        child = await Child.start(command, os.environ, Path.cwd(), starting.line, signal.SIGTERM)
        try:
            await starting.wait(child, path)
            yield
        finally:
            await _end(child, console)


def _private_log(path: Path) -> IO[str]:
    make_private_dir(path.parent)
    return open(  # Path.open takes no opener, and the mode must hold from the start
        path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
    )


class _Starting:
    """What ``parlour up`` says: all of it into the log, its own lines onto the terminal."""

    def __init__(self, log: IO[str], console: Console) -> None:
        self._log = log
        self._console = console
        self._ready = asyncio.Event()

    def line(self, text: str) -> None:
        """Take a line."""
        self._log.write(text + "\n")
        self._log.flush()
        if text.startswith(SHOWN):
            told = text.removeprefix(SHOWN)
            self._console.print(f"  {told}", style="dim", markup=False, soft_wrap=True)
            if told.startswith("ready in "):
                self._ready.set()

    async def wait(self, child: Child, log: Path) -> None:
        """Return when the fleet is ready.

        Raises:
            DemoError: it ended, or took too long.
        """
        ready = asyncio.create_task(self._ready.wait())
        ended = asyncio.create_task(child.wait())
        await asyncio.wait({ready, ended}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        try:
            if ready.done():
                return
            why = "ended" if ended.done() else f"was not ready within {READY_S:.0f} s"
            raise DemoError(f"the fleet {why}", hint=f"what it said is in {log}")
        finally:
            ready.cancel()
            ended.cancel()


async def _end(child: Child, console: Console) -> None:
    if not child.running:
        return
    console.print("[dim]stopping the fleet[/dim]")
    child.terminate()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await child.wait()
            return
    child.kill()
    await child.wait()
