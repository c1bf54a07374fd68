"""``parlour config watch``: desired against applied, live."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Annotated, Any

from cyclopts import Parameter
from parlour_contracts.messages.requests import ConfigApplied, ConfigEvent
from parlour_contracts.topics import CONFIG_APPLIED, CONFIG_EVENT
from parlour_kit import log
from parlour_kit.errors import ParlourError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from parlour_cli.config.board import HEAD, Board
from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.models.output import in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.rest import Api
from parlour_cli.talk.connect import connected

POLL_S = 2.0
"""How often what is wanted is asked for; what runs is told by the broker as it changes."""

REDRAW_S = 0.1
RETAINED_S = 0.5
"""What is retained has come by then."""


@in_words
def watch(
    *,
    once: Annotated[
        bool, Parameter(name="--once", negative="", help="Show the state once and end.")
    ] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Watch what is wanted and what each process runs with, live."""
    log.configure("CRITICAL", "console", "cli")
    data_dir = resolve_data_dir(data)

    async def run() -> None:
        api, board = Api.of(data_dir), Board()
        told = _line if as_json and not once else _nothing
        async with connected(data_dir) as messenger:

            def applied(message: ConfigApplied, _levels: dict[str, str]) -> None:
                board.report(message)
                told({"applied": message.model_dump(mode="json")})

            def event(message: ConfigEvent, _levels: dict[str, str]) -> None:
                told({"event": message.model_dump(mode="json")})

            await messenger.on(CONFIG_APPLIED, applied)
            await messenger.on(CONFIG_EVENT, event)
            if once:
                await asyncio.sleep(RETAINED_S)
                await _ask(board, api)
                _show(board, as_json=as_json)
            elif as_json:
                await asyncio.Event().wait()
            else:
                await _live(board, api)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    return 0


def _show(board: Board, *, as_json: bool) -> None:
    if as_json:
        names = [name.lower() for name in HEAD]
        print_json([dict(zip(names, row, strict=True)) for row in board.rows()])
    else:
        Console().print(table_of(board))


async def _live(board: Board, api: Api) -> None:
    """Draw for ever. A config-manager that is away for a while is waited for."""
    await _ask(board, api)
    with Live(table_of(board), auto_refresh=False) as live:
        while True:
            for _ in range(round(POLL_S / REDRAW_S)):
                live.update(table_of(board), refresh=True)
                await asyncio.sleep(REDRAW_S)
            try:
                await _ask(board, api)
            except ParlourError as error:
                if not error.retryable:
                    raise


async def _ask(board: Board, api: Api) -> None:
    found = await asyncio.to_thread(api.call, "GET", "/v1/state")
    for state in found["services"]:
        if state["checksum"] is not None:
            board.want(state["service"], state["checksum"])


def table_of(board: Board) -> Table:
    """The board, with what needs attention in colour."""
    table = Table(*HEAD, box=None, header_style="bold")
    for row in board.rows():
        running = row[2] == "applied"
        bad = row[2].startswith(("rejected", "bad_signature", "retired_epoch", "stale"))
        table.add_row(*row, style="red" if bad else "" if running else "yellow")
    return table


def _line(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _nothing(_value: dict[str, Any]) -> None:
    """Say nothing: the table shows it."""
