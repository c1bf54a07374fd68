"""The live view of one question in a terminal: what was heard, what is answered, the waterfall."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from parlour_cli.talk.client import Outcome
from parlour_cli.talk.turn_view import Note
from parlour_cli.talk.waterfall import waterfall


class LiveView:
    """Prints each note as it comes; a line at the bottom says what is waited for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("listening …", console=console)

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def show(self, note: Note) -> None:
        """Show one note."""
        text = escape(note.text)
        match note.kind:
            case "partial":
                self._status.update(f"listening … [dim]{text}[/dim]")
            case "heard":
                self._console.print(f"[bold]you[/bold]      {text}")
                self._status.update("thinking …")
            case "thinking":
                self._status.update("thinking …")
            case "sentence":
                self._console.print(f"[bold cyan]parlour[/bold cyan]  {text}")
                self._status.update("speaking …")
            case "failed":
                self._console.print(f"[yellow]failed[/yellow]   {text}")


def print_waterfall(console: Console, outcome: Outcome) -> None:
    """The timings of an answered question as a chart."""
    lines = waterfall(outcome.timings)
    if lines:
        console.print()
    for line in lines:
        console.print(line, markup=False, highlight=False, no_wrap=True, overflow="ignore",
                      crop=False)  # fmt: skip
