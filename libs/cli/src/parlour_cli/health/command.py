"""``parlour health``."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from cyclopts import Parameter
from parlour_contracts.topics import CONFIG_HEALTH, HEALTH
from parlour_kit import log
from rich.console import Console
from rich.live import Live
from rich.table import Table

from parlour_cli.data_dir import resolve_data_dir
from parlour_cli.health.rows import HEAD, Fleet
from parlour_cli.models.output import FAILED, in_words, print_json
from parlour_cli.options import Data, Json
from parlour_cli.talk.connect import connected

RETAINED_S = 0.7
"""What is retained has come by then."""


@in_words
def health(
    *,
    watch: Annotated[bool, Parameter(negative="", help="Go on, live.")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show how every process is; the exit code is 1 unless all are healthy."""
    log.configure("CRITICAL", "console", "cli")
    data_dir = resolve_data_dir(data)

    async def run() -> bool:
        fleet = Fleet()
        async with connected(data_dir) as messenger:
            await messenger.on(HEALTH, lambda m, _: fleet.see(m, time.monotonic()))
            await messenger.on(CONFIG_HEALTH, lambda m, _: fleet.see_keeper(m, time.monotonic()))
            await asyncio.sleep(RETAINED_S)
            if as_json:
                names = [name.lower() for name in HEAD]
                rows = fleet.rows(time.monotonic())
                print_json([dict(zip(names, row, strict=True)) for row in rows])
            elif watch:
                with Live(_table(fleet), auto_refresh=False) as live:
                    while True:
                        live.update(_table(fleet), refresh=True)
                        await asyncio.sleep(1)
            else:
                Console().print(_table(fleet))
            return fleet.healthy(time.monotonic())

    try:
        return 0 if asyncio.run(run()) else FAILED
    except KeyboardInterrupt:
        return 0  # the way to end a watch


def _table(fleet: Fleet) -> Table:
    table = Table(*HEAD, box=None, header_style="bold")
    styles = {"healthy": "green", "degraded": "yellow", "unknown": "yellow"}
    for row in fleet.rows(time.monotonic()):
        table.add_row(row[0], f"[{styles.get(row[1], 'red')}]{row[1]}[/]", *row[2:])
    return table
