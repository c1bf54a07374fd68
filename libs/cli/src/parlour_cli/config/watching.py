"""``parlour config watch``: desired against applied, live."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from cyclopts import Parameter
from parlour_contracts.messages.requests import ConfigApplied, ConfigEvent
from parlour_contracts.topics import CONFIG_APPLIED, CONFIG_EVENT, CONFIG_HEALTH
from parlour_kit import log
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


@in_words
def watch(
    *,
    once: Annotated[bool, Parameter(negative="", help="Show the state once and end.")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Watch what is wanted and what each process runs with, live."""
    log.configure("CRITICAL", "console", "cli")
    data_dir = resolve_data_dir(data)

    async def run() -> None:
        api = Api.of(data_dir)
        async with connected(data_dir) as messenger:
            board, changed = Board(), asyncio.Event()

            def applied(message: ConfigApplied, _levels: dict[str, str]) -> None:
                board.report(message)
                changed.set()
                if as_json and not once:
                    _line({"applied": message.model_dump(mode="json")})

            def event(message: ConfigEvent, _levels: dict[str, str]) -> None:
                if as_json and not once:
                    _line({"event": message.model_dump(mode="json")})
                changed.set()

            await messenger.on(CONFIG_APPLIED, applied)
            await messenger.on(CONFIG_EVENT, event)
            await messenger.on(CONFIG_HEALTH, lambda m, _: setattr(board, "manager", m))
            await _show(board, changed, api, once=once, as_json=as_json)

    asyncio.run(run())
    return 0


async def _show(
    board: Board, changed: asyncio.Event, api: Api, *, once: bool, as_json: bool
) -> None:
    if once:
        await asyncio.sleep(0.5)  # what is retained has come by then
        await _ask(board, api)
        if as_json:
            names = [name.lower() for name in HEAD]
            print_json([dict(zip(names, row, strict=True)) for row in board.rows()])
        else:
            Console().print(_table(board))
        return
    if as_json:
        await asyncio.Event().wait()
    with Live(_table(board), auto_refresh=False) as live:
        while True:
            await _ask(board, api)
            live.update(_table(board), refresh=True)
            changed.clear()
            try:
                async with asyncio.timeout(POLL_S):
                    await changed.wait()
            except TimeoutError:
                continue


async def _ask(board: Board, api: Api) -> None:
    found = await asyncio.to_thread(api.call, "GET", "/v1/config")
    for row in found["services"] if isinstance(found, dict) else found:
        board.want(row["service"], row["checksum"])


def _table(board: Board) -> Table:
    table = Table(*HEAD, box=None, header_style="bold")
    for row in board.rows():
        bad = row[2].startswith(("rejected", "bad_signature", "retired_epoch", "stale"))
        style = "red" if bad else "yellow" if row[2] != "applied" else ""
        table.add_row(*row, style=style)
    return table


def _line(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)
